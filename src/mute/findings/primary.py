"""The primary outcomes that the study declared before it ran, tested by architecture over trained models, with Holm."""

import math

import pandas as pd

from mute.evaluate.inference import holm, minimum_detectable, t_p_value
from mute.findings import effects, metrics, trainings
from mute.findings.effects import Measure
from mute.findings.results import Number, Results
from mute.findings.verdicts import HALF, LEAK_MARGIN, MARGIN, MERIT_MARGIN, Line
from mute.store.records import Facts

_NUMBER = ("n", "value", "low", "high", "detectable", "p")
_COLUMNS = ["outcome", "algorithm", "model", "protocol", "test", "unit", *_NUMBER, "holm", "verdict", "agreed"]
SHOWN, NOT_SHOWN, OPEN = "shown", "not shown", "not decided"


def asked(results: Results, outcome: str) -> tuple[Measure, Line] | None:
    """What an outcome measures in one model, and the line that it is tested against; None for what is no measure.

    What a study declares is the user's: a measure that is none has no row, and stops nothing.
    """
    if metrics.outcome_problem(outcome):
        return None
    if outcome == metrics.MERIT:
        return effects.ahead, Line(MERIT_MARGIN, "above")
    metric, group = outcome.split()
    if metric == metrics.RECOVERY:
        return effects.score("target", metric, "worst", group), Line(HALF, "below")
    if not results.knows(metric):
        return None
    line = Line(LEAK_MARGIN if metric == "leak" else HALF, "below")
    if metric.startswith("C"):
        line = Line(1 - MARGIN, "above")
    return effects.score("target", metric, group), line


def table(results: Results) -> pd.DataFrame:
    """One row per primary outcome, algorithm and architecture: mean over its trained models, p-value, Holm's p.

    Holm's correction is over all rows. detectable: the smallest difference that so many models of this spread would
    show in four of five studies. agreed: whether all architectures show it.
    """
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.main_cases(results, protocol)
    rows = []
    for outcome in results.about.get("primary", []):
        found = asked(results, outcome)
        if found is None:
            continue
        measure, line = found
        for algorithm in trainings.swept(results, cases):
            for model, own in trainings.architectures(cases).items():
                each = [measure(results, case, algorithm) for case in own if results.blocks(case, algorithm)]
                numbers = [effect.number for effect in each if effect.status == effects.OK]
                values = [number.value for number in numbers]
                mean = trainings.mean(numbers)
                detectable = minimum_detectable(len(values), float(pd.Series(values, dtype=float).std()))
                p = t_p_value(values, line.at, line.side)
                where = (outcome, algorithm, model, protocol, str(line), trainings.unit(numbers))
                rows.append((*where, mean.n, mean.value, mean.low, mean.high, detectable, p))
    made = pd.DataFrame(rows, columns=_COLUMNS[:-3])
    made = made.assign(holm=holm(made["p"].astype(float)))
    made["verdict"] = [_verdict(value) for value in made["holm"]]
    together = made.groupby(["outcome", "algorithm"], sort=False)["verdict"].transform(_agreed)
    return made.assign(agreed=together)[_COLUMNS]


def _verdict(p: float) -> str:
    return OPEN if math.isnan(p) else SHOWN if p <= 0.05 else NOT_SHOWN


def _agreed(verdicts: pd.Series) -> str:
    """Shown only where every architecture shows it."""
    found = set(verdicts)
    return found.pop() if len(found) == 1 else OPEN


def number(row: Facts) -> Number:
    return Number(row["value"], row["low"], row["high"], row["n"])
