"""Properties of languages: K of each held-out language, and how far each property goes with it."""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings import properties
from mute.findings.properties import DIFFERENCE, OPEN, RANK, YES
from mute.findings.results import Number, Results, Tables
from mute.plotting import looks, panels, style
from mute.plotting import properties as page_section
from mute.store.records import Facts

TITLE = "Properties of languages and what is forgotten there"
CAPTION = (
    "A row of panels for each architecture; K is the mean over single blocks and trained models, of edits that count. "
    "Left: K of each language that unlearning did not read, by algorithm; filled: written in a script of a source "
    "language. Middle: difference in mean K between languages of which something is so and others. Right: rank "
    "correlation of other properties with K. Bars: 95 % intervals over resampled languages. Filled: goes with K, by "
    "permuting languages, corrected for the properties asked (Holm); hollow: it does not, or nothing is decided. "
    "Crosses: the same among languages alike in script (of script: in family). Short lines: effects from which on a "
    "study of so many languages would mostly find one; where there are none, no effect of any size."
)
WIDTHS = (4.6, 3.6, 4.6)  # inches of the panels
LINE, LEAST = 0.26, 1.6  # inches of a property, and of a row of panels


def has(results: Results) -> bool:
    """Whether enough languages are held out for a property to be tested."""
    return not properties.too_few(results)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    names = page_section.names(results) if results.cases else []
    rows = properties.table(results, names)
    models = list(dict.fromkeys(rows["model"]))
    each = [rows[(rows["model"] == model) & (rows["block"] == properties.OVER)] for model in models]
    heights = [max(LINE * max(_lines(own, kind) for kind in (DIFFERENCE, RANK)) + 0.9, LEAST) for own in each]
    figure = style.new_figure(sum(WIDTHS), (sum(heights) or 2) + 0.5)
    if not models:
        style.missing(figure.add_subplot(), properties.too_few(results) or "nothing was asked")
        return figure
    strips = figure.subfigures(len(models), 1, squeeze=False, height_ratios=heights)[:, 0]
    for strip, model, own in zip(strips, models, each):
        strip.suptitle(model, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        left, middle, right = strip.subplots(1, 3, width_ratios=WIDTHS)
        shown = [name for name in names if name in set(own["algorithm"])]
        _draw_languages(left, results, model, shown)
        for axes, kind, words in ((middle, DIFFERENCE, "difference in K"), (right, RANK, "rank correlation with K")):
            _draw_effects(axes, results, own[own["kind"] == kind], shown, words)
    keys = [looks.key(results, name, linestyle="") for name in names if name in set(rows["algorithm"])]
    plain: dict[str, Any] = {"color": style.GREY, "linestyle": ""}
    keys += [
        style.line_key("goes with K; sources' script", marker="o", **plain),
        style.line_key("not shown to; other scripts", marker="o", markerfacecolor="white", **plain),
        style.line_key("among languages alike in script", marker="x", markersize=4, **plain),
        style.line_key("found from here on", marker="|", markersize=7, **plain),
    ]
    style.legend(figure, keys)
    return figure


def _lines(rows: pd.DataFrame, kind: str) -> int:
    return rows.loc[rows["kind"] == kind, "property"].nunique()


def _draw_languages(axes: Axes, results: Results, model: str, names: list[str]) -> None:
    """K over blocks of each language, those of the sources' script first."""
    style.title(axes, "K by language")
    cases = properties.settings(results)[model]
    found = {name: properties.kept(results, cases, name) for name in names}
    same = {name: properties.same_script(results, own) for name, own in found.items()}
    known = {code: alike for own in same.values() for code, alike in own.items()}
    order = [code for code in results.languages(cases[0])[1] if code in known]
    order.sort(key=lambda code: {1.0: 0, 0.0: 1}.get(known[code], 2))
    for place, name in enumerate(names):
        look = looks.look(results, name)
        for code, value in zip(found[name].codes, found[name].over):
            x = order.index(code) + _shift(place, len(names))
            face = look.colour if known[code] == 1.0 else "white"
            axes.plot([x], [value], look.marker, color=look.colour, markerfacecolor=face, markersize=4.5, zorder=4)
    for y in (0, 1):
        panels.line_at(axes, y)
    axes.set_xticks(range(len(order)), order, fontsize=7, rotation=90 if len(order) > 12 else 0)
    axes.set(xlim=(-0.6, len(order) - 0.4), ylabel="K")


def _draw_effects(axes: Axes, results: Results, rows: pd.DataFrame, names: list[str], words: str) -> None:
    """Effects of properties of one kind, each on a line of its own, the first above."""
    style.title(axes, words)
    asked = list(dict.fromkeys(rows["property"]))
    if not asked:
        style.missing(axes, "no such property is known")
        return
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=0)
    for place, name in enumerate(names):
        look = looks.look(results, name)
        for row in rows[rows["algorithm"] == name].to_dict("records"):
            y = asked.index(row["property"]) + _shift(place, len(names))
            number = Number(row["estimate"], row["low"], row["high"])
            if not number:
                continue
            if not math.isnan(number.low):
                axes.plot([number.low, number.high], [y, y], color=look.colour, alpha=0.55, linewidth=1, zorder=2.5)
            face = look.colour if row["verdict"] == YES else "white"
            axes.plot([number.value], [y], look.marker, color=look.colour, markerfacecolor=face, zorder=4)
            if not math.isnan(row["within"]):
                axes.plot([row["within"]], [y], "x", color=look.colour, markersize=4, zorder=3)
            if not math.isnan(row["detectable"]):
                ends = [-row["detectable"], row["detectable"]]
                axes.plot(ends, [y, y], "|", color=look.colour, markersize=7, alpha=0.7, zorder=3)
    if set(rows["verdict"]) <= {OPEN, ""}:
        axes.set_xlabel("nothing decided")
    widest = 1.05 * max(0.1, *(abs(edge) for edge in axes.get_xlim()))
    axes.set_yticks(range(len(asked)), [name.replace("_", " ") for name in asked], fontsize=7)
    axes.set(xlim=(-widest, widest) if words.startswith("difference") else (-1.05, 1.05), ylim=(len(asked) - 0.4, -0.6))


def _shift(place: int, of: int) -> float:
    """Where the points of one of several algorithms stand beside a tick."""
    return 0.6 * ((place + 0.5) / of - 0.5)
