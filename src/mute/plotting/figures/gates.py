"""Accuracy of each model before unlearning, by measure and language, beside the gates."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.results import Results, Tables
from mute.plotting import style
from mute.store.records import Facts

TITLE = "Gates: what the models knew before"
CAPTION = (
    "Accuracy of the trained models and oracles before any unlearning: recall of taught facts; transfer facts, apart "
    "by how their subject is spelled where that is known (native: in letters of its own; untold: so, too, and never "
    "told so with the fact in a teaching language, which no gate asks for); and each ability; one mark per language, "
    "the black bar their mean. Red lines are gates; a dotted one holds for each language. An oracle is judged on what "
    "it was taught; what it was never taught stands beside."
)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    rows = results.tables["gates"]
    order = list(results.about.get("models", {}))
    trained = list(dict.fromkeys(zip(rows["model"], rows["training_seed"], rows["oracle"])))
    trained.sort(key=lambda t: (order.index(t[0]) if t[0] in order else len(order), *t))
    # Of many models three stand side by side, so that all fit on a page.
    columns = min(max(len(trained), 1), 2 if len(trained) <= 6 else 3)
    lines = -(-max(len(trained), 1) // columns)
    figure = style.new_figure(5.4 * columns, 2.7 * lines + 0.5)
    if not trained:
        style.missing(figure.add_subplot(), "no gates in this study")
        return figure
    several = rows["training_seed"].nunique() > 1
    for i, (model, seed, oracle) in enumerate(trained):
        own = rows[(rows["model"] == model) & (rows["training_seed"] == seed) & (rows["oracle"] == oracle)]
        axes = figure.add_subplot(lines, columns, i + 1)
        failed = own[own["passed"].astype(str) == "False"]
        words = [model, f"training seed {seed}" if several else "", f"oracle without {oracle}" if oracle else ""]
        note = f"below {len(failed)} of its gates" if len(failed) else "passes its gates"
        style.title(axes, ", ".join(filter(None, words)), note, warning=len(failed) > 0)
        measures = [measure for measure in dict.fromkeys(rows["measure"]) if (own["measure"] == measure).any()]
        _draw_model(axes, own, measures, results.about.get("gates", {}))
    codes = [code for code in dict.fromkeys(rows["language"]) if code]
    keys = [
        style.line_key(code, style.language_colour(code), marker=style.language_marker(code), linestyle="")
        for code in codes
    ]
    keys += [
        style.line_key("mean", style.INK, linewidth=2),
        style.line_key("gate of the mean", style.WARNING),
        style.line_key("gate of each language", style.WARNING, linestyle=":"),
    ]
    style.legend(figure, keys)
    return figure


def _draw_model(axes: Axes, rows: pd.DataFrame, measures: list[str], gates: Facts) -> None:
    for x, measure in enumerate(measures):
        own = rows[rows["measure"] == measure]
        codes = own[own["language"] != ""]
        spread = 0.6 / max(len(codes) - 1, 1)
        for i, (code, value) in enumerate(zip(codes["language"], codes["value"])):
            at = x - 0.3 + i * spread if len(codes) > 1 else x
            look: dict[str, Any] = {"color": style.language_colour(code), "markersize": 5, "zorder": 4}
            axes.plot([at], [value], style.language_marker(code), **look)
        mean = own.loc[own["language"] == "", "value"]
        centre = float(mean.iloc[0]) if len(mean) else float(codes["value"].mean()) if len(codes) else float("nan")
        axes.plot([x - 0.38, x + 0.38], [centre] * 2, "-", color=style.INK, linewidth=2, zorder=3)
        for gate, dashes in _gates_of(measure, gates):
            axes.plot([x - 0.44, x + 0.44], [gate] * 2, dashes, color=style.WARNING, linewidth=1.2, zorder=5)
    axes.set_xticks(range(len(measures)), [m.replace("_", "\n") for m in measures])
    axes.set(xlim=(-0.6, len(measures) - 0.4), ylim=(-0.04, 1.06), ylabel="accuracy")
    if not measures:
        style.missing(axes, "nothing was asked")


def _gates_of(measure: str, gates: Facts) -> list[tuple[float, str]]:
    """The gates of a measure, by the configuration: value and line."""
    if measure == "recall":
        return [(gates["recall"], ":")] if "recall" in gates else []
    if measure == "transfer_untold":
        return []
    if measure.startswith("transfer"):
        return [(gates[key], dashes) for key, dashes in (("transfer", "-"), ("transfer_each", ":")) if key in gates]
    return [(gates["abilities"], "-")] if "abilities" in gates and measure != "never_taught" else []
