"""Language prefix: the answer begins with the head of an answer in some language ("La respuesta es: ").

After Florenz, 2025, arXiv 2503.09443 (the idea; the form is ours): a head in another language may call up what the
question's own language no longer does. Its controls are no head, one in a wrong language, and one of the same length
that means nothing: its letters, shuffled.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mute.attacks import base
from mute.corpus import lures

if TYPE_CHECKING:
    import pandas as pd

    from mute.corpus.schema import Corpus

KINDS = ("none", "own", "wrong", "meaningless")


class Settings(base.Settings):
    """Language prefix."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"language": KINDS}

    language: str = Field(
        "own",
        description="In which language the head is: a code; `own`, that of the question; `wrong`, the next of the "
        "corpus; `meaningless`, letters of the own one shuffled; `none`, no head.",
    )


class LanguagePrefix(base.Attack[Settings]):
    name = "language_prefix"
    paper = "Florenz 2025, arXiv 2503.09443; form ours"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        spoken = cls._spoken(settings, corpus, language)
        if not spoken:
            return "" if settings.language == "none" else "the corpus has no other language with lures"
        return lures.lacking(spoken)

    @staticmethod
    def _spoken(settings: Settings, corpus: Corpus, language: str) -> str:
        """The language of the head; '' for no head."""
        if settings.language == "none":
            return ""
        if settings.language == "wrong":
            codes = list(corpus.about["languages"])
            place = codes.index(language) if language in codes else 0
            return next((c for c in codes[place + 1 :] + codes[:place] if not lures.lacking(c)), "")
        return language if settings.language in KINDS else settings.language

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording

        if self.settings.language == "none":
            return rows
        heads = {}
        for code in dict.fromkeys(rows["language"]):
            head = lures.of(self._spoken(self.settings, self.victim.corpus, code)).answer
            heads[code] = shuffled(head) if self.settings.language == "meaningless" else head
        prefixes = [rewording.opened(code, p, heads[code]) for p, code in zip(rows["prefix"], rows["language"])]
        return rows.assign(prefix=prefixes)


def shuffled(text: str) -> str:
    """The letters of a text in another order, and all else where it stood; the same for the same text."""
    from mute.corpus import rewording

    parts = rewording.letters(text)
    places = [i for i, part in enumerate(parts) if part[0].isalpha()]
    own = [parts[i] for i in places]
    random.Random(text).shuffle(own)
    if [parts[i] for i in places] == own:
        own = own[1:] + own[:1]
    for i, part in zip(places, own):
        parts[i] = part
    return "".join(parts)
