"""The logit lens: probability of the right option after each block, before and after the edit, by language."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import WHOLE
from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 5
TITLE = "Logit lens: the right option, block by block"
CAPTION = (
    "Probability of the right option, read from the state after each block through the model's own head, mean over "
    "the forget facts; one colour per language. Faint: before the edit. Full: after the edit of the target block "
    "(without one: of the middle block). In the grey blocks nothing can change, for they lie below the edit. Dotted: "
    "chance."
)


def has(results: Results) -> bool:
    """Whether the study has looked at all."""
    return any(len(_after(results, case, name)) for case in results.cases for name in results.algorithms(case))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    figure, columns = panels.per_model(results, [2.0], has=lambda case, name: len(_after(results, case, name)) > 0)
    codes: dict[str, None] = {}
    for case, algorithm, (axes,) in columns:
        codes.update(dict.fromkeys(_draw_lens(axes, results, case, algorithm)))
        axes.set_xlabel("read after block")
        axes.set_ylabel("probability of the right option")
    keys = [style.line_key(code, style.language_colour(code), marker=style.language_marker(code)) for code in codes]
    keys += [
        style.line_key("source language", style.INK, linestyle="-"),
        style.line_key("held-out language", style.INK, linestyle="--"),
        style.line_key("before the edit: no marks, faint", "#BBBBBB"),
    ]
    style.legend(figure, [*keys, style.area_key("below the edit", style.FAINT)], panels.chosen(results).note)
    return figure


def edited(results: Results, case: Case, algorithm: str) -> tuple[str, str]:
    """The band whose lens is shown, and what it is: the target, else the middle block, else the first band there is."""
    bands, blocks = results.bands(case, algorithm), results.blocks(case, algorithm)
    target = [str(block) for block in results.views(case, algorithm).get("target", [])]
    if target and target[0] in bands:
        return target[0], "target"
    if blocks:
        return blocks[len(blocks) // 2], "middle"
    return (bands[0], "whole model") if bands else ("", "")


def _after(results: Results, case: Case, algorithm: str) -> pd.DataFrame:
    return results.lens(case, algorithm, edited(results, case, algorithm)[0])


def _draw_lens(axes: Axes, results: Results, case: Case, algorithm: str) -> list[str]:
    band, what = edited(results, case, algorithm)
    words = f"{band}: every {'block' if band == 'all' else 'parameter'}" if band in WHOLE else f"block {band} ({what})"
    lost = "this edit diverged" if results.diverged(case, algorithm, band) else ""
    style.title(axes, f"{algorithm.replace('_', ' ')}, {words}", lost, warning=True)
    before, after = results.lens(case, "base", ""), results.lens(case, algorithm, band)
    if not len(after):
        style.missing(axes, "no lens of this edit")
        return []
    affected = after[after["affected"].astype(str) == "True"]["block"]
    first = int(affected.min()) if len(affected) else results.depth(case)
    if first > 0:
        axes.axvspan(-0.5, first - 0.5, color=style.FAINT, zorder=0, linewidth=0)
    source, heldout = results.languages(case)
    shown = [code for code in (*source, *heldout) if (after["language"] == code).any()]
    for code in shown:
        line = "-" if code in source else "--"
        _draw_line(axes, before[before["language"] == code], code, line=line, alpha=0.5)
        own = after[(after["language"] == code) & (after["block"] >= first)]
        _draw_line(axes, own, code, line=line, marker=style.language_marker(code))
    chance = results.number(case, "base", "", "chance", "all")
    if chance:
        panels.line_at(axes, chance.value, dashes=":")
    axes.set(ylim=(-0.03, 1.05), xlim=(-0.5, results.depth(case) - 0.5))
    axes.locator_params(axis="x", integer=True)
    return shown


def _draw_line(axes: Axes, rows: pd.DataFrame, code: str, *, line: str, alpha: float = 1.0, marker: str = "") -> None:
    rows = rows.sort_values("block")
    look: dict[str, Any] = {"color": style.language_colour(code), "alpha": alpha, "marker": marker, "markersize": 3.5}
    axes.plot(rows["block"], rows["probability"], line, linewidth=1.1, **look)
