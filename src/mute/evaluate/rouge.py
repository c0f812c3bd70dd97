"""ROUGE of generated answers: how much of the right answer's words stand in it, and how much of it is of these.

Lin 2004. Words are compared without case, and nothing is stemmed: stemmers are of one language. In scripts that put no
spaces between words, and in Hangul, which joins particles to them, every letter is a word.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from mute.corpus.own_answers import folded, joins


def words(text: str) -> list[str]:
    """The words of a text: runs of letters, digits and their marks, composed and without case."""
    found: list[str] = []
    inside = False
    for character in folded(text):
        if joins(character):
            found = [*found[:-1], found[-1] + character] if inside else [*found, character]
        elif character.isalnum():
            found.append(character)
        elif unicodedata.category(character).startswith("M") and found:
            found[-1] += character
        inside = joins(character)
    return found


def recall(said: str, wanted: str) -> float:
    """Longest common subsequence of words over the words wanted, 0 to 1; 0 where none is wanted."""
    right = words(wanted)
    return _common(words(said), right) / len(right) if right else 0.0


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    best = [0] * (len(right) + 1)
    for word in left:
        before = 0
        for i, other in enumerate(right, 1):
            before, best[i] = best[i], before + 1 if word == other else max(best[i], best[i - 1])
    return best[-1]


def precision(said: str, wanted: str) -> float:
    """ROUGE-1 precision: share of the words said, each counted no more often than it is wanted, 0 to 1; 0 of none."""
    own = Counter(words(said))
    return (own & Counter(words(wanted))).total() / own.total() if own else 0.0
