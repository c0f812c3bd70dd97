"""RMU by edited block, with source languages mixed in every batch and one after the other."""

from typing import Any

from matplotlib.figure import Figure

from mute.findings import by_language, trainings
from mute.findings.published import Published
from mute.findings.results import Results
from mute.plotting import looks, panels, style

TITLE = "Order of the source languages"
CAPTION = (
    "RMU with the source languages mixed in every batch (interleaved) and one after the other (concatenated), by "
    "edited block, at matched erasure. Control: the same model, draws and strengths. 95 % intervals over facts."
)
NAMES = dict(zip(trainings.ORDERS, ("interleaved", "concatenated")))
MEASURES = (("K", "knowledge left (K), worst held-out"), ("C", "capability kept (C), worst held-out"))


def has(results: Results) -> bool:
    return trainings.order_case(results) is not None


def draw(results: Results, published: Published) -> Figure:
    figure = style.new_figure(8.4, 3.2)
    case = trainings.order_case(results)
    if case is None:
        style.missing(figure.add_subplot(), "this study runs one order only")
        return figure
    for column, (metric, words) in enumerate(MEASURES):
        axes = figure.add_subplot(1, 2, column + 1)
        style.title(axes, f"{case.model}: {words}")
        for i, name in enumerate(NAMES):
            bands = results.blocks(case, name)
            numbers = [by_language.worst(results, case, name, band, metric).number for band in bands]
            hollow = [not results.reached(case, name, band) for band in bands]
            own = looks.look(results, name)
            look: dict[str, Any] = {"colour": own.colour, "marker": own.marker, "line": own.line}
            panels.mark_statuses(axes, results, case, name, shift=0.12 * i)
            panels.points(axes, [int(b) + 0.12 * i for b in bands], numbers, hollow=hollow, **look)
        axes.set(ylim=(-0.15, 1.15), xlabel="edited block")
    keys = [looks.key(results, name, label=words) for name, words in NAMES.items()]
    style.legend(figure, [*keys, *panels.status_keys(results)])
    return figure
