"""Cross-lingual: the question, or its subject alone, as another language writes it.

After the cross-lingual form of RWKU (arXiv 2406.10890), as a matrix: the language of the subject by that of the
question. Options stay in the language of the answer, which is asked for in either case. A question in its own language
is the question itself: there it cannot be tried, for nothing could come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(base.Settings):
    """Cross-lingual."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"language": ()}

    language: str = Field("en", description="The other language, of the corpus if the question is to be in it.")
    part: Literal["question", "subject"] = Field("question", description="What is in the other language.")


class CrossLingual(base.Attack[Settings]):
    name = "cross_lingual"
    paper = "RWKU 2024, arXiv 2406.10890"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        return lacking(corpus, settings.language, settings.part, language)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts that the other language has, or names in other letters."""
        s = self.settings
        return (asked(rows, self.victim.corpus, s.language, s.part) != rows["prefix"]).to_numpy(bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        s = self.settings
        return rows.assign(prefix=asked(rows, self.victim.corpus, s.language, s.part))


def lacking(corpus: Corpus, language: str, part: str, own: str) -> str:
    """Why questions of a language cannot be asked so, or ''."""
    from mute.corpus import lures

    if own == language:
        return f"a {part} in {language} is what is asked there as it is"
    if part == "question":
        return "" if language in corpus.about["languages"] else f"the corpus has no questions in {language}"
    pack = lures.pack(language)
    if pack is None:
        return f"there is no language pack of {language} to spell a subject by"
    mine = lures.pack(own)
    if not pack.syllables and (mine is None or not mine.syllables):
        return f"{own} and {language} spell a subject alike"
    return ""


def asked(rows: pd.DataFrame, corpus: Corpus, language: str, part: str) -> pd.Series:
    """The prefixes, or their subjects, in another language; as they are where that has none."""
    from mute.corpus import rewording

    if part == "question":
        return rewording.in_language(rows, corpus, language)["prefix"]
    made, names = [], rewording.names(rows, corpus)
    for prefix, code, name, named in zip(rows["prefix"], rows["language"], names, rewording.subjects(rows, corpus)):
        other = rewording.spelling(name, language) if name and code != language else ""
        made.append(prefix.replace(named, other) if named and other else prefix)
    return rows.assign(prefix=made)["prefix"]
