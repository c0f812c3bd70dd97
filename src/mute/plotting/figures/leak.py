"""Leak and excess damage of held-out languages by edited block and script, at matched erasure."""

import math
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import WHOLE
from mute.findings import by_language
from mute.findings.by_language import HELDOUT, OTHER, SAME
from mute.findings.families import choose
from mute.findings.results import Case, Number, Results, Tables, place
from mute.findings.verdicts import POINTS
from mute.plotting import looks, panels, style
from mute.store.records import Facts

TITLE = "Leak and excess damage at matched erasure"
CAPTION = (
    "Only edits after which the source languages have forgotten as far as the protocol asks. Leak: K held-out minus K "
    "source, what held-out languages still know more, those of the sources' script and of other scripts apart. Excess "
    "damage: C source minus C held-out, what they lost more. Points: means over the languages of a panel, with 95 % "
    "intervals over items; dash: the worst of these languages, without one. Effects inside the grey strip, under five "
    "points, are not decided."
)
LEAK, DAMAGE = "leak: K held-out − K source", "excess damage: C source − C held-out"
GROUPS = {SAME: "leak, the sources' script", OTHER: "leak, other scripts", HELDOUT: "leak"}
ALL = "all"  # what the tables call the mean over held-out languages of a difference


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = results.cases
    shown, note = choose(results)
    there = [group for group in GROUPS if any(group in by_language.groups(results, case) for case in cases)]
    measures = [("leak", group, GROUPS[group], LEAK) for group in there]
    measures.append(("excess_damage", "", "excess damage", DAMAGE))
    figure = style.new_figure(max(4.4 * len(measures), 6.0), max(len(cases), 1) * 2.7 + 0.5)
    if not cases:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
    for row, case in enumerate(cases):
        names = [name for name in results.algorithms(case) if name in shown]
        for column, (metric, group, title, words) in enumerate(measures):
            axes = figure.add_subplot(len(cases), len(measures), len(measures) * row + column + 1)
            style.title(axes, f"{results.name(case)}: {title}", _note(results, case, names, metric, group))
            if group and group not in by_language.groups(results, case):
                style.missing(axes, "no such language")
                continue
            drawn = [_draw_algorithm(axes, results, case, names, i, metric, group) for i in range(len(names))]
            if not any(drawn):
                style.missing(axes, "no edit reached matched erasure")
                continue
            panels.line_at(axes, 0, dashes="-", colour=style.GREY)
            axes.axhspan(-POINTS, POINTS, color=style.FAINT, zorder=0, linewidth=0)
            panels.block_axis(axes, results, case, names)
            panels.fit(axes, -0.3, 0.3, -1.2, 1.2)
            axes.set_ylabel(words.split(": ")[1])
    keys: list[Artist] = [looks.key(results, name, linestyle="") for name in shown]
    keys += [panels.worst_key(), style.area_key("under five points: not decided", style.FAINT)]
    style.legend(figure, keys, note)
    return figure


def _matched(results: Results, case: Case, algorithm: str) -> list[str]:
    """Bands at which erasure in the source languages was matched."""
    if case.protocol != "matched":
        return []
    return [band for band in results.bands(case, algorithm) if results.reached(case, algorithm, band)]


def _mean(results: Results, case: Case, algorithm: str, band: str, metric: str, group: str) -> Number:
    """The mean over a group of languages, "" for all held out; as the tables have it, or the languages' own."""
    stated = group if group in (SAME, OTHER) else ALL
    number = results.number(case, algorithm, band, metric, stated)
    return number or by_language.mean(results, case, algorithm, band, metric, group or HELDOUT)


def _note(results: Results, case: Case, names: list[str], metric: str, group: str) -> str:
    if case.protocol != "matched":
        return f"the {case.protocol} protocol does not match erasure"
    total = sum(len(results.bands(case, name)) for name in names)
    reached = [(name, band) for name in names for band in _matched(results, case, name)]
    known = sum(bool(_mean(results, case, name, band, metric, group)) for name, band in reached)
    statuses = [results.status(case, name, band) for name in names for band in results.bands(case, name)]
    counted = ((statuses.count(status), status.replace("_", " ")) for status in panels.FOOT)
    codes = by_language.groups(results, case).get(group, [])
    parts = [f"{len(reached)} of {total} edits reached it"]
    parts += [f"{known} have a value"] if known < len(reached) else []
    parts += [f"{count} {status}" for count, status in counted if count]
    return "; ".join([" ".join(codes), *parts] if 0 < len(codes) <= 6 else parts)


def _draw_algorithm(
    axes: Axes, results: Results, case: Case, names: list[str], i: int, metric: str, group: str
) -> bool:
    name, depth, drawn = names[i], results.depth(case), False
    # Side by side around the block, and never as far as the next one.
    shift = min(0.16, 0.8 / max(len(names), 1)) * (i - (len(names) - 1) / 2)
    own = looks.look(results, name)
    look: dict[str, Any] = {"colour": own.colour, "marker": own.marker, "line": "none"}
    bands = _matched(results, case, name)
    for part in ([b for b in bands if b not in WHOLE], *([b] for b in bands if b in WHOLE)):
        numbers = [_mean(results, case, name, band, metric, group) for band in part]
        at = [place(band, depth) + shift for band in part]
        panels.points(axes, at, numbers, **look)
        worst = [by_language.worst(results, case, name, band, metric, group=group).number for band in part]
        panels.dashes(axes, at, worst, colour=own.colour)
        drawn = drawn or any(not math.isnan(number.value) for number in numbers)
    return drawn
