"""What a language says to draw an answer out, by its code, whatever the source of a corpus."""

from dataclasses import fields, replace
from functools import cache

from mute.corpus import languages, romanised
from mute.corpus.languages.base import Language, Lures


def pack(code: str) -> Language | None:
    """The pack of a language, of a romanised one that of its base; None where there is none."""
    own = romanised.base(code)
    return languages.load(own) if own in languages.codes() else None


def lacking(code: str) -> str:
    """Why there are no lures in a language, in words; '' where there are."""
    own = pack(code)
    if own is None:
        return f"there is no language pack of {code}"
    return "" if own.lures else f"the language pack of {romanised.base(code)} has no lures"


@cache
def of(code: str) -> Lures:
    """The lures of a language, of a romanised one in Latin letters. Raises KeyError where it lacks them."""
    own = pack(code)
    if own is None or own.lures is None:
        raise KeyError(lacking(code))
    if code == romanised.base(code):
        return own.lures
    said = {field.name: getattr(own.lures, field.name) for field in fields(own.lures)}
    return replace(
        own.lures,
        **{
            name: romanised.romanise(text) if isinstance(text, str) else tuple(map(romanised.romanise, text))
            for name, text in said.items()
        },
    )
