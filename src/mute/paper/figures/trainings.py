"""Knowledge and capability by edited block: a line for each trained model, and their mean."""

import math

from matplotlib.figure import Figure

from mute.bands import is_block
from mute.findings import by_language, trainings
from mute.findings.families import choose
from mute.findings.published import Published
from mute.findings.results import MISSING, Case, Number, Results
from mute.plotting import panels, style

TITLE = "Spread over trained models"
CAPTION = (
    "Knowledge left and capability kept in the worst held-out language by edited block, a thin line per trained "
    "model; thick: mean over the trainings of one architecture, with its 95 % t-interval where there are three or "
    "more."
)
LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), *((colour, "D") for colour in style.OTHERS))
MEASURES = (("K", "knowledge left (K)"), ("C", "capability kept (C)"))


def draw(results: Results, published: Published) -> Figure:
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.main_cases(results, protocol)
    algorithms, note = choose(results, trainings.swept(results, cases))
    models = list(dict.fromkeys(case.model for case in cases))
    columns = panels.even(len(algorithms), 2.9)
    rows = math.ceil(max(len(algorithms), 1) / columns)
    figure = style.new_figure(max(2.9 * columns, 5.0), 5.0 * rows + 0.4)
    if not algorithms:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
    for row, (metric, words) in enumerate(MEASURES):
        for place, name in enumerate(algorithms):
            line = 2 * (place // columns) + row
            axes = figure.add_subplot(2 * rows, columns, line * columns + place % columns + 1)
            style.title(axes, name.replace("_", " "))
            for model, (colour, marker) in zip(models, LOOKS):
                own = [case for case in cases if case.model == model]
                blocks = [band for band in results.blocks(own[0], name) if is_block(band)]
                lines = [[_worst(results, case, name, band, metric) for band in blocks] for case in own]
                for case in own:
                    panels.mark_statuses(axes, results, case, name)
                for numbers in lines:
                    values = [number.value for number in numbers]
                    axes.plot(range(len(blocks)), values, "-", color=colour, alpha=0.35, linewidth=0.8)
                means = [trainings.mean(column_) for column_ in zip(*lines)]
                if len(own) < 3:
                    means = [Number(mean.value, n=mean.n) for mean in means]
                panels.points(axes, range(len(blocks)), means, colour=colour, marker=marker, area=True, size=4)
            axes.set(ylim=(-0.2, 1.2), xlabel="edited block", ylabel=f"{words}, worst held-out")
    counts = {model: sum(case.model == model for case in cases) for model in models}
    keys = [
        style.line_key(f"{model}, {counts[model]} training{'s' * (counts[model] > 1)}", colour, marker=marker)
        for model, (colour, marker) in zip(models, LOOKS)
    ]
    style.legend(figure, [*keys, *panels.status_keys(results)[1:]], note)
    return figure


def _worst(results: Results, case: Case, algorithm: str, band: str, metric: str) -> Number:
    """Of an edit that counts, the score of the held-out language in which it looks worst."""
    if not results.votes(case, algorithm, band):
        return MISSING
    return by_language.worst(results, case, algorithm, band, metric).number
