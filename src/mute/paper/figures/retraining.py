"""Knowledge by edited block: after the edit, with its block skipped, and after training on retain text."""

import math
from typing import Any

from matplotlib.figure import Figure

from mute.findings.families import choose
from mute.findings.published import Published
from mute.findings.results import Case, Results
from mute.plotting import panels, style

TITLE = "Knowledge after retraining"
CAPTION = (
    "Knowledge K of held-out languages after the edit, after its block is skipped, and after some steps of training on "
    "retain text alone, which holds nothing of the forget set. Controls: base and oracle after the same training "
    "(lines): the oracle, which never knew, learns nothing by it. 95 % intervals over facts of one model."
)
SERIES = (("K", "after the edit", "o", "-"), ("B", "block skipped", "s", ":"), ("B_retrained", "retrained", "^", "-"))
COLOURS = {"K": style.FORGET, "B": style.GREY, "B_retrained": style.RETAIN}


def draw(results: Results, published: Published) -> Figure:
    cases = [case for case in results.all_cases if _bands(results, case)]
    algorithms = list(dict.fromkeys(name for case in cases for name in results.algorithms(case)))
    algorithms = [name for name in algorithms if any(_retrained(results, case, name) for case in cases)]
    algorithms, note = choose(results, algorithms)
    columns = panels.even(len(algorithms), 2.9)
    lines = math.ceil(max(len(algorithms), 1) / columns)
    figure = style.new_figure(max(2.9 * columns, 5.0), max(2.3 * len(cases) * lines, 1.5) + 0.6)
    if not cases:
        style.missing(figure.add_subplot(), "no cell of this study was retrained")
    for row, case in enumerate(cases):
        for place, name in enumerate(algorithms):
            at = (row * lines + place // columns) * columns + place % columns + 1
            axes = figure.add_subplot(len(cases) * lines, columns, at)
            style.title(axes, f"{case.model}, {name.replace('_', ' ')}")
            bands = _retrained(results, case, name)
            if not bands:
                style.missing(axes, "not retrained")
                continue
            for metric, _, marker, line in SERIES:
                numbers = [results.number(case, name, band, metric) for band in bands]
                look: dict[str, Any] = {"colour": COLOURS[metric], "marker": marker, "line": line, "size": 4}
                panels.points(axes, [int(band) for band in bands], numbers, **look)
            panels.mark_statuses(axes, results, case, name)
            for metric, dashes in (("B_retrained_base", "--"), ("B_retrained_oracle", ":")):
                number = results.number(case, name, bands[0], metric)
                if number:
                    panels.line_at(axes, number.value, dashes=dashes, colour=style.INK)
            axes.set(ylim=(-0.25, 1.25), xlabel="edited block", ylabel="K, held-out")
    keys = [style.line_key(words, COLOURS[m], marker=mark, linestyle=line) for m, words, mark, line in SERIES]
    keys += [style.line_key("base, retrained", linestyle="--"), style.line_key("oracle, retrained", linestyle=":")]
    style.legend(figure, [*keys, *panels.status_keys(results)[1:]], note)
    return figure


def has(results: Results) -> bool:
    return any(_bands(results, case) for case in results.all_cases)


def _retrained(results: Results, case: Case, algorithm: str) -> list[str]:
    return [b for b in results.blocks(case, algorithm) if results.number(case, algorithm, b, "B_retrained")]


def _bands(results: Results, case: Case) -> bool:
    return any(_retrained(results, case, name) for name in results.algorithms(case))
