"""Knowledge and accuracy of held-out languages on taught and on transfer facts, by edited block."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

TITLE = "Taught and transfer facts in held-out languages"
CAPTION = (
    "Taught facts were in the training of every language; transfer facts in that of the teaching languages only, so "
    "that a held-out language knows them only if it shares knowledge with these. Above: K. Below: option accuracy, "
    "beside the base, the oracle, chance, and always choosing the most frequent answer. Points: means over held-out "
    "languages, with 95 % intervals over items; dash: the language in which most is left."
)
FACTS = (("taught", "taught facts", "#0072B2", "o", -0.08), ("transfer", "transfer facts", "#CC6677", "s", 0.08))
LINES = (("chance", "chance", (0, (1, 2))), ("majority", "most frequent answer", (0, (4, 2))))
REFERENCES = (("base", "base", "-"), ("oracle", "oracle", "-."))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    figure, columns = panels.per_model(results, [1.5, 1.7])
    for case, algorithm, (above, below) in columns:
        absent = []
        for facts, words, colour, marker, shift in FACTS:
            look: dict[str, Any] = {
                "facts": facts,
                "colour": colour,
                "marker": marker,
                "shift": shift,
                "size": 4,
                "with_worst": True,
            }
            if not panels.series(above, results, case, algorithm, "K", **look):
                absent.append(words)
            panels.series(below, results, case, algorithm, "accuracy_option", **look)
            _draw_references(below, results, case, facts, colour)
        notes = [panels.statuses(results, case, algorithm), f"no {' and no '.join(absent)}" if absent else ""]
        style.title(above, f"{algorithm.replace('_', ' ')}: knowledge K", "; ".join(filter(None, notes)))
        style.title(below, f"{algorithm.replace('_', ' ')}: option accuracy")
        for axes in (above, below):
            panels.mark_views(axes, results, case, algorithm)
            panels.block_axis(axes, results, case, [algorithm], label=axes is below)
        panels.line_at(above, 0, dashes="-", colour=style.FAINT)
        panels.line_at(above, 1, dashes="-", colour=style.FAINT)
        panels.fit(above)
        below.set_ylim(-0.03, 1.06)
        above.set_ylabel("relative to the base")
        below.set_ylabel("share right")
        if len(absent) == len(FACTS):
            style.missing(above, "no facts to forget in held-out languages")
    keys = [style.line_key(words, colour, marker=marker) for _, words, colour, marker, _ in FACTS]
    keys += [style.line_key(words, style.GREY, linestyle=dashes, linewidth=0.9) for _, words, dashes in LINES]
    keys += [style.line_key(f"{words} (in each colour)", style.INK, linestyle=d, lw=0.9) for _, words, d in REFERENCES]
    keys.append(panels.worst_key())
    style.legend(figure, [*keys, *panels.target_keys(), *panels.status_keys(results)], panels.chosen(results).note)
    return figure


def _draw_references(axes: Axes, results: Results, case: Case, facts: str, colour: str) -> None:
    for name, _, dashes in REFERENCES:
        number = results.number(case, name, "", "accuracy_option", facts=facts)
        if number:
            axes.axhline(number.value, color=colour, linestyle=dashes, linewidth=0.9, alpha=0.8, zorder=0.9)
    for metric, _, dashes in LINES:
        number = results.number(case, "base", "", metric, facts="all")
        if number and facts == "taught":
            axes.axhline(number.value, color=style.GREY, linestyle=dashes, linewidth=0.9, zorder=0.8)
