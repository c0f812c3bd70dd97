"""Heat maps of knowledge and capability: a row for each language, a column for each edited block."""

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import WHOLE, is_block
from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 4
TITLE = "Languages by block"
CAPTION = (
    "Knowledge of the forget set (K, above) and capability (C, below) of every language after the edit of every "
    "block, in percent of the base. Source languages stand above the gap, held-out ones below. The first column is "
    "the model before any edit. Grey: no value."
)
GAP = 0.5  # rows between source and held-out languages
MOST_WRITTEN = 16  # columns; in wider maps numbers would run into each other


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)

    def width(case: Case, algorithm: str) -> float:
        return len(_columns(results, case, algorithm)) + 1.5

    def rows(case: Case) -> float:
        return max(sum(map(len, results.languages(case))) + GAP, 4)

    figure, columns = panels.per_model(results, [1, 1], height=0.2, width=3.4, ratios=width, scale=rows)
    for case, algorithm, (above, below) in columns:
        for axes, metric, words in ((above, "K", "knowledge K"), (below, "C", "capability C")):
            note = panels.statuses(results, case, algorithm) if metric == "K" else ""
            style.title(axes, f"{algorithm.replace('_', ' ')}: {words}", note)
            _draw_map(axes, results, case, algorithm, metric)
        below.set_xlabel("edited block")
    colours = style.share_colours()
    words = {0.0: "0: never knew, or chance", 0.25: "25", 0.5: "50", 0.75: "75", 1.0: "100: like the base"}
    keys = [style.area_key(text, colours(share)) for share, text in words.items()]
    _, *lost = panels.status_keys(results)
    style.legend(figure, [*keys, style.area_key("no value", style.ABSENT), *lost], panels.chosen(results).note)
    return figure


def _columns(results: Results, case: Case, algorithm: str) -> list[str]:
    return ["base", *results.bands(case, algorithm)]


def _draw_map(axes: Axes, results: Results, case: Case, algorithm: str, metric: str) -> None:
    """Languages down, bands across; a gap parts source and held-out languages."""
    bands, ticks, colours = _columns(results, case, algorithm), {}, style.share_colours()
    top = 0.0
    for group, codes in zip(("source", "heldout"), results.languages(case)):
        values = np.full((len(codes), len(bands)), np.nan)
        for (i, code), (j, band) in itertools.product(enumerate(codes), enumerate(bands)):
            who = ("base", "") if band == "base" else (algorithm, band)
            values[i, j] = results.number(case, *who, metric, group, language=code).value
        if np.isfinite(values).any():
            edges = (np.arange(len(bands) + 1), top + np.arange(len(codes) + 1))
            axes.pcolormesh(*edges, np.ma.masked_invalid(np.clip(values, 0, 1)), cmap=colours, vmin=0, vmax=1)
            _write_percents(axes, values, top)
            ticks.update({top + i + 0.5: code for i, code in enumerate(codes)})
            top += len(codes) + GAP
    if not ticks:
        style.missing(axes, f"no {metric} by language")
        return
    for band in panels.diverged(results, case, algorithm):
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": style.WARNING, "zorder": 5}
        axes.text(bands.index(band) + 0.5, (top - GAP) / 2, "×", **look)
    axes.axvline(1, color="white", linewidth=3, zorder=3)
    if WHOLE[0] in bands and len(bands) > 2:
        axes.axvline(bands.index(WHOLE[0]), color="white", linewidth=3, zorder=3)
    # All of a few blocks are named, of many every second or fourth.
    step = panels.tick_step(results.depth(case))
    named = [i for i, band in enumerate(bands) if not is_block(band) or int(band) % step == 0]
    axes.set_xticks([i + 0.5 for i in named], [bands[i] for i in named], fontsize=6.5)
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=7)
    axes.set(ylim=(top - GAP, 0), xlim=(0, len(bands)))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_percents(axes: Axes, values: np.ndarray, top: float) -> None:
    if values.shape[1] > MOST_WRITTEN:
        return
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if value < 0.45 else style.INK
            text = f"{round(100 * min(max(value, -9.99), 9.99))}".replace("-", "−")
            axes.text(j + 0.5, top + i + 0.5, text, ha="center", va="center", fontsize=5.5, color=ink, zorder=4)
