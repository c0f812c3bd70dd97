"""What relearning brings back across languages: taught in one, asked in another; and recovery as fractions.

A cell's `recovery` is its knowledge K after an attack less that of the oracle after the same one, fact by fact. With
one relearning attack for each language s, its scores in languages t are the matrix recovery[s, t].
"""

import math
from collections.abc import Mapping

import pandas as pd

from mute.bands import KEYS

_MATRIX = [*KEYS, "attack", "taught", "asked", "value", "low", "high", "n", "overlap"]
_FRACTIONS = [*KEYS, "language", "group", "cell", "oracle", "difference"]


def taught_in(attacks: Mapping[str, Mapping], method: str = "relearning") -> dict[str, str]:
    """Of the attacks of a study, by name with `method` and settings, those that teach one language, and which."""
    found = {name: own.get("language", "") for name, own in attacks.items() if own.get("method", name) == method}
    return {name: code for name, code in found.items() if code not in ("", "sources")}


def matrix(scores: pd.DataFrame, taught: Mapping[str, str], pairs: pd.DataFrame) -> pd.DataFrame:
    """The matrix in long format, one row per cell, language that was taught, and language that was asked.

    scores: the study's table. taught: by attack, the language. pairs: its table `languages`, of which `overlap`, the
    shared mass (0 to 1) of the distributions of subwords, stands beside each pair, and 1 beside a language and itself;
    NaN where nobody has said it. value is in units of K, 0: no more than an oracle gains; low, high: its interval over
    n facts. A few dozen facts of one training tell no order of languages: intervals of neighbours overlap.

    Raises ValueError if two attacks teach the same language.
    """
    if len(set(taught.values())) < len(taught):
        raise ValueError(f"two attacks teach the same language: {dict(taught)}")
    own = scores[(scores["metric"] == "recovery") & scores["attack"].isin(list(taught))]
    own = own[own["language"].fillna("") != ""]
    own = own.assign(taught=own["attack"].map(taught), asked=own["language"])
    known = {frozenset(two): value for *two, value in zip(pairs["language"], pairs["other"], pairs["overlap"])}
    overlap = [
        1.0 if one == other else known.get(frozenset((one, other)), math.nan)
        for one, other in zip(own["taught"], own["asked"])
    ]
    return own.assign(overlap=overlap)[_MATRIX].reset_index(drop=True)


def fraction(attacked: float, before: float, base: float = 1.0) -> float:
    """How much of what was lost an attack brings back, (attacked - before) / (base - before).

    Of accuracies, or of K, where the base's is 1: the same number. 0 nothing, 1 all; NaN where nothing was lost.
    """
    return (attacked - before) / (base - before) if base != before else math.nan


def fractions(scores: pd.DataFrame, attack: str, before: str, metric: str = "R") -> pd.DataFrame:
    """Fractions of cell and oracle, and their difference, one row per cell, language and group.

    before: an attack of the same method and settings that does nothing (`steps: 0`), so that both are asked the same
    questions. Rows where either has no score are left out; fractions of a few facts have no interval of their own.
    """
    keys = [*KEYS, "language", "group"]
    sides = []
    for name in (attack, before):
        own = scores[(scores["attack"] == name) & scores["metric"].isin([metric, f"{metric}_oracle"])]
        own = own.assign(language=own["language"].fillna(""))
        wide = own.set_index([*keys, "metric"])["value"].unstack()
        sides.append(wide.reindex(columns=[metric, f"{metric}_oracle"]))
    both = pd.concat(sides, axis=1, join="inner")
    rows = []
    for key, row in zip(both.index, both.itertuples(index=False)):
        cell, oracle = fraction(row[0], row[2]), fraction(row[1], row[3])
        rows.append((*key, cell, oracle, cell - oracle))
    return pd.DataFrame(rows, columns=_FRACTIONS)
