"""Reintroduction: what was to be forgotten is said again before the question, at one of five levels.

UnUnlearning, Shumailov et al. 2024, arXiv 2407.00106 (a position paper; the levels are ours). 0: the question alone.
1: as many characters of sentences that state no fact. 2: the fact told of a name that nobody has, and that this is the
subject by another name. 3: the fact in another language. 4: the fact in its own language, word by word.

No removal can beat a model that never knew, and that one reads level 4 as well: what counts is the difference to the
oracle. Near 0 it is as ununlearnable as what was never taught, and not robust; far below 0 at level 4, the ability to
read about the subject is gone, as behind a filter of its name. Level 1 is the control: it must bring nothing back.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(base.Settings):
    """Reintroduction."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"language": ("",)}

    level: Literal[0, 1, 2, 3, 4] = Field(4, description="How much is said again: 0 nothing, 4 the fact itself.")
    language: str = Field(
        "", description="The other language of level 3; empty: the first of the corpus that is not the question's."
    )


class Reintroduction(base.Attack[Settings]):
    name = "reintroduction"
    paper = "UnUnlearning 2024, arXiv 2407.00106"
    access = "questions"
    Settings = Settings

    def __init__(self, settings: Settings, victim: base.Victim) -> None:
        super().__init__(settings, victim)
        self._facts = cache(partial(_facts, victim.corpus))
        self._names = dict(zip(victim.corpus.facts["item"], victim.corpus.facts["subject"]))

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures

        if settings.level == 1 and lures.pack(language) is None:
            return f"there is no language pack of {language} whose sentences state no fact"
        if settings.level == 2:
            return lures.lacking(language)
        if settings.level == 3 and not _other(settings, corpus, language):
            return "the corpus has no other language to say the fact in"
        return ""

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts that name a subject, for level 2, or that the other language has, for level 3."""
        import numpy as np

        if self.settings.level not in (2, 3):
            return np.ones(len(rows), bool)
        return np.array([bool(self._said(row)) for row in rows.to_dict("records")], bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording

        if not self.settings.level:
            return rows
        own = rows.to_dict("records")
        return rows.assign(prefix=[rewording.joined(row["language"], self._said(row), row["prefix"]) for row in own])

    def _said(self, row: dict[str, Any]) -> str:
        """What is said before a question; '' where it cannot be."""
        level, code, item = self.settings.level, row["language"], row["item"]
        if level == 3:
            return self._facts(_other(self.settings, self.victim.corpus, code)).get(item, "")
        fact = self._facts(code).get(item, "")
        if level == 1:
            return _irrelevant(code, len(fact), random.Random(f"{self.victim.seed} {item}"))
        return self._renamed(fact, code, item) if level == 2 else fact

    def _renamed(self, fact: str, code: str, item: str) -> str:
        """The fact told of a name that nobody has, and whose name that is."""
        from mute.corpus import lures, rewording

        named = rewording.subject(fact, code, self._names.get(item, ""))
        if not named:
            return ""
        nonce = rewording.nonce(self.victim.corpus, self.victim.seed, self._names[item])
        if named != self._names[item]:
            nonce = rewording.spelling(nonce, code)
        alias = rewording.filled(code, lures.of(code).alias, named)
        pack = lures.pack(code)
        if pack is not None:
            alias = pack.insert(alias.replace("{n}", "{s}"), nonce)
        return rewording.joined(code, fact.replace(named, nonce), alias)


def _other(settings: Settings, corpus: Corpus, language: str) -> str:
    """The language of level 3; '' where there is none."""
    codes = [settings.language] if settings.language else list(corpus.about["languages"])
    return next((code for code in codes if code != language and code in corpus.about["languages"]), "")


def _facts(corpus: Corpus, code: str) -> dict[str, str]:
    """The facts of a language as unlearning reads them first, by item."""
    from mute.corpus import rewording

    return rewording.statements(corpus, code, corpus.about["unlearning_forms"][0])


def _irrelevant(code: str, length: int, rng: random.Random) -> str:
    """Sentences that state no fact, about as many characters as the length says."""
    from mute.corpus import lures, rewording, romanised

    pack = lures.pack(code)
    if pack is None:
        return ""
    said: list[str] = []
    while True:
        drawn = [pack.grammar.sentence(*(rng.randrange(8) for _ in range(4))) for _ in range(64)]
        if code != romanised.base(code):
            drawn = [romanised.romanise(sentence) for sentence in drawn]
        left = length - len(rewording.joined(code, *said))
        best = min(drawn, key=lambda sentence: abs(len(sentence) - left))
        # Another one that makes it no nearer is one too many.
        if said and abs(left - len(best) - 1) >= abs(left):
            return rewording.joined(code, *said)
        said.append(best)
