"""Alignment maps: how each language lies to the source languages after each block, before any edit."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 6
TITLE = "Alignment and offset of languages, block by block"
CAPTION = (
    "Every language against the source languages (mean over pairs; a source language against the others), on prompts "
    "of the facts to be forgotten, before any edit. Above: unbiased linear CKA of the prompt's last token, 0 for "
    "unrelated states. Middle: share of items whose nearest neighbour in the other language is their translation, "
    "after the mean of each language is taken away. Below: distance of the two languages' mean states over the mean "
    "norm of a state: the offset, which the two above remove before they look. In percent, written where there is "
    "room. Source languages stand above the gap. Estimates on all items, without intervals."
)
ANALYSIS = "alignment"
ROWS = (("cka_unbiased", "unbiased CKA"), ("retrieval", "retrieval of translations"), ("offset", "offset / norm"))
GAP = 0.5  # rows between source and held-out languages
WIDTH = 2.7  # inches of a model
MOST_WRITTEN = 10  # blocks; in wider maps numbers would run into each other


def has(results: Results) -> bool:
    """Whether the study has looked at all."""
    return bool(_cases(results))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = _cases(results)
    columns = panels.even(len(cases), WIDTH)
    strips = [cases[start : start + columns] for start in range(0, len(cases), columns)]
    heights = [len(ROWS) * (0.17 * max(_height(results, case) for case in strip) + 0.45) + 0.5 for strip in strips]
    figure = style.new_figure(max(min(columns * WIDTH, style.WIDEST), 5.0), (sum(heights) or 2) + 0.4)
    if not cases:
        style.missing(figure.add_subplot(), "this study has no analysis of alignment")
        return figure
    parts = figure.subfigures(len(strips), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, strip in zip(parts, strips):
        for column, case in enumerate(strip):
            for row, (measure, words) in enumerate(ROWS):
                axes = part.add_subplot(len(ROWS), columns, row * columns + column + 1)
                # The model's name once, over its maps.
                style.title(axes, words if row else f"{_name(results, case)}: {words}")
                _draw_map(axes, results, case, measure)
                if row == len(ROWS) - 1:
                    axes.set_xlabel("after block")
    colours = style.share_colours()
    keys = [style.area_key(f"{round(100 * share)}", colours(share)) for share in (0.0, 0.25, 0.5, 0.75)]
    keys += [style.area_key("100 and more", colours(1.0)), style.area_key("no value", style.ABSENT)]
    style.legend(figure, keys)
    return figure


def _cases(results: Results) -> list[Case]:
    """One of each trained model, forget set and sources that were looked at: the base knows no more of a cell."""
    profiles = results.tables["profiles"]
    own = profiles[(profiles["analysis"] == ANALYSIS) & (profiles["algorithm"] == "base")]
    there = set(zip(own["model"], own["training_seed"], own["forget_set"]))
    found: dict[tuple, Case] = {}
    for case in results.cases:
        if _key(case) in there:
            found.setdefault((*_key(case), case.sources), case)
    return list(found.values())


def _key(case: Case) -> tuple[str, int, str]:
    return case.model, case.training_seed, case.forget_set


def _name(results: Results, case: Case) -> str:
    """Model, and seed, sources and forget set where they differ; protocols and seeds of unlearning have no part."""
    own = {"training_seed": f"s{case.training_seed}", "sources": case.sources, "forget_set": case.forget_set}
    differ = [text for key, text in own.items() if len({getattr(other, key) for other in results.cases}) > 1]
    return ", ".join([case.model, *differ])


def _height(results: Results, case: Case) -> float:
    return max(sum(map(len, results.languages(case))) + GAP, 4)


def _draw_map(axes: Axes, results: Results, case: Case, measure: str) -> None:
    profiles = results.tables["profiles"]
    key = (profiles[["model", "training_seed", "forget_set"]] == list(_key(case))).all(axis=1)
    rows = profiles[key & (profiles["analysis"] == ANALYSIS) & (profiles["measure"] == measure)]
    source, heldout = results.languages(case)
    depth = max(results.depth(case), *(int(block) + 1 for block in rows["block"]), 1)
    ticks: dict[float, str] = {}
    top = 0.0
    for codes in filter(None, (source, heldout)):
        values = np.array([_against(rows, code, source, depth) for code in codes])
        edges = (np.arange(depth + 1), top + np.arange(len(codes) + 1))
        shown = np.ma.masked_invalid(np.clip(values, 0, 1))
        axes.pcolormesh(*edges, shown, cmap=style.share_colours(), vmin=0, vmax=1)
        if depth <= MOST_WRITTEN:
            _write(axes, values, top)
        ticks.update({top + i + 0.5: code for i, code in enumerate(codes)})
        top += len(codes) + GAP
    step = panels.tick_step(depth)
    axes.set_xticks([i + 0.5 for i in range(0, depth, step)], [str(i) for i in range(0, depth, step)], fontsize=6.5)
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=6.5)
    axes.set(ylim=(max(top - GAP, 1), 0), xlim=(0, depth))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _against(rows: pd.DataFrame, code: str, source: list[str], depth: int) -> np.ndarray:
    """Mean over a language's pairs with the source languages, by block [depth]; NaN where there is none."""
    pairs = {f"{a}-{b}" for other in source if other != code for a, b in ((code, other), (other, code))}
    means = rows[rows["language"].isin(pairs)].groupby("block")["value"].mean()
    return means.reindex(range(depth)).to_numpy(float)


def _write(axes: Axes, values: np.ndarray, top: float) -> None:
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            look: dict[str, Any] = {"color": "white" if value < 0.45 else style.INK, "fontsize": 5.5, "zorder": 4}
            text = f"{round(100 * value)}".replace("-", "−")
            axes.text(j + 0.5, top + i + 0.5, text, ha="center", va="center", **look)
