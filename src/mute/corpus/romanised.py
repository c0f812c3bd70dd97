"""Romanised languages: `hi_latn` is Hindi in Latin letters, made from the Hindi of any source.

A language and its script then come apart. Letters are those of the package uroman (Hermjakob et al. 2018): by rule, and
not as people type. Languages that write no vowels, or whose characters have several readings, are refused.
"""

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import pandas as pd

from mute.corpus.schema import Corpus

SUFFIX = "_latn"
UNREADABLE = {
    **dict.fromkeys(("ja", "zh"), "its characters have several readings"),
    **dict.fromkeys(("ar", "fa", "he", "ur"), "it writes no short vowels"),
}


def base(code: str) -> str:
    """The language of a code: `hi` of `hi_latn`, and of `hi`."""
    return code.removesuffix(SUFFIX)


def bases(codes: Sequence[str]) -> list[str]:
    """The languages that a source must render, each once, in order."""
    return list(dict.fromkeys(base(code) for code in codes))


def unreadable(code: str) -> str:
    """Why a language cannot be romanised; '' where it can, or is not to be."""
    return UNREADABLE.get(base(code), "") if code.endswith(SUFFIX) else ""


def build(source: ModuleType, settings: Any, codes: list[str], seed: int) -> Corpus:
    """The corpus of a source in the languages `codes`, romanised ones among them.

    Lines that take a word of another language are left out of a romanised one: half of them would be.
    """
    corpus = source.build(settings, bases(codes), seed)
    variants = [code for code in codes if code.endswith(SUFFIX)]
    if not variants:
        return corpus
    texts, lines, about = [corpus.texts], [corpus.lines], corpus.about
    scripts, unknown = dict(about.get("scripts", {})), dict(about["unknown"])
    for code in variants:
        texts.append(_romanised(corpus.texts, code))
        lines.append(_romanised(corpus.lines[corpus.lines["other"] == ""], code))
        scripts[code] = "Latin"
        if base(code) in unknown:
            unknown[code] = romanise(unknown[base(code)])
    return Corpus(
        corpus.facts,
        _only(pd.concat(texts, ignore_index=True), codes),
        _only(pd.concat(lines, ignore_index=True), codes),
        {**about, "languages": list(codes), "scripts": scripts, "unknown": unknown},
    )


def _only(table: pd.DataFrame, codes: list[str]) -> pd.DataFrame:
    """Rows in the languages that were asked for: a language may be there for its romanisation alone."""
    spoken = table["language"].isin(codes)
    if "other" in table:
        spoken &= table["other"].isin([*codes, ""])
    return table[spoken].reset_index(drop=True)


def _romanised(table: pd.DataFrame, code: str) -> pd.DataFrame:
    own = table[table["language"] == base(code)]
    words = {name: own[name].map(romanise) for name in ("prefix", "answer", "suffix")}
    options = own["options"].map(lambda listed: [romanise(option) for option in listed])
    return own.assign(language=code, options=options, **words)


@cache
def romanise(text: str) -> str:
    """A text in Latin letters; spaces at its ends stay."""
    inner = text.strip()
    if not inner:
        return text
    start = text.index(inner)
    return text[:start] + _letters().romanize_string(inner) + text[start + len(inner) :]


@cache
def _letters() -> Any:
    # Here, for it reads tables for a second.
    import uroman

    return uroman.Uroman()
