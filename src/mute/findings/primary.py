"""The primary outcomes that the study declared before it ran, tested at the target over trained models, with Holm."""

import math

import pandas as pd

from mute.evaluate.inference import holm, minimum_detectable, t_p_value
from mute.findings import trainings
from mute.findings.results import Number, Results
from mute.findings.verdicts import HALF, POINTS
from mute.store.records import Facts

_COLUMNS = ["outcome", "algorithm", "protocol", "test", "unit", "n", "value", "low", "high", "detectable", "p", "holm"]


def table(results: Results) -> pd.DataFrame:
    """One row per primary outcome and algorithm: mean over trained models, p-value, and Holm's over all rows.

    detectable: the smallest difference that so many models of this spread would show in four of five studies.
    """
    outcomes = [name.split() for name in results.about.get("primary", [])]
    # What a study declares is the user's: a measure that is none has no row, and stops nothing.
    outcomes = [(metric, group) for metric, group in outcomes if results.knows(metric)]
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.passed(results, trainings.main_cases(results, protocol))
    rows = []
    for metric, group in outcomes:
        for algorithm in trainings.swept(results, cases):
            numbers = trainings.over(results, cases, algorithm, "target", metric, group)
            values = [number.value for number in numbers]
            mean = trainings.mean(numbers)
            detectable = minimum_detectable(len(values), float(pd.Series(values, dtype=float).std()))
            test, p = _test(metric, values)
            asked = (f"{metric} {group}", algorithm, protocol, test, trainings.unit(numbers))
            rows.append((*asked, mean.n, mean.value, mean.low, mean.high, detectable, p))
    found = pd.DataFrame(rows, columns=_COLUMNS[:-1])
    return found.assign(holm=holm(found["p"].astype(float)))[_COLUMNS]


def _test(metric: str, values: list[float]) -> tuple[str, float]:
    """What is tested of a metric, and its p-value: knowledge is gone, capability is kept within a margin."""
    if metric.startswith("C"):
        both = t_p_value(values, 1 - POINTS, "above"), t_p_value(values, 1 + POINTS, "below")
        return f"within {POINTS} of 1 (two one-sided tests)", max(both) if not any(map(math.isnan, both)) else math.nan
    return f"below {HALF}", t_p_value(values, HALF, "below")


def decided(row: Facts) -> str:
    """The outcome of one row in words."""
    if math.isnan(row["holm"]):
        return "not decided"
    return "shown" if row["holm"] <= 0.05 else "not shown"


def number(row: Facts) -> Number:
    return Number(row["value"], row["low"], row["high"], row["n"])
