"""LiRA of every edit as a table, and why there is none where a study cannot say."""

import pandas as pd

from mute.findings.results import MISSING, Results

GROUPS = ("source", "heldout", "all")
SCORES = ("lira_auc", "lira_tpr")
_UNASKED = "not asked: evaluation.lira is off"
_FEW = "n/a: it needs three trainings of the model on one world, each with its oracle"


def table(results: Results) -> pd.DataFrame:
    """One row per edit and group of languages (docs/tables.md); one per case, with a reason, where there is none."""
    rows: list[tuple] = []
    for case in results.cases:
        name, before = results.name(case), len(rows)
        for algorithm in ("base", *results.algorithms(case)):
            for band in results.bands(case, algorithm) or [""]:
                for group in GROUPS:
                    auc, tpr = (
                        results.number(case, algorithm, band, score, group) if results.knows(score) else MISSING
                        for score in SCORES
                    )
                    if auc:
                        rows.append((name, algorithm, band, group, *auc[:3], *tpr[:3], auc.n, ""))
        if len(rows) == before:
            reason = _FEW if results.about.get("trainings") else _UNASKED
            rows.append((name, "", "", "", *MISSING[:3], *MISSING[:3], 0, reason))
    ends = [f"{score}{end}" for score in ("auc", "tpr") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["model", "algorithm", "band", "group", *ends, "n", "reason"])
