"""Parts that several figures share: grids of panels, points with intervals, axes of blocks, marks of views."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from mute.bands import WHOLE
from mute.findings import by_language
from mute.findings.families import Choice, choose
from mute.findings.results import Case, Number, Results, place
from mute.plotting import style

NO_CELLS = "no cells in this study"


def chosen(results: Results) -> Choice:
    """The algorithms of figures with a panel for each, of all that have something to draw against blocks."""
    return choose(results, {name for case in results.cases for name in _has_blocks(results, case)})


def columns_of(results: Results, case: Case) -> list[str]:
    """Those of them that one case has."""
    there, names = _has_blocks(results, case), chosen(results).names
    return [name for name in there if name in names]


def even(panels: int, width: float) -> int:
    """How many panels of this width stand side by side, if rows are as full as each other and fit on a page."""
    rows = math.ceil(max(panels, 1) / max(int((style.WIDEST - 0.6) / width), 1))
    return math.ceil(max(panels, 1) / rows)


def _has_blocks(results: Results, case: Case) -> list[str]:
    """Algorithms that edited single blocks; where none did, all."""
    swept = [name for name in results.algorithms(case) if results.blocks(case, name)]
    return swept or results.algorithms(case)


def per_model(
    results: Results,
    rows: Sequence[float],
    *,
    width: float = 3.6,
    height: float = 1.2,
    ratios: Callable[[Case, str], float] | None = None,
    scale: Callable[[Case], float] | None = None,
    share_x: bool = True,
    has: Callable[[Case, str], bool] | None = None,
) -> tuple[Figure, Iterator[tuple[Case, str, list[Axes]]]]:
    """A figure with a strip per case, in it a column per algorithm, in it a panel per entry of `rows` (its height).

    Where the columns would be wider than a page, a case goes on in another strip. Yields case, algorithm and the panels
    from above; those of a row share their y axis, and of a column their x axis unless told otherwise.
    `ratios(case, algorithm)` may give the columns their widths (their panels then share nothing), and `scale(case)`
    stretch the height of a strip. `has(case, algorithm)` may leave out columns without anything to draw; where it
    leaves none, the first says so.
    """
    named = {}
    for case in results.cases:
        names = columns_of(results, case)
        named[case] = [name for name in names if has is None or has(case, name)] or names[:1]
    columns = even(max(map(len, named.values()), default=1), width)
    lines = [
        (case, names[start : start + columns], start > 0)
        for case, names in named.items()
        for start in range(0, max(len(names), 1), columns)
    ]
    heights = [sum(rows) * height * (scale(case) if scale else 1) + 0.9 for case, *_ in lines]
    size = (min(max(width * columns, 5.0) + 0.6, style.WIDEST), (sum(heights) or 2) + 0.5)
    figure = style.new_figure(*size)
    if not lines:
        style.missing(figure.add_subplot(), NO_CELLS)
        return figure, iter(())
    strips = figure.subfigures(len(lines), 1, squeeze=False, height_ratios=heights)[:, 0]

    def panels() -> Iterator[tuple[Case, str, list[Axes]]]:
        first: list[Axes] = []
        for line, (strip, (case, names, further)) in enumerate(zip(strips, lines)):
            widths = [ratios(case, name) for name in names] if ratios else [1] * len(names)
            # Empty columns keep the panels of all models equally wide.
            widths += [1] * (columns - len(names) if not ratios else 0)
            grid = strip.add_gridspec(len(rows), len(widths), height_ratios=rows, width_ratios=widths)
            warn = results.below_gate(case)
            note = f"  (below its gate: {'; '.join(warn[:2])}{', …' if len(warn) > 2 else ''})" if warn else ""
            heading = strip.suptitle(
                f"{results.name(case)}{', continued' if further else note}",
                x=0.01,
                ha="left",
                fontsize=10.5,
                fontweight="bold",
                color=style.WARNING if warn else style.INK,
            )
            heading.set_gid(f"line_of_panels_{line}")  # where the paper may go on over another page
            first = first if further else []
            for column, name in enumerate(names):
                axes: list[Axes] = []
                for row in range(len(rows)):
                    shared = {"sharex": axes[0] if axes and share_x else None, "sharey": first[row] if first else None}
                    axes.append(strip.add_subplot(grid[row, column], **({} if ratios else shared)))
                first = first or axes
                yield case, name, axes

    return figure, panels()


def points(
    axes: Axes,
    x: Sequence[float],
    numbers: Sequence[Number],
    *,
    colour: style.Colour,
    hollow: Sequence[bool] = (),
    marker: str = "o",
    line: str = "-",
    area: bool = False,
    size: float = 4.5,
) -> None:
    """Numbers joined by a line, each with its interval as a bar or, with `area`, as a band; hollow where so marked."""
    shown = [(a, b, i) for i, (a, b) in enumerate(zip(x, numbers)) if b]
    if not shown:
        return
    xs, values = [a for a, _, _ in shown], [b.value for _, b, _ in shown]
    axes.plot(xs, values, linestyle=line, color=colour, zorder=3)
    ranged = [(a, b) for a, b, _ in shown if not (math.isnan(b.low) or math.isnan(b.high))]
    if area and len(ranged) > 1:
        low, high = [b.low for _, b in ranged], [b.high for _, b in ranged]
        axes.fill_between([a for a, _ in ranged], low, high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    else:
        for a, b in ranged:
            axes.plot([a, a], [b.low, b.high], "-", color=colour, alpha=0.55, linewidth=1, zorder=2.5)
    for a, b, i in shown:
        face = "white" if i < len(hollow) and hollow[i] else colour
        axes.plot([a], [b.value], marker, markerfacecolor=face, markeredgecolor=colour, markersize=size, zorder=4)


def series(
    axes: Axes,
    results: Results,
    case: Case,
    algorithm: str,
    metric: str,
    group: str = "heldout",
    *,
    facts: str | None = None,
    shift: float = 0.0,
    control: bool = False,
    with_worst: bool = False,
    colour: str,
    marker: str = "o",
    line: str = "-",
    area: bool = False,
    size: float = 4.5,
) -> bool:
    """A score of every band against blocks: blocks joined, whole-model bands alone. Whether there was anything to draw.

    group: `worst` is the held-out language in which the score looks worst, as the tables have it or the languages' own
    estimates. with_worst: beside a mean over held-out languages a dash at the worst of them. Hollow: not reached, or no
    edit, or destroyed, which have a mark at the foot, as has what diverged, without a number. A `control` never is.
    """
    depth, blocks = results.depth(case), results.blocks(case, algorithm)
    mark_statuses(axes, results, case, algorithm)
    whole = [band for band in results.bands(case, algorithm) if band in WHOLE]
    drawn = False
    for bands in (blocks, *([band] for band in whole)):
        worst = [by_language.worst(results, case, algorithm, band, metric, facts=facts).number for band in bands]
        means = [results.number(case, algorithm, band, metric, group, facts=facts) for band in bands]
        numbers = worst if group == "worst" else means
        hollow = [not control and not results.reached(case, algorithm, band) for band in bands]
        at = [place(band, depth) + shift for band in bands]
        points(axes, at, numbers, hollow=hollow, colour=colour, marker=marker, line=line, area=area, size=size)
        if with_worst:
            dashes(axes, at, worst, colour=colour)
        drawn = drawn or any(numbers)
    return drawn


def dashes(axes: Axes, x: Sequence[float], numbers: Sequence[Number], *, colour: style.Colour) -> None:
    """The worst language beside a mean: a short dash, without an interval."""
    for a, b in zip(x, numbers):
        if b:
            axes.plot([a], [b.value], linestyle="", color=colour, **DASH)


DASH: dict[str, Any] = {"marker": "_", "markersize": 9, "markeredgewidth": 1.5, "zorder": 4}


def worst_key() -> Line2D:
    return style.line_key("worst held-out language", style.GREY, linestyle="", **DASH)


def tick_step(depth: int) -> int:
    """At every which block an axis has a tick."""
    return 1 if depth <= 12 else 2 if depth <= 24 else 4 if depth <= 48 else 8


def block_axis(axes: Axes, results: Results, case: Case, algorithms: Sequence[str], *, label: bool = True) -> None:
    """Ticks at the blocks, and at the whole-model bands that these algorithms have."""
    depth = results.depth(case)
    whole = [band for band in WHOLE if any(band in results.bands(case, name) for name in algorithms)]
    step = tick_step(depth)
    ticks = [*range(0, depth, step), *(place(band, depth) for band in whole)]
    axes.set_xticks(ticks, [*map(str, range(0, depth, step)), *whole])
    end = place(whole[-1], depth) if whole else depth - 1
    axes.set_xlim(-0.6, max(end, 0) + 0.6)
    if label:
        axes.set_xlabel("edited block (0 is the first)")
    else:
        axes.tick_params(labelbottom=False)


def mark_views(axes: Axes, results: Results, case: Case, algorithm: str, *, label: bool = False) -> None:
    """Shade the region and mark the target block."""
    views = results.views(case, algorithm)
    region = views.get("region", [])
    for first in (block for block in region if block - 1 not in region):
        last = next(block for block in range(first, region[-1] + 1) if block + 1 not in region)
        axes.axvspan(first - 0.5, last + 0.5, color=style.FAINT, zorder=0, linewidth=0)
    for block in views.get("target", []):
        axes.axvline(block, color=style.INK, linestyle=(0, (1, 1.5)), linewidth=1, zorder=0.5)
        if label:
            where = blended_transform_factory(axes.transData, axes.transAxes)
            axes.text(block + 0.08, 0.99, "target", transform=where, fontsize=6.5, color=style.INK, va="top", zorder=6)


def line_at(axes: Axes, y: float, text: str = "", *, colour: str = style.GREY, dashes: str = "--") -> None:
    """A horizontal reference line, named at its right end."""
    axes.axhline(y, color=colour, linestyle=dashes, linewidth=0.8, zorder=0.8)
    if text:
        where = blended_transform_factory(axes.transAxes, axes.transData)
        axes.text(1.0, y, f" {text}", transform=where, fontsize=6.5, color=colour, va="center", clip_on=False)


def statuses(results: Results, case: Case, algorithm: str) -> str:
    """A note on the cells that are drawn hollow; where a panel stands for a family, its name before it."""
    bands = results.bands(case, algorithm)
    found = [results.status(case, algorithm, band) for band in bands]
    words = [f"{found.count(s)} of {len(bands)} {s.replace('_', ' ')}" for s in dict.fromkeys(found) if s != "ok"]
    family = results.family(algorithm) if chosen(results).note else ""
    return "; ".join(filter(None, (family, ", ".join(words))))


_MARK: dict[str, Any] = {"color": style.WARNING, "linestyle": "", "markersize": 6, "markeredgewidth": 1.6}
# How edits are marked that are no answer to what was asked, and what the legend says of each. The points of those that
# have a number are hollow.
STATUS_MARKS: dict[str, dict[str, Any]] = {
    "not_reached": {**_MARK, "marker": "o", "color": style.INK, "markerfacecolor": "white", "markeredgewidth": 1.0},
    "no_edit": {**_MARK, "marker": "_", "color": style.INK, "markersize": 7, "markeredgewidth": 2.0},
    "destroyed": {**_MARK, "marker": "D", "markersize": 5},
    "nothing_to_forget": {**_MARK, "marker": "s", "color": style.GREY, "markerfacecolor": "white"},
    "diverged": {**_MARK, "marker": "x"},
    "not_applicable": {**_MARK, "marker": "|", "color": style.GREY},
}
STATUS_WORDS = {
    "not_reached": "not reached",
    "no_edit": "no edit: nothing changed",
    "destroyed": "destroyed: C source < 0.5",
    "nothing_to_forget": "nothing to forget: at the floor before",
    "diverged": "diverged: no number",
    "not_applicable": "not applicable: no number",
}
# Those that a point alone does not tell: they have a mark at the foot of a panel. A hollow point is not reached.
FOOT = ("no_edit", "destroyed", "nothing_to_forget", "diverged")


def mark_statuses(axes: Axes, results: Results, case: Case, algorithm: str, *, shift: float = 0.0) -> None:
    """A mark at the foot of a panel for every edit that is no answer: what has no number is not silently missing."""
    depth = results.depth(case)
    where = blended_transform_factory(axes.transData, axes.transAxes)
    for status in FOOT:
        for band in of_status(results, case, algorithm, status):
            x = place(band, depth) + shift
            # Several curves of one panel share their marks. A label with an underscore stands in no legend.
            label = f"_{status} {x:g}"
            if label not in {line.get_label() for line in axes.lines}:
                look = STATUS_MARKS[status]
                axes.plot([x], [0.035], transform=where, label=label, clip_on=False, zorder=7, **look)


def of_status(results: Results, case: Case, algorithm: str, status: str) -> list[str]:
    """The bands whose edit has this status."""
    return [band for band in results.bands(case, algorithm) if results.status(case, algorithm, band) == status]


def say_statuses(axes: Axes, results: Results, case: Case, algorithms: Sequence[str]) -> None:
    """The same in words, in a panel where an edit has no place of its own: which edits are of which status."""
    lines = []
    for status, sign in (("diverged", "× "), ("destroyed", ""), ("no_edit", ""), ("nothing_to_forget", "")):
        found = {name: of_status(results, case, name, status) for name in algorithms}
        words = [f"{name.replace('_', ' ')} {', '.join(bands)}" for name, bands in found.items() if bands]
        lines += [f"{sign}{status.replace('_', ' ')}: {'; '.join(words)}"] if words else []
    if lines:
        look: dict[str, Any] = {"fontsize": 6.5, "color": style.WARNING, "va": "top", "wrap": True, "zorder": 9}
        axes.text(0.015, 0.985, "\n".join(lines), transform=axes.transAxes, **look)


def status_keys(results: Results, *, everything: bool = False) -> list[Line2D]:
    """What hollow points and marks mean: hollow ones always, each mark where there are such cells.

    everything: marks of all statuses that there are, as where each edit has one.
    """
    there = set(results.tables["cells"]["status"])
    shown = [s for s in STATUS_MARKS if s in there or (s == "not_reached" and not everything)]
    if not everything:
        shown = [status for status in shown if status in ("not_reached", *FOOT)]
    return [style.line_key(STATUS_WORDS[status], **STATUS_MARKS[status]) for status in shown]


def target_keys() -> list[Artist]:
    return [
        style.area_key("region Λ", style.FAINT),
        style.line_key("target block", style.INK, linestyle=(0, (1, 1.5)), linewidth=1),
    ]


def fit(axes: Axes, low: float = -0.05, high: float = 1.1, floor: float = -0.6, ceiling: float = 1.6) -> None:
    """Show [low, high] and what lies beyond, as far as [floor, ceiling]: one wild interval must not flatten the rest.

    Panels that share their y axis are fitted together; call it again after each of them.
    """
    ends = [axis.dataLim.intervaly for axis in axes.get_shared_y_axes().get_siblings(axes)]
    values = [float(end) for pair in ends for end in pair if math.isfinite(end)]
    bottom, top = min([low, *(v - 0.04 for v in values)]), max([high, *(v + 0.04 for v in values)])
    axes.set_ylim(max(bottom, floor), min(top, ceiling))
