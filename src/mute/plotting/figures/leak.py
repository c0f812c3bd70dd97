"""Leak and excess damage of held-out languages by edited block, of edits that reached matched erasure."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import WHOLE
from mute.findings.families import choose
from mute.findings.results import Case, Results, Tables, place
from mute.findings.verdicts import POINTS
from mute.plotting import looks, panels, style
from mute.store.records import Facts

TITLE = "Leak and excess damage at matched erasure"
CAPTION = (
    "Only edits after which the source languages have forgotten as far as the protocol asks. Leak: K held-out minus K "
    "source, what the held-out languages still know more. Excess damage: C source minus C held-out, what they lost "
    "more. 95 % intervals over items; effects inside the grey strip, under five points, are not decided."
)
MEASURES = (("leak", "leak: K held-out − K source"), ("excess_damage", "excess damage: C source − C held-out"))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = results.cases
    shown, note = choose(results)
    figure = style.new_figure(11.0, max(len(cases), 1) * 2.7 + 0.5)
    if not cases:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
    for row, case in enumerate(cases):
        names = [name for name in results.algorithms(case) if name in shown]
        for column, (metric, words) in enumerate(MEASURES):
            axes = figure.add_subplot(len(cases), 2, 2 * row + column + 1)
            style.title(axes, f"{results.name(case)}: {words.split(':')[0]}", _note(results, case, names, metric))
            drawn = [_draw_algorithm(axes, results, case, names, i, metric) for i in range(len(names))]
            if not any(drawn):
                style.missing(axes, "no edit reached matched erasure")
                continue
            panels.line_at(axes, 0, dashes="-", colour=style.GREY)
            axes.axhspan(-POINTS, POINTS, color=style.FAINT, zorder=0, linewidth=0)
            panels.block_axis(axes, results, case, names)
            panels.fit(axes, -0.3, 0.3, -1.2, 1.2)
            axes.set_ylabel(words.split(": ")[1])
    keys = [looks.key(results, name, linestyle="") for name in shown]
    style.legend(figure, [*keys, style.area_key("under five points: not decided", style.FAINT)], note)
    return figure


def _matched(results: Results, case: Case, algorithm: str) -> list[str]:
    """Bands at which erasure in the source languages was matched."""
    if case.protocol != "matched":
        return []
    return [band for band in results.bands(case, algorithm) if results.reached(case, algorithm, band)]


def _note(results: Results, case: Case, names: list[str], metric: str) -> str:
    if case.protocol != "matched":
        return f"the {case.protocol} protocol does not match erasure"
    total = sum(len(results.bands(case, name)) for name in names)
    reached = [(name, band) for name in names for band in _matched(results, case, name)]
    known = sum(bool(results.number(case, name, band, metric, "all")) for name, band in reached)
    lost = sum(len(panels.diverged(results, case, name)) for name in names)
    parts = {f"{known} have a value": known < len(reached), f"{lost} diverged": lost}
    return "; ".join([f"{len(reached)} of {total} edits reached it", *(words for words, so in parts.items() if so)])


def _draw_algorithm(axes: Axes, results: Results, case: Case, names: list[str], i: int, metric: str) -> bool:
    name, depth, drawn = names[i], results.depth(case), False
    # Side by side around the block, and never as far as the next one.
    shift = min(0.16, 0.8 / max(len(names), 1)) * (i - (len(names) - 1) / 2)
    own = looks.look(results, name)
    look: dict[str, Any] = {"colour": own.colour, "marker": own.marker, "line": "none"}
    bands = _matched(results, case, name)
    for group in ([b for b in bands if b not in WHOLE], *([b] for b in bands if b in WHOLE)):
        numbers = [results.number(case, name, band, metric, "all") for band in group]
        panels.points(axes, [place(band, depth) + shift for band in group], numbers, **look)
        drawn = drawn or any(numbers)
    return drawn
