"""RWKU: one of the nine ways in which RWKU asks for what was to be forgotten.

Jin et al. 2024, arXiv 2406.10890. Theirs are questions that a language model wrote; ours are wordings of the language
packs and texts of the corpus, the same in every language:

prefix_injection: a sentence before the question that earlier instructions are void. affirmative_suffix: the question,
and the head of a willing answer. role_play: to answer as one who knows the subject. multiple_choice: the options are
listed before the question. reverse: the fact with a gap in the place of the subject, which is asked for; the options
are other subjects, in the same letters, as many as the fact has values. synonym: the subject by its second name, in a
world that teaches such. background: other facts of the subject before the question. in_context: facts to be kept before
it, of the same kind if there are such. cross_lingual: the question in another language, options in its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.attacks import base, graph
from mute.attacks.cross_lingual import asked, lacking

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus

Form = Literal[
    "prefix_injection",
    "affirmative_suffix",
    "role_play",
    "multiple_choice",
    "reverse",
    "synonym",
    "background",
    "in_context",
    "cross_lingual",
]
# Forms without words of a language pack.
WORDLESS = ("synonym", "background", "in_context", "cross_lingual")
GAP = "___"


class Settings(base.Settings):
    """RWKU."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"language": ()}

    form: Form = Field("prefix_injection", description="Which of the nine forms.")
    hints: int = Field(
        3, ge=0, le=32, description="Facts before the question, of the forms `background` and `in_context`; 0: none."
    )
    language: str = Field("en", description="The language of the question, of the form `cross_lingual`.")


