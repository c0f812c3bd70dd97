"""Answers that a forget set has to itself, and which texts hold one: no oracle may read these.

An answer belongs to a forget set alone if one of its facts has it, in any form and language, and no fact that the
oracle is taught has it as its answer. Where the two share an answer (French is spoken in France and in Quebec) the
oracle learns the word by the other fact, as anybody does who was taught all but the forget set: such an answer is not
the forget set's own. Facts to retain are taught whole, whatever their questions mention: they are not to be forgotten,
and `mentions` says which of them name an answer of the forget set's own.

Texts are compared as readers see them: letters composed (NFC), without case, spaces of any length alike, and by whole
words where a script puts spaces between them.
"""

import unicodedata
from collections.abc import Collection, Iterable

import pandas as pd

from mute.corpus.schema import Corpus

# Scripts that write no spaces between words (Thai, Lao, Tibetan; Myanmar; Khmer; all in Han, kana or beside them), and
# Hangul, which joins particles to words. In these a word may begin and end anywhere.
_SPACELESS = (
    (0x0E00, 0x0FFF),
    (0x1000, 0x11FF),
    (0x1780, 0x17FF),
    (0x3005, 0x318F),
    (0x3400, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
)
_RARE_HAN = 0x20000


def folded(text: str) -> str:
    """A text as it is compared: composed, without case, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def joins(character: str) -> bool:
    """Whether a word goes on with this character, so that none begins or ends beside it."""
    if not (character.isalnum() or unicodedata.category(character).startswith("M")):
        return False
    code = ord(character)
    return code < _RARE_HAN and not any(first <= code <= last for first, last in _SPACELESS)


class Phrases:
    """Words and sentences that are looked for in texts, all of them at once."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_start: dict[str, dict[int, set[str]]] = {}
        for phrase in filter(None, map(folded, phrases)):
            self._by_start.setdefault(phrase[0], {}).setdefault(len(phrase), set()).add(phrase)

    def __bool__(self) -> bool:
        return bool(self._by_start)

    def found(self, text: str) -> str:
        """The first phrase that stands in a text, as it is compared; "" where none does."""
        text = folded(text)
        for start, character in enumerate(text):
            for length, phrases in self._by_start.get(character, {}).items():
                end = start + length
                if text[start:end] in phrases and not _inside(text, start) and not _inside(text, end):
                    return text[start:end]
        return ""


def _inside(text: str, place: int) -> bool:
    """Whether a place is inside a word."""
    return 0 < place < len(text) and joins(text[place - 1]) and joins(text[place])


def of(corpus: Corpus, forget_set: str, taught: pd.DataFrame) -> Phrases:
    """The forget set's own answers. taught: texts of facts that the oracle learns, with a column `answer`."""
    forget = corpus.facts.loc[corpus.in_forget_set(forget_set).to_numpy(), "item"]
    return Phrases(apart(corpus.texts.loc[corpus.texts["item"].isin(forget), "answer"], taught["answer"]))


def apart(answers: Iterable[str], others: Iterable[str]) -> set[str]:
    """Answers that are none of others, as they are compared."""
    known = set(map(folded, set(others)))
    return {answer for answer in set(answers) if folded(answer) not in known}


def without(rows: pd.DataFrame, own: Phrases) -> pd.DataFrame:
    """The rows of texts (prefix, answer, suffix) that hold none of these."""
    held = [bool(own.found(text)) for text in rows["prefix"] + rows["answer"] + rows["suffix"]]
    return rows[[not each for each in held]] if any(held) else rows


def mentions(texts: pd.DataFrame, forget: Collection[str], retained: Collection[str]) -> pd.DataFrame:
    """Facts to retain in whose texts an answer of the forget set's own stands: item, language, answer; once each.

    forget, retained: ids of facts. texts: as in a corpus, of any forms and languages.
    """
    kept = texts[texts["item"].isin(retained)]
    own = Phrases(apart(texts.loc[texts["item"].isin(forget), "answer"], kept["answer"]))
    whole = kept["prefix"] + kept["answer"] + kept["suffix"]
    found = kept[["item", "language"]].assign(answer=[own.found(text) for text in whole] if own else "")
    return found[found["answer"] != ""].drop_duplicates().reset_index(drop=True)
