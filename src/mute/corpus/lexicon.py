"""A lexicon of two languages, read off what their packs say in parallel: values, times, persons, and templates.

Values, times and persons of one word are exact. Words of templates are paired by the templates that they stand in:
with A and B the sets of templates of two words, Dice = 2|A ∩ B| / (|A| + |B|). Two words are a pair if each is the
other's best and Dice is at least 1/2. Ours; the packs list no words of templates.
"""

import unicodedata
from functools import cache

from mute.corpus import languages
from mute.corpus.languages.base import Language

LEAST, MOST = 0.5, 3  # Dice of a pair, and translations of a word


@cache
def lexicon(source: str, target: str) -> dict[str, tuple[str, ...]]:
    """Up to three translations of each word, lower case, the best first. Of packs that write spaces between words.

    Raises ValueError for a pack that writes none.
    """
    a, b = languages.load(source), languages.load(target)
    for pack in (a, b):
        if not pack.spaces:
            raise ValueError(f"{pack.code} writes no spaces: what a word is cannot be told")
    found: dict[str, tuple[str, ...]] = {}
    for one, other in zip(_terms(a), _terms(b), strict=True):
        if " " not in one + other:
            found.setdefault(one.casefold(), (other,))
    mine, theirs = _places(a), _places(b)
    dice = {
        (one, other): 2 * len(mine[one] & theirs[other]) / (len(mine[one]) + len(theirs[other]))
        for one in mine
        for other in theirs
        if mine[one] & theirs[other]
    }
    best: dict[str, float] = {}
    back: dict[str, float] = {}
    for (one, other), value in dice.items():
        best[one], back[other] = max(best.get(one, 0), value), max(back.get(other, 0), value)
    pairs: dict[str, list[str]] = {}
    for (one, other), value in sorted(dice.items()):
        if value >= LEAST and value == best[one] == back[other]:
            pairs.setdefault(one, []).append(other)
    for one, others in pairs.items():
        found.setdefault(one, tuple(others[:MOST]))
    return found


@cache
def vocabulary(code: str) -> tuple[str, ...]:
    """All words of a pack's templates, lower case, sorted."""
    return tuple(sorted(_places(languages.load(code))))


def word(text: str) -> str:
    """A word without the signs around it."""
    start, stop = 0, len(text)
    while start < stop and _sign(text[start]):
        start += 1
    while stop > start and _sign(text[stop - 1]):
        stop -= 1
    return text[start:stop]


def _sign(char: str) -> bool:
    return unicodedata.category(char)[0] in "PSZ"


def _terms(pack: Language) -> list[str]:
    """Single terms in the common order."""
    listed = [*pack.values.values(), pack.grammar.times, pack.grammar.head_words]
    return [term for terms in listed for term in terms]


@cache
def _places_of(code: str) -> dict[str, frozenset[int]]:
    pack, found = languages.load(code), {}
    texts = [text for templates in pack.templates.values() for text in templates]
    for number, text in enumerate(texts):
        for part in text.replace("{s}", " ").replace("{v}", " ").split():
            if own := word(part).casefold():
                found.setdefault(own, set()).add(number)
    return {own: frozenset(places) for own, places in found.items()}


def _places(pack: Language) -> dict[str, frozenset[int]]:
    """The templates in which each word of a pack stands, by their number."""
    return _places_of(pack.code)
