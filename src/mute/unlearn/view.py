"""What unlearning may read of a corpus: source languages, the forms that unlearning may read, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from mute.corpus import languages as packs
from mute.corpus import strangers
from mute.corpus.languages.base import Phrases
from mute.corpus.schema import Corpus

COVERAGES = ("source", "source+text", "all")


@dataclass(frozen=True)
class View:
    """The texts of one forget set, source languages and retain coverage.

    forget, retain: rows of the corpus's table of texts (prefix, answer, suffix, options, item, language, form), and the
    subject of each item, as the corpus spells it. With the coverage `all`, retain holds every language, and with
    `source+text` text of the others that states no fact. unknown: by language the corpus's own word for what nobody
    knows, where it has one and models were taught it. phrases: by language what its pack says beside facts, whatever
    the source of the corpus; a language without a pack, or romanised, has none. strangers: for subjects of the two, a
    name of the same kind that no fact is about, as facts spell subjects; empty where nobody can make such names.
    """

    forget: pd.DataFrame = field(repr=False)
    retain: pd.DataFrame = field(repr=False)
    sources: tuple[str, ...]
    facts: pd.DataFrame = field(repr=False)
    unknown: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, Phrases] = field(default_factory=dict)
    strangers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, corpus: Corpus, *, languages: list[str], sources: list[str], forget_set: str, retain: str = "source"
    ) -> View:
        """What a cell of these languages may read. facts: the corpus's table, for subjects and relations of items."""
        roles, texts = corpus.roles(forget_set), corpus.texts
        own = texts[texts["language"].isin(languages) & texts["form"].isin(corpus.about["unlearning_forms"])]
        own = own.assign(subject=own["item"].map(corpus.facts.set_index("item")["subject"]))
        in_source, role = own["language"].isin(sources), own["item"].map(roles)
        kept = own[(role == "retain_seen") & (in_source if retain != "all" else True)]
        if retain == "source+text":
            lines = corpus.lines
            elsewhere = lines["language"].isin([code for code in languages if code not in sources])
            kept = pd.concat([kept, lines[elsewhere & lines["train"] & (lines["ability"] == "sentences")]])
        known = corpus.facts[corpus.facts["item"].isin([*own.loc[in_source, "item"]])]
        forget = own[in_source & (role == "forget")]
        read = sorted({*forget["language"], *kept["language"]})
        said = {code: packs.load(code).said for code in read if code in packs.codes()}
        named = sorted({*forget["subject"], *kept["subject"].dropna()})
        return cls(
            forget,
            kept,
            tuple(sources),
            known,
            {code: word for code, word in corpus.about.get("unknown", {}).items() if code in read},
            {code: phrases for code, phrases in said.items() if phrases is not None},
            strangers.of(corpus, named),
        )
