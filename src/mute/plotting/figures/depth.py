"""Knowledge and capability by edited block, above the layer scores CKA and LRDS on the same axis."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 2
TITLE = "Depth: forgetting and keeping by edited block, above the layer scores"
CAPTION = (
    "Knowledge of the forget set (K) and capability (C) relative to the base, by edited block, with 95 % intervals "
    "over items; of held-out languages the worst: K of the one that keeps most, C of the one that keeps least. "
    "Beneath, on the same axis: CKA with its mean, and LRDS with τ = α·min LRDS. Grey: the region Λ. Dotted: the "
    "block that the algorithm's rule chooses. Points at all and full edit the whole model. Hollow: no answer (not "
    "reached, no edit, destroyed, nothing to forget)."
)
MEASURES = (("K", "forget set known (K)", style.FORGET), ("C", "capability (C)", style.RETAIN))
GROUPS = (("source", "source languages", "-", "o"), ("worst", "worst held-out language", "--", "s"))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    figure, columns = panels.per_model(results, [2.0, 0.75, 0.75])
    for case, algorithm, (above, middle, below) in columns:
        _draw_scores(above, results, case, algorithm)
        _draw_curve(middle, results, case, algorithm, "cka", "CKA")
        _draw_curve(below, results, case, algorithm, "lrds", "LRDS")
        panels.block_axis(above, results, case, [algorithm], label=False)
        panels.block_axis(middle, results, case, [algorithm], label=False)
        panels.block_axis(below, results, case, [algorithm])
    keys = [
        style.line_key(f"{label}, {where}", colour, linestyle=line, marker=marker)
        for _, label, colour in MEASURES
        for _, where, line, marker in GROUPS
    ]
    style.legend(figure, [*keys, *panels.target_keys(), *panels.status_keys(results)], panels.chosen(results).note)
    return figure


def _draw_scores(axes: Axes, results: Results, case: Case, algorithm: str) -> None:
    style.title(axes, algorithm.replace("_", " "), panels.statuses(results, case, algorithm))
    panels.mark_views(axes, results, case, algorithm, label=True)
    drawn = False
    for metric, _, colour in MEASURES:
        for group, _, line, marker in GROUPS:
            look: dict[str, Any] = {"colour": colour, "line": line, "marker": marker, "area": True, "size": 4}
            look["shift"] = 0.07 if group == "worst" else -0.07
            drawn |= panels.series(axes, results, case, algorithm, metric, group, **look)
    for y in (0, 1):
        panels.line_at(axes, y, dashes="-", colour=style.FAINT)
    if not drawn:
        style.missing(axes, "no scores")
    panels.fit(axes)
    axes.set_ylabel("relative to the base")


def _draw_curve(axes: Axes, results: Results, case: Case, algorithm: str, column: str, label: str) -> None:
    panels.mark_views(axes, results, case, algorithm)
    curve = results.curve(case)
    if not len(curve):
        style.missing(axes, f"no {label}")
        return
    axes.plot(curve["block"], curve[column], "-", color=style.INK, marker=".", markersize=4)
    regions = results.regions(case)
    chosen = regions[regions["chosen"].astype(str) == "True"]
    if len(chosen):
        line = {"cka": "cka_floor", "lrds": "lrds_ceiling"}[column]
        panels.line_at(axes, float(chosen[line].iloc[0]), {"cka": "mean", "lrds": "τ"}[column])
    axes.margins(y=0.15)
    axes.set_ylabel(label)
    axes.locator_params(axis="y", nbins=3)
