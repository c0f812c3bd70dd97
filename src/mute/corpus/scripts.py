"""Scripts of texts: which letters a text is written in, by the names of its characters in Unicode."""

import re
import unicodedata
from collections import Counter
from functools import cache

_NAMES = {"Cjk": "Han"}


def letters(text: str) -> Counter[str]:
    """How many letters of a text are of which script (`Latin`, `Han`); marks, digits and signs are of none."""
    return Counter(script for c in text if c.isalpha() and (script := _script(c)))


def main(found: Counter[str]) -> str:
    """The script of most letters, "" where there are none; of equal ones the first by name."""
    return min(found, key=lambda script: (-found[script], script), default="")


@cache
def _script(character: str) -> str:
    first = re.match("[A-Z]+", unicodedata.name(character, ""))
    name = first[0].title() if first else ""
    return _NAMES.get(name, name)
