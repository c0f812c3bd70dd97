"""What each language still knows after the edit of each block: a map per model and algorithm, the first picture."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from mute.bands import WHOLE, is_block
from mute.findings import by_language
from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 0
TITLE = "What each language still knows, by edited block"
CAPTION = (
    "Knowledge K of the forget set in every language (rows) after the edit of every block (columns), in hundredths: 0 "
    "never knew, 100 untouched. Unlearning read the source languages alone; held-out ones stand by script. Means over "
    "the trainings of an architecture whose edit counts. Above the columns: the target (triangle), and a mark where "
    "edits do not count, with their number if others do. Beneath, in hundredths too: capability C of the worst "
    "held-out language, and, of the model before any edit, LRDS, mean CKA of languages, and how far mean states of "
    "held-out and source languages lie apart (offset, over the norm of a state)."
)
CELL = 0.33  # inches that a column is wide if numbers are written in it, and that it is else
NARROW = 0.15
ROW = 0.2
MOST_WRITTEN = 36  # columns
BESIDE = 0.75  # inches for the names of rows
# Shown 1300 pixels wide, numbers of a figure of so many inches can still be read.
WIDEST = 13.0
GAP = 0.9  # rows: room for a group's name
HEAD = 1.5  # rows for marks above the columns
NUMBER = 7.5  # points


@dataclass(frozen=True)
class _Panel:
    """A map: the case that stands for all trainings, these trainings, the algorithm, and its columns."""

    case: Case
    trained: list[Case]
    algorithm: str
    bands: list[str]

    @property
    def width(self) -> float:
        return BESIDE + max(len(self.bands), 4) * (CELL if len(self.bands) <= MOST_WRITTEN else NARROW)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    strips = [strip for own in _by_case(results) for strip in _strips(own)]
    heights = [_height(results, strip[0].case) * ROW + 0.85 for strip in strips]
    width = max((sum(panel.width for panel in strip) for strip in strips), default=0)
    figure = style.new_figure(min(max(width + 0.3, 7.0), style.WIDEST), (sum(heights) or 2) + 0.8)
    if not strips:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
        return figure
    parts = figure.subfigures(len(strips), 1, squeeze=False, height_ratios=heights)[:, 0]
    seen: set[tuple] = set()
    for part, strip in zip(parts, strips):
        case = strip[0].case
        further = (case.model, *case.setting) in seen
        seen.add((case.model, *case.setting))
        warn = results.below_gate(case) if len(strip[0].trained) == 1 else []
        note = f"  (below its gate: {'; '.join(warn[:2])}{', …' if len(warn) > 2 else ''})" if warn else ""
        words = f"{_name(results, strip[0])}{', continued' if further else note}"
        look: dict[str, Any] = {"fontsize": 10.5, "fontweight": "bold", "x": 0.01, "ha": "left"}
        part.suptitle(words, color=style.WARNING if warn else style.INK, **look)
        room = max(width - sum(panel.width for panel in strip), 0)
        ratios = [panel.width for panel in strip] + ([room] if room > 0.3 else [])
        grid = part.add_gridspec(1, len(ratios), width_ratios=ratios)
        for column, panel in enumerate(strip):
            _draw_panel(part.add_subplot(grid[0, column]), results, panel)
    style.legend(figure, _keys(results), panels.chosen(results).note)
    return figure


def _by_case(results: Results) -> list[list[_Panel]]:
    """The maps of each architecture and setting: trainings together."""
    found: dict[tuple, list[_Panel]] = {}
    for case in results.cases:
        if (case.model, *case.setting) not in found:
            trained = by_language.trained(results, case)
            names = panels.columns_of(results, case)
            found[case.model, *case.setting] = [
                _Panel(case, trained, name, _columns(results, trained, case, name)) for name in names
            ]
    return [own for own in found.values() if own]


def _columns(results: Results, trained: Iterable[Case], case: Case, algorithm: str) -> list[str]:
    bands = dict.fromkeys(band for own in (case, *trained) for band in results.bands(own, algorithm))
    blocks = [band for band in bands if band not in WHOLE]
    return [*blocks, *(band for band in WHOLE if band in bands)]


def _strips(own: list[_Panel]) -> list[list[_Panel]]:
    """Maps side by side as far as a page is wide."""
    strips: list[list[_Panel]] = [[]]
    for panel in own:
        if strips[-1] and sum(other.width for other in strips[-1]) + panel.width > WIDEST:
            strips.append([])
        strips[-1].append(panel)
    return strips


def _name(results: Results, panel: _Panel) -> str:
    """The case without its training seed, and over how many trainings its means are."""
    seed = f", training seed {panel.case.training_seed}"
    name = results.name(panel.case)
    alone = len({other.training_seed for other in panel.trained}) == 1
    return name if alone else f"{name.replace(seed, '')}, mean over {len(panel.trained)} trainings"


def _height(results: Results, case: Case) -> float:
    """In rows: head, languages with the names of their groups, and the thin rows."""
    groups = by_language.groups(results, case)
    return HEAD + sum(len(codes) + GAP for codes in groups.values()) + GAP + len(THIN) + 0.5


# The maps themselves


def _draw_panel(axes: Axes, results: Results, panel: _Panel) -> None:
    case, columns = panel.case, len(panel.bands)
    style.title(axes, panel.algorithm.replace("_", " "), _note(results, panel))
    ticks: dict[float, str] = {}
    top, known, spans = 0.0, False, []
    for name, codes in by_language.groups(results, case).items():
        label: dict[str, Any] = {"fontsize": 7, "color": style.GREY, "va": "bottom", "clip_on": False, "zorder": 5}
        axes.text(0, top + GAP - 0.1, by_language.WORDS[name], **label)
        top += GAP
        values = np.array([[_knowledge(results, panel, band, code) for band in panel.bands] for code in codes])
        known |= bool(np.isfinite(values).any())
        _cells(axes, values.reshape(len(codes), columns), top, style.share_colours())
        ticks.update({top + i + 0.5: code for i, code in enumerate(codes)})
        spans.append((top, top + len(codes)))
        top += len(codes)
    if not known:
        style.missing(axes, "no K by language")
        return
    top += GAP
    for label_, values, colours in _thin(results, panel):
        if np.isfinite(values).any():
            _cells(axes, values[None], top, colours)
            ticks[top + 0.5] = label_
            top += 1
    _draw_head(axes, results, panel, spans)
    if WHOLE[0] in panel.bands and columns > 2:
        axes.axvline(panel.bands.index(WHOLE[0]), color="white", linewidth=3, zorder=3)
    step = 1 if columns <= MOST_WRITTEN else panels.tick_step(results.depth(case))
    named = [i for i, band in enumerate(panel.bands) if not is_block(band) or int(band) % step == 0]
    axes.set_xticks([i + 0.5 for i in named], [panel.bands[i] for i in named], fontsize=NUMBER)
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=NUMBER)
    axes.set(ylim=(top, -HEAD), xlim=(0, max(columns, 1)), xlabel="edited block")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _note(results: Results, panel: _Panel) -> str:
    """The objective of the algorithm, and in how many of the trainings it ran if not in all."""
    ran = sum(panel.algorithm in results.algorithms(case) for case in panel.trained)
    part = f"{ran} of {len(panel.trained)} trainings" if ran < len(panel.trained) else ""
    intent = results.intent(panel.algorithm)
    return "; ".join(filter(None, (f"objective: {intent}" if intent else "", part)))


def _average(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan


def _knowledge(results: Results, panel: _Panel, band: str, code: str) -> float:
    own = by_language.counted(results, panel.trained, panel.algorithm, band)
    found = (by_language.by_language(results, case, panel.algorithm, band, "K", [code]) for case in own)
    return _average(numbers[code].value for numbers in found if code in numbers)


def _capability(results: Results, panel: _Panel, band: str) -> float:
    own = by_language.counted(results, panel.trained, panel.algorithm, band)
    return _average(by_language.worst(results, case, panel.algorithm, band, "C").number.value for case in own)


def _layer(column: str) -> Callable[[Results, _Panel, str], float]:
    def of(results: Results, panel: _Panel, band: str) -> float:
        if not is_block(band):
            return np.nan
        curves = [results.curve(case) for case in panel.trained]
        return _average(
            float(value) for curve in curves for value in curve.loc[curve["block"] == int(band), column].astype(float)
        )

    return of


def _offset(results: Results, panel: _Panel, band: str) -> float:
    if not is_block(band):
        return np.nan
    return _average(by_language.gap(results, case).get(int(band), np.nan) for case in panel.trained)


# Rows beneath a map: what they are called, their value at a band, and whether they are scores of the edit.
THIN: tuple[tuple[str, Callable[[Results, _Panel, str], float], bool], ...] = (
    ("C worst", _capability, True),
    ("LRDS", _layer("lrds"), False),
    ("CKA", _layer("cka"), False),
    ("offset", _offset, False),
)


def _thin(results: Results, panel: _Panel) -> Iterable[tuple[str, np.ndarray, Colormap]]:
    of_base = matplotlib.colormaps["Greys"].with_extremes(bad="white")
    for words, value, of_edit in THIN:
        values = np.array([value(results, panel, band) for band in panel.bands], float)
        yield words, values, style.share_colours() if of_edit else of_base


def _cells(axes: Axes, values: np.ndarray, top: float, colours: Colormap) -> None:
    """A block of coloured cells [rows, columns] from 0 to 1 with their numbers, its first row at `top`."""
    rows, columns = values.shape
    edges = (np.arange(columns + 1), top + np.arange(rows + 1))
    axes.pcolormesh(*edges, np.ma.masked_invalid(np.clip(values, 0, 1)), cmap=colours, vmin=0, vmax=1)
    if columns > MOST_WRITTEN:
        return
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = colours(float(np.clip(value, 0, 1)))
            ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else style.INK
            text = f"{round(100 * min(max(value, -9.99), 9.99))}".replace("-", "−")
            look: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": NUMBER, "zorder": 4}
            axes.text(j + 0.5, top + i + 0.53, text, color=ink, **look)


def _draw_head(axes: Axes, results: Results, panel: _Panel, spans: list[tuple[float, float]]) -> None:
    """Marks above the columns: the target of any training, and edits that are no answer; a frame round the target."""
    targets = {block for case in panel.trained for block in results.views(case, panel.algorithm).get("target", [])}
    for column, band in enumerate(panel.bands):
        x = column + 0.5
        if is_block(band) and int(band) in targets:
            axes.plot([x], [-0.05], zorder=6, **TARGET)
            for low, high in spans:
                frame = [low, high, high, low, low]
                axes.plot(column + np.array([0, 0, 1, 1, 0]), frame, color=style.INK, linewidth=1.1, zorder=5)
        own = [case for case in panel.trained if band in results.bands(case, panel.algorithm)]
        found = [results.status(case, panel.algorithm, band) for case in own]
        lost = [status for status in found if status in panels.STATUS_MARKS]
        if lost:
            mark = max(panels.STATUS_MARKS, key=lost.count)
            axes.plot([x], [-0.85], zorder=6, **panels.STATUS_MARKS[mark])
            if len(lost) < len(found):
                axes.text(x + 0.22, -1.05, str(len(lost)), fontsize=6.5, color=style.GREY, va="center", zorder=6)


TARGET: dict[str, Any] = {"marker": "v", "color": style.INK, "markersize": 4.5, "linestyle": ""}


def _keys(results: Results) -> list[Artist]:
    colours = style.share_colours()
    words = {0.0: "0: never knew", 0.25: "25", 0.5: "50", 0.75: "75", 1.0: "100: untouched"}
    keys: list[Artist] = [style.area_key(text, colours(share)) for share, text in words.items()]
    keys += [style.area_key("no value", style.ABSENT), style.line_key("target block", **TARGET)]
    return [*keys, *panels.status_keys(results, everything=True)]
