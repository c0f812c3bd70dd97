"""Knowledge against capability, each of its worst held-out language, one point for every edit."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mute.bands import WHOLE
from mute.findings import by_language
from mute.findings.families import choose
from mute.findings.results import Case, Number, Results, Tables
from mute.plotting import looks, panels, style
from mute.store.records import Facts

PLACE = 1
TITLE = "Frontier: knowledge left against capability kept, worst held-out languages"
CAPTION = (
    "Each numbered point is an edit of that block (0 is the first), joined in order of depth; bars are 95 % intervals "
    "over items. Across: capability C, relative to the base, of the held-out language that keeps least. Up: knowledge "
    "K of the forget set of the held-out language that keeps most: 1 untouched, 0 never knew. A point in the good "
    "corner, below on the right, forgets and keeps the rest in every held-out language. Hollow points do not count "
    "(matched erasure not reached, no edit, destroyed, nothing to forget: named in the panel); ringed ones are the "
    "blocks that the layer rule chooses. Of six algorithms or more, only the ringed edit and that of most merit "
    "(C − K) are numbered, the others small."
)
LIMITS = (-0.25, 1.25)
HIGHEST = 2.0  # K above it stands at the upper edge
CROWD = 6  # algorithms, from which on only the edits of each that count are numbered
RING: dict[str, Any] = {"marker": "o", "markersize": 15, "markerfacecolor": "none", "markeredgewidth": 1.1}


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = results.cases
    names, note = choose(results)
    columns = min(max(len(cases), 1), 3)
    rows = math.ceil(max(len(cases), 1) / columns)
    figure = style.new_figure(max(4.6 * columns, 6.4), 4.7 * rows + (0.6 if len(names) < CROWD else 1.2))
    if not cases:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
    for i, case in enumerate(cases):
        own = [name for name in results.algorithms(case) if name in names]
        draw_panel(figure.add_subplot(rows, columns, i + 1), results, case, own)
    style.legend(figure, keys(results, names), note)
    return figure


def draw_panel(axes: Axes, results: Results, case: Case, algorithms: list[str]) -> None:
    """The frontier of some algorithms in one case."""
    notes = [f"below its gate: {failed}" for failed in results.below_gate(case)[:1]]
    if (floor := results.floor(case)) != "oracle":
        notes.append(f"no oracle: K = 0 is {'a guess' if floor == 'guess' else 'chance'}")
    style.title(axes, results.name(case), "; ".join(notes), warning=bool(notes))
    axes.axhspan(LIMITS[0], 0.05, xmin=(0.95 - LIMITS[0]) / (LIMITS[1] - LIMITS[0]), color=style.GOOD, zorder=0, lw=0)
    axes.text(1.235, -0.235, "forgets,\nkeeps the rest", ha="right", va="bottom", fontsize=6.5, color="#3B7A3B")
    for line in (0, 1):
        axes.axhline(line, color=style.FAINT, linewidth=0.8, zorder=0.1)
        axes.axvline(line, color=style.FAINT, linewidth=0.8, zorder=0.1)
    for name, marker in (("base", "*"), ("oracle", "P")):
        x, y = sides(results, case, name, "")
        if x and y:
            _cross(axes, x, y, style.INK, HIGHEST)
            axes.plot([x.value], [y.value], marker, color=style.INK, markersize=9, zorder=5)
            axes.annotate(name, (x.value, y.value), xytext=(7, 4), textcoords="offset points", fontsize=7.5, zorder=9)
    top = highest(results, case, algorithms)
    drawn = [_draw_algorithm(axes, results, case, name, top, crowded=len(algorithms) >= CROWD) for name in algorithms]
    panels.say_statuses(axes, results, case, algorithms)
    if not any(drawn):
        axes.text(0.5, 0.5, "no cell has both K and C", ha="center", color=style.GREY)
    axes.set(xlim=LIMITS, ylim=(LIMITS[0], top), xlabel="capability kept, worst held-out language (C)")
    axes.set_ylabel("knowledge left, worst held-out language (K)")


def sides(results: Results, case: Case, algorithm: str, band: str) -> tuple[Number, Number]:
    """C and K of an edit, each of the held-out language in which it looks worst."""
    c, k = (by_language.worst(results, case, algorithm, band, metric).number for metric in ("C", "K"))
    return c, k


def highest(results: Results, case: Case, algorithms: Sequence[str]) -> float:
    """The upper end of the axis of K: an edit may leave more than the base had, by chance or by what it trains."""
    edits = ((name, band) for name in algorithms for band in results.bands(case, name))
    left = [number.value for name, band in edits for number in sides(results, case, name, band)[1:] if number]
    # Above the points there is room for the words in the corner.
    return min(max([LIMITS[1], *(value + 0.2 for value in left if value > 1.05)]), HIGHEST)


def keys(results: Results, algorithms: list[str]) -> list[Line2D]:
    found = [looks.key(results, name, markersize=7) for name in algorithms]
    found.append(style.line_key("target block", style.INK, linestyle="", **{**RING, "markersize": 9}))
    found.append(style.line_key("all: every block, full: every parameter", style.GREY, marker="d", linestyle=""))
    return [*found, *panels.status_keys(results)]


def _draw_algorithm(axes: Axes, results: Results, case: Case, algorithm: str, top: float, *, crowded: bool) -> bool:
    colour, marker, line, _ = looks.look(results, algorithm)
    path, drawn = [], False
    target = list(map(str, results.views(case, algorithm).get("target", [])))
    found = {band: sides(results, case, algorithm, band) for band in results.bands(case, algorithm)}
    merits = {band: c.value - k.value for band, (c, k) in found.items() if c and k}
    best = max(merits, key=lambda band: merits[band], default="")
    for band in results.bands(case, algorithm):
        x, y = found[band]
        if not x or not y:
            continue
        drawn = True
        reached = results.reached(case, algorithm, band)
        face, ink = (colour, "white") if reached else ("white", colour)
        at = (inside(x.value), inside(y.value, top))
        whole = band in WHOLE
        if crowded and band not in (*target, best):
            small: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": colour, "alpha": 0.6, "zorder": 3}
            axes.plot([at[0]], [at[1]], marker, markersize=3.5, **small)
            path += [] if whole else [at]
            continue
        _cross(axes, x, y, colour, top)
        size = 6 if whole else 11 if marker in "os" else 12.5
        look: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": colour, "markersize": size, "zorder": 6}
        axes.plot([at[0]], [at[1]], marker, **look)
        if band in target:
            axes.plot([at[0]], [at[1]], color=style.INK, zorder=5.5, **RING)
        if whole:
            look = {"fontsize": 7.5, "color": colour, "zorder": 8, "weight": "bold"}
            axes.annotate(band, at, xytext=(6, -3), textcoords="offset points", **look)
        else:
            path.append(at)
            low = (0, -0.8) if marker == "^" else (0, 0)
            look = {"fontsize": 6.5, "weight": "bold", "color": ink, "ha": "center", "va": "center_baseline"}
            axes.annotate(band, at, xytext=low, textcoords="offset points", zorder=7, **look)
    if len(path) > 1:
        look = {"alpha": 0.3, "zorder": 2} if crowded else {"alpha": 0.6, "zorder": 4}
        axes.plot([x for x, _ in path], [y for _, y in path], line, color=colour, linewidth=1.1, **look)
    return drawn


def _cross(axes: Axes, x: Number, y: Number, colour: str, top: float) -> None:
    """The intervals of both scores."""
    look: dict[str, Any] = {"color": colour, "alpha": 0.35, "linewidth": 1, "zorder": 2}
    axes.plot([x.low, x.high], [inside(y.value, top)] * 2, "-", **look)
    axes.plot([inside(x.value)] * 2, [y.low, y.high], "-", **look)


def inside(value: float, top: float = LIMITS[1]) -> float:
    """A score beyond the axes stands at their edge."""
    return min(max(value, LIMITS[0] + 0.02), top - 0.02)
