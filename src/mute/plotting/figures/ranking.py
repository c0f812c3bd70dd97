"""Every method in order of what is left in the worst held-out language at the same dose, and what it keeps there."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import WHOLE
from mute.findings import by_language
from mute.findings.results import Case, Number, Results, Tables, place
from mute.plotting import looks, panels, style
from mute.store.records import Facts

PLACE = 3
TITLE = "Methods by what is left in the worst held-out language"
CAPTION = (
    "One line a method, coloured by family, of all that edited a model at the same dose: the source languages have "
    "forgotten equally far, each within the steps it may take. Left: knowledge K of the held-out language that keeps "
    "most, 0 never knew, 1 untouched; right: capability C of the held-out language that keeps least. A point an edited "
    "band, light for the first block and dark for the last, a grey diamond for the whole model, with 95 % intervals "
    "over items. Methods stand in order of the mean of K over their bands that count; hollow points do not count, and "
    "methods without one stand last, with what became of them. Where intervals overlap, the order is not decided."
)
LIMITS = (-0.25, 1.35)
_ROW = 0.24  # inches
# Where the points of one method stand in its row, from above: the first block is the highest.
_SPREAD = 0.62


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = [case for case in results.cases if results.algorithms(case)]
    rows = [max(len(results.algorithms(case)), 2) * _ROW + 0.9 for case in cases]
    figure = style.new_figure(9.5, sum(rows) + 0.6 if rows else 3.0)
    if not cases:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
        return figure
    strips = figure.subfigures(len(cases), 1, squeeze=False, height_ratios=rows)[:, 0]
    for strip, case in zip(strips, cases):
        left, right = strip.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 2]})
        names = ordered(results, case)
        for axes, metric, words in ((left, "K", "knowledge left (K)"), (right, "C", "capability kept (C)")):
            _draw(axes, results, case, names, metric)
            axes.set(xlim=LIMITS, xlabel=f"{words}, worst held-out language")
        left.set_yticks(range(len(names)), [_label(results, case, name) for name in names], fontsize=7)
        for tick, name in zip(left.get_yticklabels(), names):
            tick.set_color(looks.look(results, name).colour)
        left.set_ylim(len(names) - 0.4, -0.6)
        notes = [f"below its gate: {failed}" for failed in results.below_gate(case)[:1]]
        style.title(left, results.name(case), "; ".join(notes), warning=bool(notes))
    families = {results.family(name): name for case in cases for name in reversed(results.algorithms(case))}
    keys = [style.line_key(family or "method", looks.look(results, name).colour) for family, name in families.items()]
    keys.append(style.line_key("all or full: the whole model", style.GREY, marker="d", linestyle=""))
    style.legend(figure, keys)
    return figure


def ordered(results: Results, case: Case) -> list[str]:
    """The methods of a case: those with bands that count by the mean of K over them, then the others by name."""
    return sorted(results.algorithms(case), key=lambda name: (mean_left(results, case, name), name))


def mean_left(results: Results, case: Case, algorithm: str) -> float:
    """Mean over the bands that count of K in the worst held-out language; infinite where none does."""
    own = [
        number.value
        for band in results.bands(case, algorithm)
        if results.votes(case, algorithm, band) and (number := _worst(results, case, algorithm, band, "K"))
    ]
    return sum(own) / len(own) if own else math.inf


def _worst(results: Results, case: Case, algorithm: str, band: str, metric: str) -> Number:
    return by_language.worst(results, case, algorithm, band, metric).number


def _label(results: Results, case: Case, algorithm: str) -> str:
    """A method's name, and what became of its edits that do not count."""
    bands = results.bands(case, algorithm)
    found = [results.silence(case, algorithm, band) for band in bands]
    words = [f"{found.count(s)} {s.replace('_', ' ')}" for s in dict.fromkeys(found) if s]
    name = algorithm.replace("_", " ")
    return f"{name} ({', '.join(words)} of {len(bands)})" if words else name


def _draw(axes: Axes, results: Results, case: Case, names: list[str], metric: str) -> None:
    depth = results.depth(case)
    for line in (0, 1):
        axes.axvline(line, color=style.FAINT, linewidth=0.8, zorder=0.1)
    for row, name in enumerate(names):
        axes.axhline(row + 0.5, color=style.FAINT, linewidth=0.4, zorder=0.1)
        bands = results.bands(case, name)
        for i, band in enumerate(bands):
            number = _worst(results, case, name, band, metric)
            if not number:
                continue
            y = row + (_SPREAD * (i / (len(bands) - 1) - 0.5) if len(bands) > 1 else 0)
            whole = band in WHOLE
            colour = style.GREY if whole else style.block_colour(place(band, depth), depth)
            face = colour if results.votes(case, name, band) else "white"
            ends = [min(max(end, LIMITS[0]), LIMITS[1]) for end in (number.low, number.high)]
            axes.plot(ends, [y, y], "-", color=colour, alpha=0.5, linewidth=0.9, zorder=2)
            x = min(max(number.value, LIMITS[0] + 0.02), LIMITS[1] - 0.02)
            look: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": colour, "markersize": 4, "zorder": 3}
            axes.plot([x], [y], "d" if whole else "o", linestyle="", **look)
