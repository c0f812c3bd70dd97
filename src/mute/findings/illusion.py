"""The erasure illusion: in how many languages facts seem gone that are there when they are asked otherwise."""

import math

import pandas as pd

from mute.evaluate.surrogates import METRICS
from mute.findings import by_language
from mute.findings.results import Case, Number, Results

# What may be kept of what the base has beyond the oracle for a fact set to pass for forgotten.
PASSED = 0.1
_ENDS = ("", "_low", "_high")
COLUMNS = ["model", "algorithm", "band", "attack", "metric", "languages", "seem_gone", "there", "rate"]


def is_illusion(plain: float, surrogate: float) -> bool:
    """Whether what is kept plainly passes for forgotten, and what is kept on surrogates does not."""
    return plain <= PASSED < surrogate


def table(results: Results) -> pd.DataFrame:
    """One row per edit, attack that gives surrogates, and metric (docs/tables.md)."""
    rows = [
        row
        for case in results.cases
        for algorithm in results.algorithms(case)
        for band in results.bands(case, algorithm)
        if results.votes(case, algorithm, band)
        for attack in results.attacks
        for row in _rows(results, case, algorithm, band, attack)
    ]
    ends = [f"{name}{end}" for name in ("delta", "oracle") for end in _ENDS]
    return pd.DataFrame(rows, columns=[*COLUMNS, *ends, "reason"])


def _rows(results: Results, case: Case, algorithm: str, band: str, attack: str) -> list[tuple]:
    codes = [code for own in results.languages(case) for code in own]

    def each(metric: str) -> dict[str, Number]:
        if not results.knows(metric):
            return {}
        return by_language.by_language(results, case, algorithm, band, metric, codes, attack=attack)

    far = each("surrogate_far")
    if not far:
        return []
    keys, found = (results.name(case), algorithm, band, attack), []
    for metric in METRICS:
        plain, asked, apart = (each(f"psg_{kind}{metric}") for kind in ("plain_", "", "delta_"))
        known = [code for code in plain if code in asked and code in apart]
        if not known:
            continue
        gone = [code for code in known if plain[code].value <= PASSED]
        # The same facts, resampled together: the difference has an interval of its own.
        there = [code for code in gone if is_illusion(plain[code].value, asked[code].value) and apart[code].low > 0]
        rate = len(there) / len(gone) if gone else math.nan
        mean, oracle = (
            results.number(case, algorithm, band, name, "all", attack=attack)
            for name in (f"psg_delta_{metric}", "psg_delta_accuracy_oracle")
        )
        of_oracle = oracle[:3] if metric == "accuracy" else (math.nan,) * 3
        found.append((*keys, metric, len(known), len(gone), len(there), rate, *mean[:3], *of_oracle, ""))
    return found or [
        (*keys, "", 0, 0, 0, *[math.nan] * 7, _reason(far, each("surrogate_base"), each("surrogate_oracle")))
    ]


def _reason(far: dict[str, Number], base: dict[str, Number], oracle: dict[str, Number]) -> str:
    """Why no language passes: by the language that comes nearest to it."""
    if not any(number.value > 0 for number in far.values()):
        return "n/a: no question lies far from what unlearning read"
    most = max((number.value for number in base.values() if number), default=math.nan)
    least = min((number.value for number in oracle.values() if number), default=math.nan)
    return f"n/a: base {most:.2f} of what it answers plainly at most, oracle {least:.2f} above chance at least"
