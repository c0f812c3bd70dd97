"""Layer scores CKA, LRDS and SADS of every model with variants and nulls, above the regions of both rules."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.families import choose
from mute.findings.results import Case, Results, Tables
from mute.plotting import looks, panels, style
from mute.store.records import Facts

TITLE = "Layer curves"
CAPTION = (
    "Scores of every block on the forget prompts, before any edit. CKA: agreement of languages (biased as in the "
    "paper, unbiased, and of shuffled rows as a null with its 95 % quantile). LRDS: how language-specific the states "
    "are (as in the paper, without the first token, without the common mean). SADS beneath. Bars: the region Λ by "
    "both rules at α and half a step to either side; dots: the blocks that the algorithms' rules choose."
)
LABEL = 6  # points
CURVES: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "CKA",
        (
            ("cka", "CKA", style.INK, "-"),
            ("cka_unbiased", "CKA, unbiased", "#0072B2", "--"),
            ("cka_null", "CKA of shuffled rows", style.GREY, ":"),
        ),
    ),
    (
        "LRDS",
        (
            ("lrds", "LRDS", style.INK, "-"),
            ("lrds_without_first", "LRDS without first token", "#009E73", "--"),
            ("lrds_centred", "LRDS without common mean", "#CC79A7", "-."),
        ),
    ),
    ("SADS", (("sads", "SADS", style.INK, "-"),)),
)


def draw(tables: Tables, about: Facts) -> Figure:
    """One column per trained model and forget set, one row per kind of score, the regions beneath."""
    results = Results.of(tables, about)
    cases = list({(case.model, case.training_seed, case.forget_set): case for case in results.cases}.values())
    # Beside the lowest panels stand names of algorithms: long ones take of their width.
    longest = max((style.measured(label, LABEL) for case in cases for label in _chosen(results, case)), default=0)
    width = max(3.8, 2.4 + longest / 72)
    columns = panels.even(len(cases), width)
    rows = math.ceil(max(len(cases), 1) / columns)
    figure = style.new_figure(max(width * columns, 6.0), 7.2 * rows + 0.4)
    if not cases:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
        return figure
    grid = figure.add_gridspec(4 * rows, columns, height_ratios=[1.3, 1.3, 0.8, 0.9] * rows)
    for place, case in enumerate(cases):
        top, column = 4 * (place // columns), place % columns
        _draw_case([figure.add_subplot(grid[top + row, column]) for row in range(4)], results, case)
    keys = [style.line_key(text, colour, linestyle=line) for _, curves in CURVES for _, text, colour, line in curves]
    style.legend(figure, keys, choose(results).note)
    return figure


def _draw_case(axes: list[Axes], results: Results, case: Case) -> None:
    curve, regions = results.curve(case), results.regions(case)
    warn = results.below_gate(case)
    style.title(axes[0], results.name(case), f"below its gate: {warn[0]}" if warn else "", warning=True)
    for panel, (label, curves) in zip(axes, CURVES):
        _draw_scores(panel, curve, regions, label, curves)
        panel.set_xlim(-0.6, max(results.depth(case) - 1, 0) + 0.6)
        panel.tick_params(labelbottom=False)
    _draw_regions(axes[-1], results, case, regions)


def _draw_scores(axes: Axes, curve: pd.DataFrame, regions: pd.DataFrame, label: str, curves: tuple) -> None:
    shown = [part for part in curves if part[0] in curve and curve[part[0]].notna().any()]
    if not shown:
        style.missing(axes, f"no {label}")
        return
    for column, _, colour, line in shown:
        axes.plot(curve["block"], curve[column], line, color=colour, marker=".", markersize=4)
    if label == "CKA" and "cka_null_q95" in curve:
        axes.fill_between(curve["block"], 0, curve["cka_null_q95"].astype(float), color=style.FAINT, zorder=0)
    chosen = regions[regions["chosen"].astype(str) == "True"]
    ends = {"CKA": ("cka_floor", "mean"), "LRDS": ("lrds_ceiling", "τ")}
    if len(chosen) and label in ends:
        column, text = ends[label]
        panels.line_at(axes, float(chosen[column].iloc[0]), text)
    if label == "CKA":
        axes.set_ylim(0, 1.03)
    else:
        axes.set_ylim(bottom=min(0.0, float(curve[[part[0] for part in shown]].min().min())))
    axes.set_ylabel(label)


def _chosen(results: Results, case: Case) -> dict[str, str]:
    """The shown algorithms that have a target, by what is written beside it: name and rule."""
    names = [name for name in results.algorithms(case) if name in choose(results).names]
    targeted = [name for name in names if results.views(case, name).get("target")]
    return {f"{name.replace('_', ' ')}: {results.rule(case, name)}": name for name in targeted}


def _draw_regions(axes: Axes, results: Results, case: Case, regions: pd.DataFrame) -> None:
    """A row of blocks per rule and α, and the chosen blocks of each algorithm."""
    labels = []
    rows = [row for _, row in regions.sort_values(["rule", "alpha"], ascending=[True, True]).iterrows()]
    for y, row in enumerate(rows):
        used = str(row["chosen"]) == "True"
        for block in str(row["blocks"]).split():
            axes.barh(y, 0.9, left=int(block) - 0.45, height=0.7, color=style.INK if used else "#B5B5B5", linewidth=0)
        reason = str(row["reason"]).replace("_", " ")
        if reason:
            axes.text(0, y, f"none: {reason}", fontsize=6, va="center", color=style.WARNING)
        labels.append(f"{row['rule']}, α {float(row['alpha']):g}" + (" (used)" if used else ""))
    for label, name in _chosen(results, case).items():
        target, own = results.views(case, name)["target"], looks.look(results, name)
        axes.plot(target, [len(labels)] * len(target), own.marker, color=own.colour, markersize=5)
        labels.append(label)
    if not labels:
        style.missing(axes, "no regions")
        return
    axes.set_yticks(range(len(labels)), labels, fontsize=LABEL)
    axes.set(ylim=(len(labels) - 0.4, -0.6), xlabel="block (0 is the first)")
    axes.set_xlim(-0.6, max(results.depth(case) - 1, 0) + 0.6)
    axes.locator_params(axis="x", integer=True)
    axes.tick_params(axis="y", length=0)