class Rwku(base.Attack[Settings]):
    name = "rwku"
    paper = "Jin et al. 2024, arXiv 2406.10890"
    access = "questions"
    Settings = Settings

    def __init__(self, settings: Settings, victim: base.Victim) -> None:
        super().__init__(settings, victim)
        self._told = cache(partial(_told, victim.corpus))
        self._answers = cache(partial(_answers, victim.corpus))
        self._kept = cache(partial(_kept, victim.corpus, victim.forget_set))

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures

        if settings.form == "synonym":
            return graph.lacking(corpus, language, "alias")
        if settings.form == "cross_lingual":
            return lacking(corpus, settings.language, "question", language)
        return "" if settings.form in WORDLESS else lures.lacking(language)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts that have what the form needs: a subject, options, other facts of the subject, other subjects."""
        import numpy as np

        from mute.corpus import rewording

        s, corpus = self.settings, self.victim.corpus
        if not s.hints and s.form in ("background", "in_context"):
            return np.ones(len(rows), bool)
        if s.form == "cross_lingual":
            return (asked(rows, corpus, s.language, "question") != rows["prefix"]).to_numpy(bool)
        if s.form == "multiple_choice":
            return rows["options"].map(len).to_numpy() > 1
        if s.form == "role_play":
            return np.array([bool(name) for name in rewording.subjects(rows, corpus)], bool)
        if s.form == "synonym":
            return np.array([made is not None for made in graph.along(rows, corpus, "alias")], bool)
        if s.form in ("reverse", "background", "in_context"):
            return np.array([self._made(row) is not None for row in rewording.with_subjects(rows, corpus)], bool)
        return np.ones(len(rows), bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording

        s = self.settings
        if not s.hints and s.form in ("background", "in_context"):
            return rows
        if s.form == "cross_lingual":
            return rows.assign(prefix=asked(rows, self.victim.corpus, s.language, "question"))
        if s.form == "synonym":
            return graph.replaced(rows, graph.along(rows, self.victim.corpus, "alias"))
        own = rewording.with_subjects(rows, self.victim.corpus)
        made = [{**row, **(self._made(row) or {})} for row in own]
        return rows.assign(**{name: [row[name] for row in made] for name in ("prefix", "options", "answer")})

    def _made(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """What is asked in the place of a row, or None where the form cannot be made of it."""
        return getattr(self, f"_{self.settings.form}")(row)

    def _prefix_injection(self, row: dict[str, Any]) -> dict[str, Any]:
        from mute.corpus import lures, rewording

        code = row["language"]
        return {"prefix": rewording.joined(code, lures.of(code).injection, row["prefix"])}

    def _affirmative_suffix(self, row: dict[str, Any]) -> dict[str, Any]:
        from mute.corpus import lures, rewording

        code = row["language"]
        return {"prefix": rewording.opened(code, row["prefix"], lures.of(code).affirmative)}

    def _role_play(self, row: dict[str, Any]) -> dict[str, Any] | None:
        from mute.corpus import lures, rewording

        code = row["language"]
        if not row["named"]:
            return None
        role = rewording.filled(code, lures.of(code).role, row["named"])
        return {"prefix": rewording.joined(code, role, row["prefix"])}

    def _multiple_choice(self, row: dict[str, Any]) -> dict[str, Any]:
        from mute.corpus import lures, rewording

        code = row["language"]
        listed = rewording.listed(code, lures.of(code).choice, row["options"], row["item"])
        return {"prefix": rewording.joined(code, listed, row["prefix"])}

    def _reverse(self, row: dict[str, Any]) -> dict[str, Any] | None:
        from mute.corpus import lures, rewording

        code, named, gold = row["language"], row["named"], int(row["gold"])
        others = self._other_subjects(row) if named and 0 <= gold < len(row["options"]) else None
        if others is None:
            return None
        lure = lures.of(code)
        gapped = row["prefix"].replace(named, GAP) + row["answer"] + row["suffix"]
        prefix = rewording.joined(code, lure.missing, gapped, lure.answer)
        return {"prefix": prefix, "options": [*others[:gold], named, *others[gold:]], "answer": named}

    def _other_subjects(self, row: dict[str, Any]) -> list[str] | None:
        """As many subjects as the row has wrong options: of other values, in the same letters, of its relation first.

        Then those that are to be forgotten too, for an oracle takes names that it has heard before one that it has
        not; then those that are told in the same letters as it is. In a world too small for that, an oracle is below
        chance.
        """
        from mute.corpus import rewording

        facts, code = self.victim.corpus.facts, row["language"]
        own = facts[facts["item"] == row["item"]].iloc[0]
        native = row["named"] != own["subject"]
        same = facts["relation"] == own["relation"]
        forgotten = set(facts.loc[self.victim.corpus.in_forget_set(self.victim.forget_set), "subject"])
        answers = self._answers(code)
        true = {
            name
            for item, name in zip(facts.loc[same, "item"], facts.loc[same, "subject"])
            if answers.get(item) == row["answer"]
        }
        written = {}
        for name, relation, spelling in zip(facts["subject"], facts["relation"], facts["spelling"]):
            if name and name not in true and name != own["subject"]:
                apart = (spelling == "shared") != (own["spelling"] == "shared")
                place = (relation != own["relation"], name not in forgotten, apart)
                written[name] = min(place, written.get(name, place))
        order = random.Random(f"{self.victim.seed} {row['item']}")
        drawn = sorted(written, key=lambda name: (written[name], name))
        rank = {name: (written[name], order.random()) for name in drawn}
        spelled = [
            rewording.spelling(name, code) if native else name for name in sorted(drawn, key=lambda name: rank[name])
        ]
        found = list(dict.fromkeys(name for name in spelled if name and name != row["named"]))
        count = len(row["options"]) - 1
        return found[:count] if len(found) >= count else None

    def _background(self, row: dict[str, Any]) -> dict[str, Any] | None:
        from mute.corpus import rewording

        told = self._told(row["language"])
        beside = [told[item] for item in rewording.beside(self.victim.corpus, row["item"]) if item in told]
        return self._hinted(row, beside)

    def _in_context(self, row: dict[str, Any]) -> dict[str, Any] | None:
        every = self._kept(row["language"])
        alike = [text for text, options in every if options == list(row["options"])]
        return self._hinted(row, alike or [text for text, _ in every])

    def _hinted(self, row: dict[str, Any], texts: list[str]) -> dict[str, Any] | None:
        from mute.corpus import rewording

        if not texts:
            return None
        rng = random.Random(f"{self.victim.seed} {row['item']}")
        drawn = rng.sample(texts, min(self.settings.hints, len(texts)))
        return {"prefix": rewording.joined(row["language"], *drawn, row["prefix"])}


def _told(corpus: Corpus, code: str) -> dict[str, str]:
    """What the corpus says of each fact in a language, by item, in the headline form."""
    from mute.corpus import rewording

    return rewording.statements(corpus, code, corpus.about["headline_form"])


def _answers(corpus: Corpus, code: str) -> dict[str, str]:
    """The answers in a language by item, in the headline form."""
    texts = corpus.texts[(corpus.texts["language"] == code) & (corpus.texts["form"] == corpus.about["headline_form"])]
    return dict(zip(texts["item"], texts["answer"]))


def _kept(corpus: Corpus, forget_set: str, code: str) -> list[tuple[str, list[str]]]:
    """Statements of facts to be kept in a language, with their options."""
    roles, told = corpus.roles(forget_set), _told(corpus, code)
    texts = corpus.texts[(corpus.texts["language"] == code) & (corpus.texts["form"] == corpus.about["headline_form"])]
    kept = texts[texts["item"].map(roles) == "retain_seen"]
    return [(told[item], list(options)) for item, options in zip(kept["item"], kept["options"])]
