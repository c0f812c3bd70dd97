"""Knowledge against capability of each algorithm, source and worst held-out languages, above each block's merit."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import WHOLE
from mute.findings.results import MISSING, Case, Number, Results, Tables, place
from mute.plotting import panels, style
from mute.plotting.figures.frontier import LIMITS, highest, inside, sides
from mute.store.records import Facts

TITLE = "Trade-off of retaining and forgetting"
CAPTION = (
    "Above: knowledge left (K) against capability kept (C) for every edited block, light for the first and dark for "
    "the last; a line leads from the source languages (small) to the worst held-out ones (numbered, in brackets where "
    "the edit does not count): K of the one that keeps most, C of the one that keeps least. Below: merit = C − K of "
    "these, 1 for an edit that forgets all and keeps all in every language; the interval is the widest that those of "
    "C and K allow. Points above the dashed line beat the target's estimate."
)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    figure, columns = panels.per_model(results, [2.6, 1.5], share_x=False)
    for case, algorithm, (above, below) in columns:
        style.title(above, algorithm.replace("_", " "), panels.statuses(results, case, algorithm))
        _draw_plane(above, results, case, algorithm)
        _draw_merit(below, results, case, algorithm)
    keys = [
        style.line_key("worst held-out languages", style.GREY, marker="o", linestyle="", markersize=9),
        style.line_key("source languages", style.GREY, marker="o", linestyle="", markersize=4),
        style.line_key("base", style.INK, marker="*", linestyle="", markersize=8),
        style.line_key("oracle", style.INK, marker="P", linestyle="", markersize=7),
    ]
    style.legend(figure, [*keys, *panels.target_keys(), *panels.status_keys(results)], panels.chosen(results).note)
    return figure


def _draw_plane(axes: Axes, results: Results, case: Case, algorithm: str) -> None:
    depth, drawn = results.depth(case), False
    # The planes of a case share their axis.
    top = highest(results, case, results.algorithms(case))
    for name, marker in (("base", "*"), ("oracle", "P")):
        x, y = sides(results, case, name, "")
        if x and y:
            axes.plot([x.value], [y.value], marker, color=style.INK, markersize=8, zorder=5)
    for band in results.bands(case, algorithm):
        colour = style.GREY if band in WHOLE else style.block_colour(place(band, depth), depth)
        ends = []
        source = (results.number(case, algorithm, band, metric, "source") for metric in ("C", "K"))
        for group, (x, y) in (("source", source), ("worst", sides(results, case, algorithm, band))):
            if x and y:
                ends.append((inside(x.value), inside(y.value, top), group))
        if len(ends) == 2:
            axes.plot([ends[0][0], ends[1][0]], [ends[0][1], ends[1][1]], "-", color=colour, linewidth=0.9, zorder=2)
        for x, y, group in ends:
            drawn = True
            size = 3.5 if group == "source" else 11
            axes.plot([x], [y], "o", color=colour, markersize=size, zorder=3 if group == "source" else 4)
            if group == "worst":
                ink = "white" if band in WHOLE or place(band, depth) > 0.45 * depth else style.INK
                reached = results.reached(case, algorithm, band)
                text = band if reached else f"({band})"
                axes.annotate(
                    text, (x, y), ha="center", va="center_baseline", fontsize=5.5, color=ink, weight="bold", zorder=6
                )
    axes.set(xlim=LIMITS, ylim=(LIMITS[0], top), xlabel="capability kept (C)", ylabel="knowledge left (K)")
    if not drawn:
        style.missing(axes, "no cell has both K and C")
    panels.say_statuses(axes, results, case, [algorithm])


def _draw_merit(axes: Axes, results: Results, case: Case, algorithm: str) -> None:
    depth, bands = results.depth(case), results.bands(case, algorithm)
    numbers = {band: _merit(*sides(results, case, algorithm, band)) for band in bands}
    for band, number in numbers.items():
        colour = style.GREY if band in WHOLE else style.block_colour(place(band, depth), depth)
        hollow = [not results.reached(case, algorithm, band)]
        panels.points(axes, [place(band, depth)], [number], colour=colour, hollow=hollow, size=5)
    panels.mark_statuses(axes, results, case, algorithm)
    panels.mark_views(axes, results, case, algorithm)
    for block in results.views(case, algorithm).get("target", []):
        if numbers.get(str(block)):
            panels.line_at(axes, numbers[str(block)].value)
    panels.line_at(axes, 0, dashes="-", colour=style.FAINT)
    panels.block_axis(axes, results, case, [algorithm])
    panels.fit(axes, -0.4, 1.05, -1.2, 1.3)
    axes.set_ylabel("merit: C − K, worst")
    if not any(numbers.values()):
        style.missing(axes, "no merit")


def _merit(c: Number, k: Number) -> Number:
    return Number(c.value - k.value, c.low - k.high, c.high - k.low, min(c.n, k.n)) if c and k else MISSING


def unbeaten(results: Results) -> list[tuple[str, str, str, str, str, str]]:
    """The edits that no other of the same case beats in both scores of the worst held-out language.

    Each as model, algorithm, band, status, K, C.
    """
    found = []
    for case in results.cases:
        edits = []
        for algorithm in results.algorithms(case):
            for band in results.bands(case, algorithm):
                c, k = sides(results, case, algorithm, band)
                if k and c:
                    edits.append((algorithm, band, k, c))
        for algorithm, band, k, c in edits:
            rivals = ((x.value, y.value) for _, _, x, y in edits)
            if not any(x <= k.value and y >= c.value and (x, y) != (k.value, c.value) for x, y in rivals):
                status = results.status(case, algorithm, band)
                found.append((results.name(case), algorithm, band, status, str(k), str(c)))
    return found
