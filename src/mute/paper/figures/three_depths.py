"""The published figure 1: forget and retain accuracy by language after a shallow, the chosen and a deep edit."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.published import Published
from mute.findings.results import Number, Results
from mute.paper import exhibits
from mute.plotting import panels, style

TITLE = "Accuracy by language at three depths"
CAPTION = (
    "Accuracy by language after a shallow, the chosen and a deep edit by RMU: Llama as published (above) and ours of "
    "that family (below), at the same relative depths. Intervals: questions (published), trained models or facts."
)
LAYERS = (2, 9, 30)
LOOKS = (("#88CCEE", "^"), ("#0072B2", "o"), ("#332288", "v"))


def draw(results: Results, published: Published) -> Figure:
    figure = style.new_figure(8.4, 5.0)
    table = exhibits.table("table_3", results, published)
    cases = exhibits.fixed_cases(results, exhibits.our_model(results, "Llama-3.1-8B"))
    depth = len(published.curve("Llama-3.1-8B"))
    shallow, deep = (
        f"block {exhibits.placed(results, cases[0], layer, depth)}" if cases else ""
        for layer in (LAYERS[0], LAYERS[-1])
    )
    rows = {"published": [f"L{layer}" for layer in LAYERS], "ours": [shallow, "target", deep]}
    for row, (origin, conditions) in enumerate(rows.items()):
        for column, split in enumerate(("forget", "retain")):
            axes = figure.add_subplot(2, 2, 2 * row + column + 1)
            own = table[(table["origin"] == origin) & (table["split"] == split)]
            style.title(axes, f"{split}, {origin}")
            if own.empty:
                style.missing(axes, "no such model in this study")
                continue
            _draw(axes, own, conditions)
    keys = [
        style.line_key(words, colour, marker=marker, linestyle="")
        for words, (colour, marker) in zip(("shallow edit", "chosen layer", "deep edit"), LOOKS)
    ]
    style.legend(figure, [*keys, style.line_key("before", style.INK, linestyle="--")])
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, conditions: list[str]) -> None:
    languages = [code for code in dict.fromkeys(rows["language"]) if code != exhibits.MEAN]
    for i, (condition, (colour, marker)) in enumerate(zip(conditions, LOOKS)):
        numbers = _numbers(rows, condition, languages)
        places = [x + 0.18 * (i - 1) for x in range(len(languages))]
        panels.points(axes, places, numbers, colour=colour, marker=marker, line="none")
    for name in ("finetuned", "before"):
        for x, number in enumerate(_numbers(rows, name, languages)):
            if number:
                axes.plot([x - 0.35, x + 0.35], [number.value] * 2, "--", color=style.INK, linewidth=0.9)
    axes.set_xticks(range(len(languages)), languages)
    axes.set(ylim=(-4, 104), ylabel="accuracy, %")


def _numbers(rows: pd.DataFrame, condition: str, languages: list[str]) -> list[Number]:
    own = rows[rows["condition"] == condition].set_index("language")
    keys = ["value", "low", "high", "n"]
    return [Number(*own.loc[code, keys]) if code in own.index else Number() for code in languages]
