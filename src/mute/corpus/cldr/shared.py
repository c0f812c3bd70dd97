"""What two names share: a stem by which an answer can be read off a country, or a whole name inside another."""

import re
import unicodedata
from collections.abc import Iterable

from mute.corpus.cldr.base import Pack

_STEM = 4  # letters that the beginnings of two words must share
_WHOLE = 3  # letters of a word that two names may share as it is


def stem_shared(pack: Pack, country: str, answer: str) -> bool:
    """Whether two names have a word stem in common, judged by their letters alone, rather too often than too seldom."""
    a, b = _folded(country), _folded(answer)
    if not pack.spaces or pack.script == "Hangul":
        return _run_shared(a, b)
    return any(_words_alike(x, y) for x in _words(pack, a) for y in _words(pack, b))


def contains(pack: Pack, text: str, name: str) -> bool:
    """Whether a name stands in a text; between the edges of words, where words are written apart."""
    if not pack.spaces or pack.script == "Hangul":
        return name.casefold() in text.casefold()
    text, name = text.casefold(), name.casefold()
    starts = (i for i in range(len(text) - len(name) + 1) if text.startswith(name, i))
    return any(not _in_word(text[:i][-1:]) and not _in_word(text[i + len(name) :][:1]) for i in starts)


def clash(one: str, other: str) -> bool:
    """Whether two options are one answer, or one begins the other: no score could tell them apart."""
    a, b = one.casefold(), other.casefold()
    return a.startswith(b) or b.startswith(a)


def _folded(name: str) -> str:
    """Small letters without accents. Marks that are vowels or change a sound stay."""
    name = name.casefold()
    if any("\u3040" <= c <= "\u30ff" or "\uac00" <= c <= "\ud7a3" for c in name):
        return name
    marks = "".join(c for c in unicodedata.normalize("NFKD", name) if not "\u0300" <= c <= "\u036f")
    return re.sub("[\u064b-\u0655\u200c]", "", marks)


def _words(pack: Pack, name: str) -> Iterable[str]:
    for word in re.split(r"[\s\-–—’'.]+", name):
        prefix = next((p for p in pack.prefixes if word.startswith(p) and len(word) > len(p) + 2), "")
        yield word.removeprefix(prefix)


def _words_alike(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    begun = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), len(short))
    return begun >= _STEM or (len(short) >= _WHOLE and a == b) or (len(short) >= _STEM and short in long)


def _run_shared(a: str, b: str) -> bool:
    """A run of three signs in common, or the whole of the shorter name."""
    short, long = sorted((a, b), key=len)
    if any(short[i : i + 3] in long for i in range(len(short) - 2)) or (len(short) > 1 and short in long):
        return True
    # What is left of a name with one ideograph or syllable of the country's: 法国 and 法语, 俄罗斯 and 俄语.
    return len(b) == 2 and a[:1] == b[:1]


def _in_word(sign: str) -> bool:
    """Whether a sign is part of a word: a letter, a number, a mark on a letter, or what joins two without a space."""
    return bool(sign) and (unicodedata.category(sign)[0] in "LMN" or sign == "\u200c")
