"""Code switching: a share of a question's words is said in another language.

The corruption is that of CSR4mBART, 2022, arXiv 2204.07834 (words by a lexicon, singly or in spans of Poisson length
3.5); that it is an attack is ours. Of W words (rate W) are replaced, rounded up or down by lot so that the mean is
right; words without an entry stay, and a question with too few entries is not asked. The subject is no such word: it is
kept, or switched to its spelling in the other language.

The control `words: random` puts in the same places any words of the other language's templates.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus

OTHER = "other"
SPAN = 3.5  # mean length of a span


class Settings(base.Settings):
    """Code switching."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"into": (OTHER,)}

    rate: float = Field(0.35, ge=0, le=1, description="Share of the words that are replaced.")
    mode: Literal["word", "span"] = Field(
        "word", description="Single words, or spans of a length drawn from Poisson(3.5)."
    )
    into: str = Field(
        OTHER, description="The other language: a code, or `other`, one of the corpus's drawn for each question."
    )
    subject: Literal["kept", "switched"] = Field("kept", description="In which language's spelling the subject is.")
    words: Literal["translated", "random"] = Field(
        "translated", description="What is put in: translations, or as a control any words of the other language."
    )


class CodeSwitch(base.Attack[Settings]):
    name = "code_switch"
    paper = "CSR4mBART 2022, arXiv 2204.07834; as an attack ours"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        if not _has_words(language):
            return f"there is no lexicon of {language}: it has no language pack, or its words stand without spaces"
        if settings.into == language:
            return "it is the language that words are switched into"
        return "" if _targets(settings, corpus, language) else "there is no other language with a lexicon"

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Questions that have entries enough; where the subject alone is switched, those whose subject has others."""
        import numpy as np

        from mute.corpus import rewording

        if not self.settings.rate:
            kept = self.settings.subject == "kept"
            return np.ones(len(rows), bool) if kept else (self.questions(rows)["prefix"] != rows["prefix"]).to_numpy()
        own = rewording.with_subjects(rows, self.victim.corpus)
        return np.array([self._switched(row) is not None for row in own], bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording

        if not self.settings.rate and self.settings.subject == "kept":
            return rows
        own = rewording.with_subjects(rows, self.victim.corpus)
        return rows.assign(prefix=[self._switched(row) or row["prefix"] for row in own])

    def _switched(self, row: dict[str, Any]) -> str | None:
        """The prefix with words in another language; None where it has too few that can be."""
        from mute.corpus import lexicon, rewording

        s, code, prefix, named = self.settings, row["language"], row["prefix"], row["named"]
        rng = random.Random(f"{self.victim.seed} {row['item']} {code} {row['form']}")
        into = rng.choice(_targets(s, self.victim.corpus, code))
        known = lexicon.lexicon(code, into)
        # A subject is one word, and none that can be replaced.
        words = [list(match.span()) for match in re.finditer(r"\S+", prefix)]
        cores = [lexicon.word(prefix[a:b]) for a, b in words]
        places = [
            i for i, core in enumerate(cores) if core.casefold() in known and not (named and named in core) and core
        ]
        wanted = math.floor(s.rate * len([core for core in cores if core]) + rng.random())
        if wanted > len(places) and s.rate:
            return None
        chosen = _chosen(places, len(words), wanted, s.mode, rng)
        parts = [prefix[a:b] for a, b in words]
        for i in sorted(chosen):
            other = rng.choice(known[cores[i].casefold()])
            if s.words == "random":
                other = rng.choice(lexicon.vocabulary(into))
            parts[i] = parts[i].replace(cores[i], other[0].title() + other[1:] if cores[i][0].isupper() else other)
        made, last = "", 0
        for (a, b), part in zip(words, parts):
            made, last = made + prefix[last:a] + part, b
        made += prefix[last:]
        if s.subject == "switched" and named:
            name = self.victim.corpus.facts.set_index("item").at[row["item"], "subject"]
            made = made.replace(named, rewording.spelling(name, into) or named)
        return made


def _chosen(places: list[int], count: int, wanted: int, mode: str, rng: random.Random) -> set[int]:
    """Which of the places are replaced, of so many words in all: single ones, or those in spans, in their order."""
    if mode == "word" or wanted in (0, len(places)):
        return set(rng.sample(places, wanted))
    chosen: set[int] = set()
    while len(chosen) < wanted:
        start, length = rng.randrange(count), max(1, _poisson(SPAN, rng))
        for place in range(start, start + length):
            if place in places and len(chosen) < wanted:
                chosen.add(place)
    return chosen


def _poisson(mean: float, rng: random.Random) -> int:
    """A draw, by multiplying uniform numbers (Knuth)."""
    product, count, least = rng.random(), 0, math.exp(-mean)
    while product > least:
        product *= rng.random()
        count += 1
    return count


def _targets(settings: Settings, corpus: Corpus, language: str) -> list[str]:
    """Languages that words can be switched into."""
    codes = corpus.about["languages"] if settings.into == OTHER else [settings.into]
    return [code for code in codes if code != language and _has_words(code)]


def _has_words(code: str) -> bool:
    from mute.corpus import languages

    return code in languages.codes() and languages.load(code).spaces
