"""Small tables by which DVC compares studies: counts, primary outcomes at the target, and scores by block."""

from collections import Counter

import pandas as pd

from mute.bands import WHOLE, is_block
from mute.findings import metrics, primary, trainings
from mute.findings.results import MISSING, Case, Results
from mute.store.records import Record

# Columns of the curves: a metric and the languages that it is a mean over, or the worst of them.
CURVES = (("K", "source"), ("K", "heldout"), ("K", "worst"), ("C", "source"), ("C", "heldout"), ("C", "worst"))


def numbers(results: Results) -> Record:
    """Cells by status, gates that were passed, and the primary outcomes of each model and algorithm at its target.

    An algorithm that edited no single block is shown where it edited. A number that a study does not have is left out.
    """
    statuses = Counter(results.tables["cells"]["status"])
    gates = results.tables["gates"]
    outcomes: Record = {}
    for case in results.cases:
        for algorithm in results.algorithms(case):
            band = _shown(results, case, algorithm)
            if found := _primary(results, case, algorithm, band):
                outcomes.setdefault(_key(results.name(case)), {})[_key(algorithm)] = {"band": band, **found}
    return {
        "cells": {"all": statuses.total(), **dict(sorted(statuses.items()))},
        "gates": {"all": len(gates), "passed": int((gates["passed"].astype(str) == "True").sum())},
        "outcomes": outcomes,
    }


def by_block(results: Results) -> pd.DataFrame:
    """One row per case, algorithm and block that was edited by itself; columns of CURVES, empty where missing."""
    rows = []
    for case in results.cases:
        for algorithm in results.algorithms(case):
            for band in results.blocks(case, algorithm):
                if is_block(band):
                    values = (results.number(case, algorithm, band, *curve).value for curve in CURVES)
                    rows.append((results.name(case), algorithm, int(band), *values))
    return pd.DataFrame(rows, columns=["study", "algorithm", "block", *(f"{m}_{g}" for m, g in CURVES)])


def _shown(results: Results, case: Case, algorithm: str) -> str:
    """The band whose outcomes are compared: the target, else one that is no block, else none."""
    whole = [band for band in results.bands(case, algorithm) if band in WHOLE]
    return trainings.target(results, case, algorithm) or next(iter(whole), "")


def _primary(results: Results, case: Case, algorithm: str, band: str) -> dict[str, float]:
    """What was declared, at a band; what is asked of the target alone only where the band is that."""
    found = {}
    at_target = band and band == trainings.target(results, case, algorithm)
    for outcome in results.about.get("primary", []):
        metric, group = [*outcome.split(), ""][:2]
        if outcome == metrics.MERIT or metric == metrics.RECOVERY:
            asked = primary.asked(results, outcome) if at_target else None
            number = asked[0](results, case, algorithm).number if asked else MISSING
        else:
            number = results.number(case, algorithm, band, metric, group) if results.knows(metric) else MISSING
        if number:
            found[_key(outcome)] = float(f"{number.value:.6g}")
    return found


def _key(text: str) -> str:
    """DVC joins keys by dots."""
    return text.replace(".", "_").replace(", ", " ").replace(" ", "_")
