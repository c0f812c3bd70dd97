"""Heat map of knowledge left in each language after unlearning in each language alone."""

import numpy as np
from matplotlib.figure import Figure

from mute.findings import transfer
from mute.findings.published import Published
from mute.findings.results import Results
from mute.plotting import style

TITLE = "Transfer between languages"
CAPTION = (
    "Knowledge K left in the column's language after unlearning in the row's language alone, at matched erasure there. "
    "Control: the diagonal, the language itself. Rows with a star did not reach erasure, those with a cross diverged "
    "and have no value. Intervals in the table."
)


def has(results: Results) -> bool:
    return bool(transfer.cases(results))


def draw(results: Results, published: Published) -> Figure:
    table = transfer.matrix(results)
    figure = style.new_figure(6.4, 5.4)
    axes = figure.add_subplot()
    if table.empty:
        style.missing(axes, "no model of this study unlearns in three or more languages alone")
        return figure
    languages, values = transfer.square(table)
    status = dict(zip(table["source"], table["status"]))
    shown = axes.imshow(values, cmap=style.share_colours(), vmin=0, vmax=1)
    for i in range(len(languages)):
        for j in range(len(languages)):
            if not np.isnan(values[i, j]):
                colour = "white" if values[i, j] < 0.55 else style.INK
                axes.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=6.5, color=colour)
    axes.set_xticks(range(len(languages)), languages)
    marks = {"ok": "", "diverged": " ×"}
    axes.set_yticks(range(len(languages)), [f"{c}{marks.get(status[c], ' *')}" for c in languages])
    axes.set(xlabel="asked in", ylabel="unlearned in")
    first = table.iloc[0]
    style.title(axes, f"{first['model']}, {first['algorithm'].replace('_', ' ')}, block {first['block']}")
    figure.colorbar(shown, ax=axes, label="knowledge left (K)", shrink=0.8)
    return figure
