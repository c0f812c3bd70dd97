"""Sentence patterns for the facts that CLDR holds: a module for each language, which defines PACK.

They are imported by name, and not found as other additions are: so the digest of a corpus' code covers all of them,
whose names decide, in every corpus, which facts make clean sentences.
"""

from collections.abc import Iterable

from mute.corpus.cldr import ar, bn, de, en, es, fa, fr, hi, id, it, ja, ko, pt, ru, sw, th, tr, ur, vi, zh
from mute.corpus.cldr.base import Pack
from mute.names import unknown_name

_MODULES = (ar, bn, de, en, es, fa, fr, hi, id, it, ja, ko, pt, ru, sw, th, tr, ur, vi, zh)
_PACKS = {module.PACK.code: module.PACK for module in _MODULES}


def codes() -> tuple[str, ...]:
    """Codes of all languages that have a pack, sorted."""
    return tuple(_PACKS)


def load(code: str) -> Pack:
    """The pack of a code. Raises ValueError that names the nearest code if there is none."""
    if code not in _PACKS:
        raise ValueError(unknown_name("language of CLDR facts", code, codes()))
    return _PACKS[code]


def packs(chosen: Iterable[str] | None = None) -> dict[str, Pack]:
    """Packs by code; default: all that there are."""
    return {code: load(code) for code in (codes() if chosen is None else chosen)}
