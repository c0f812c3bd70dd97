"""Figures 2 to 4: CKA and LRDS over depth of a published model, and of ours of the same family."""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from mute.findings import trainings
from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper import exhibits
from mute.plotting import style


def figure(model: str) -> tuple[str, str, Callable[[Results, Published], Figure]]:
    """TITLE, CAPTION and `draw` of a published model's figure."""
    caption = f"CKA and LRDS over depth: {model} as published, and our model of that family."
    return f"Layer scores of {model}", caption, partial(_draw, model=model)


def _draw(results: Results, published: Published, model: str) -> Figure:
    figure = style.new_figure(8.4, 4.6)
    theirs, own_name = published.curve(model), exhibits.our_model(results, model)
    first, last = published.region(model)
    protocol = next(iter(trainings.protocols(results)), "")
    cases = [case for case in trainings.main_cases(results, protocol) if case.model == own_name]
    for column, score in enumerate(("cka", "lrds")):
        above, below = (figure.add_subplot(2, 2, 2 * row + column + 1) for row in range(2))
        above.axvspan(first - 0.5, last + 0.5, color=style.FAINT, zorder=0, linewidth=0)
        above.plot(theirs["layer"], theirs[score], color=style.INK, marker=".", markersize=3)
        style.title(above, f"{score.upper()}, {model}", "published; grey: the printed region")
        for case in cases:
            curve = results.curve(case)
            below.plot(curve["block"], curve[score], color=style.INK, marker=".", alpha=0.55, linewidth=1)
        if cases:
            for block in results.views(cases[0], "rmu").get("region", []):
                below.axvspan(block - 0.5, block + 0.5, color=style.FAINT, zorder=0, linewidth=0)
            style.title(below, f"{score.upper()}, {own_name}", "ours, a line per training; grey: region of the first")
            below.set_xlabel("block")
        else:
            style.missing(below, f"this study has no {model.split('-')[0]}")
        for axes in (above, below):
            axes.margins(x=0.02)
    return figure
