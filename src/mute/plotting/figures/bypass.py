"""What the base still knows when one of its blocks is skipped: a property of each model, of no edit."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import is_block
from mute.findings import by_language
from mute.findings.results import Case, Number, Results, Tables
from mute.findings.verdicts import HALF
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 7
TITLE = "Skipping a block of the base"
CAPTION = (
    "Knowledge K of the forget set in the model before any edit when one block is skipped, with 95 % intervals over "
    "items. To skip the block that was edited undoes an edit of one block, so that this says which blocks a model can "
    "do without, and nothing of the edits: no claim rests on it. Worst: the held-out language that loses most."
)
WIDTH = 3.2  # inches of a model
# Tables of old call it by its second name.
METRICS = ("bypass_base", "B_base")
SOURCE, LOWEST = ("source languages", style.FORGET, "o"), ("worst held-out language", style.RETAIN, "s")


def has(results: Results) -> bool:
    """Whether a block of a base was skipped."""
    return bool(_cases(results))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = _cases(results)
    columns = panels.even(len(cases), WIDTH)
    rows = math.ceil(max(len(cases), 1) / columns)
    figure = style.new_figure(max(columns * WIDTH, 5.0), 2.4 * rows + 0.5)
    if not cases:
        style.missing(figure.add_subplot(), "no block of a base was skipped in this study")
        return figure
    for column, (case, name, metric) in enumerate(cases):
        axes = figure.add_subplot(rows, columns, column + 1)
        style.title(axes, results.name(case))
        _draw_case(axes, results, case, name, metric)
    keys = [style.line_key(words, colour, marker=marker) for words, colour, marker in (SOURCE, LOWEST)]
    style.legend(figure, keys)
    return figure


def _cases(results: Results) -> list[tuple[Case, str, str]]:
    """One of each trained model, forget set and sources, with an algorithm that edited its blocks, and the metric."""
    found: dict[tuple, tuple[Case, str, str]] = {}
    for case in results.cases:
        for name in results.algorithms(case):
            for metric in METRICS:
                blocks = [band for band in results.blocks(case, name) if is_block(band)]
                if any(results.number(case, name, band, metric, "source") for band in blocks):
                    key = (case.model, case.training_seed, case.forget_set, case.sources)
                    found.setdefault(key, (case, name, metric))
    return list(found.values())


def _draw_case(axes: Axes, results: Results, case: Case, name: str, metric: str) -> None:
    blocks = [band for band in results.blocks(case, name) if is_block(band)]
    _, heldout = results.languages(case)
    source = [results.number(case, name, band, metric, "source") for band in blocks]
    lowest = [_lowest(results, case, name, band, metric, heldout) for band in blocks]
    for numbers, shift, (_, colour, marker) in ((source, -0.06, SOURCE), (lowest, 0.06, LOWEST)):
        panels.points(axes, [int(band) + shift for band in blocks], numbers, colour=colour, marker=marker)
    panels.line_at(axes, HALF)
    panels.block_axis(axes, results, case, [])
    axes.set_xlabel("skipped block (0 is the first)")
    panels.fit(axes, high=1.15)
    axes.set_ylabel("knowledge left in the base")


def _lowest(results: Results, case: Case, name: str, band: str, metric: str, codes: list[str]) -> Number:
    each = by_language.by_language(results, case, name, band, metric, codes).values()
    return min(each, key=lambda number: number.value, default=Number())
