"""Knowledge of the worst held-out language by edited block: after the edit, and after some steps of retraining."""

import math
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mute.findings import by_language
from mute.findings.families import choose
from mute.findings.published import Published
from mute.findings.results import Case, Number, Results
from mute.plotting import panels, style

TITLE = "Knowledge after retraining"
CAPTION = (
    "Knowledge K of the worst held-out language after the edit, and what comes back of it by some steps of training on "
    "retain text alone, which holds nothing of the forget set: K after them less what the oracle, which never knew, "
    "gains by the same. 95 % intervals over facts of one model."
)
# Tables of old have one dose, under a name of its own and not less the oracle's.
OLD = "B_retrained"


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
    series = _series(results)
    for row, case in enumerate(cases):
        for place, name in enumerate(algorithms):
            at = (row * lines + place // columns) * columns + place % columns + 1
            axes = figure.add_subplot(len(cases) * lines, columns, at)
            style.title(axes, f"{results.name(case, cases)}, {name.replace('_', ' ')}")
            bands = _retrained(results, case, name)
            if not bands:
                style.missing(axes, "not retrained")
                continue
            for (metric, attack), look in series.items():
                numbers = [_worst(results, case, name, band, metric, attack) for band in bands]
                hollow = [not results.reached(case, name, band) for band in bands]
                panels.points(axes, [int(band) for band in bands], numbers, hollow=hollow, size=4, **look)
            panels.mark_statuses(axes, results, case, name)
            panels.line_at(axes, 0, dashes="-", colour=style.FAINT)
            axes.set(ylim=(-0.25, 1.25), xlabel="edited block", ylabel="K, worst held-out")
    keys = [
        style.line_key(_words(*key), look["colour"], marker=look["marker"], linestyle=look["line"])
        for key, look in series.items()
    ]
    style.legend(figure, [*keys, *panels.status_keys(results)], note)
    return figure


def has(results: Results) -> bool:
    return any(_bands(results, case) for case in results.all_cases)


def _series(results: Results) -> dict[tuple[str, str], dict[str, Any]]:
    """What is drawn, as metric and attack, and how: the edit itself, then doses from few steps to many."""
    doses = by_language.doses(results)
    found: dict[tuple[str, str], dict[str, Any]] = {("K", ""): {"colour": style.FORGET, "marker": "o", "line": "-"}}
    for place, dose in enumerate(doses):
        colour = matplotlib.colormaps["Blues"](0.35 + 0.6 * (place + 1) / len(doses))
        found["recovery", dose] = {"colour": colour, "marker": "^", "line": ":"}
    if not doses:
        found[OLD, ""] = {"colour": style.RETAIN, "marker": "^", "line": "-"}
    return found


def _words(metric: str, attack: str) -> str:
    return "after the edit" if metric == "K" else attack.replace("_", " ") or "retrained"


def _worst(results: Results, case: Case, name: str, band: str, metric: str, attack: str) -> Number:
    return by_language.worst(results, case, name, band, metric, attack=attack).number


def _retrained(results: Results, case: Case, algorithm: str) -> list[str]:
    asked = [key for key in _series(results) if key[0] != "K"]
    blocks = results.blocks(case, algorithm)
    return [b for b in blocks if any(_worst(results, case, algorithm, b, *key) for key in asked)]


def _bands(results: Results, case: Case) -> bool:
    return any(_retrained(results, case, name) for name in results.algorithms(case))
