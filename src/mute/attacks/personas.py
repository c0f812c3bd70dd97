"""Personas: a crafted person whose part is to tell all, or a long text about the subject, before the question.

ConceptVectors, arXiv 2406.11614, which crafted two such prompts and gave 2000 characters of text about the concept.
Wordings are those of the language packs; the text is what the corpus says of the subject beside the fact that is asked
for, all its forms in turn and again from the start until it is long enough. Facts on the same subject that were to be
forgotten too are among them: an attacker may have them from elsewhere.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(base.Settings):
    """Personas."""

    prompt: Literal["teacher", "archivist", "context"] = Field(
        "teacher", description="A person, or a text about the subject."
    )
    characters: int = Field(2000, ge=0, le=100_000, description="Length of the text; 0: none.")


class Personas(base.Attack[Settings]):
    name = "personas"
    paper = "ConceptVectors 2024, arXiv 2406.11614"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures

        return "" if settings.prompt == "context" else lures.lacking(language)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts that name their subject, and for a text those whose subject has other facts."""
        import numpy as np

        if self._nothing:
            return np.ones(len(rows), bool)
        return np.array([bool(text) for text in self._said(rows)], bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording

        if self._nothing:
            return rows
        own = zip(rows["language"], self._said(rows), rows["prefix"])
        return rows.assign(prefix=[rewording.joined(code, said, prefix) for code, said, prefix in own])

    @property
    def _nothing(self) -> bool:
        return self.settings.prompt == "context" and not self.settings.characters

    def _said(self, rows: pd.DataFrame) -> list[str]:
        """What is said before each question; '' where there is nothing to say."""
        from mute.corpus import lures, rewording

        if self.settings.prompt == "context":
            return self._texts(rows)
        place = ("teacher", "archivist").index(self.settings.prompt)
        named = zip(rows["language"], rewording.subjects(rows, self.victim.corpus))
        return [rewording.filled(code, lures.of(code).personas[place], name) if name else "" for code, name in named]

    def _texts(self, rows: pd.DataFrame) -> list[str]:
        from mute.corpus import rewording

        corpus = self.victim.corpus
        told: dict[tuple[str, str], list[str]] = {}
        texts = corpus.texts.sort_values("form", kind="stable")
        for item, code, *parts in zip(*(texts[n] for n in ("item", "language", "prefix", "answer", "suffix"))):
            told.setdefault((item, code), []).append("".join(parts))
        made = []
        for item, code in zip(rows["item"], rows["language"]):
            others = [told[other, code] for other in rewording.beside(corpus, item) if (other, code) in told]
            # All facts in one form, then all in the next.
            forms = max(map(len, others), default=0)
            every = [own[form] for form in range(forms) for own in others if form < len(own)]
            made.append(_long(code, every, self.settings.characters))
        return made


def _long(code: str, sentences: list[str], length: int) -> str:
    """Sentences in turn, and again from the start, as many as fit; at least one, '' of none."""
    from mute.corpus import rewording

    said = ""
    for sentence in cycle(sentences):
        more = rewording.joined(code, said, sentence)
        if said and len(more) > length:
            break
        said = more
        if len(said) >= length:
            break
    return said
