"""Kinds of generated answers by language: before, after RMU at its target, and of the oracle."""

from matplotlib.figure import Figure

from mute.findings import trainings
from mute.findings.published import Published
from mute.findings.results import Case, Results
from mute.plotting import panels, style

TITLE = "Kinds of answers"
CAPTION = (
    "Generated answers about forget facts by kind, in every language: base, and after RMU at its target. Control: the "
    "oracle, which never knew. A filter answers nothing; who never knew gives other values in the language asked."
)
KINDS = {
    "right": ("right", "#0072B2"),
    "other_value": ("another value", "#E69F00"),
    "other_language": ("right, other language", "#56B4E9"),
    "other_both": ("another value, other language", "#CC79A7"),
    "unknown": ("unknown", "#009E73"),
    "neither": ("no answer", "#999999"),
}


def draw(results: Results, published: Published) -> Figure:
    cases = [case for case in results.cases if _rows(results, case)]
    by_model = list({case.model: case for case in reversed(cases)}.values())[::-1]
    figure = style.new_figure(8.4, max(2.4 * len(by_model), 1.5) + 0.6)
    if not by_model:
        style.missing(figure.add_subplot(), panels.NO_CELLS)
    for row, case in enumerate(by_model):
        wanted = _rows(results, case)
        for column, (words, algorithm, band) in enumerate(wanted):
            axes = figure.add_subplot(len(by_model), 3, 3 * row + column + 1)
            style.title(axes, f"{case.model}: {words}")
            if results.diverged(case, algorithm, band):
                style.missing(axes, "this edit diverged: it has no answers")
                continue
            source, heldout = results.languages(case)
            languages = [*source, *heldout]
            bottom = [0.0] * len(languages)
            for kind, (_, colour) in KINDS.items():
                values = [_share(results, case, algorithm, band, kind, code, source) for code in languages]
                axes.bar(range(len(languages)), values, bottom=bottom, color=colour, width=0.85)
                bottom = [a + b for a, b in zip(bottom, values)]
            axes.set_xticks(range(len(languages)), languages, fontsize=6.5)
            axes.set(ylim=(0, 1), ylabel="share of answers" if column == 0 else "")
    style.legend(figure, [style.area_key(words, colour) for words, colour in KINDS.values()])
    return figure


def _rows(results: Results, case: Case) -> list[tuple[str, str, str]]:
    """Panels of one case: title, algorithm, band."""
    block = trainings.target(results, case, "rmu")
    if not block:
        return []
    rows = [("before", "base", ""), (f"RMU, block {block}", "rmu", block), ("oracle", "oracle", "")]
    asked = [row for row in rows if results.number(case, row[1], row[2], "answers_right", "all", facts="all")]
    return [row for row in rows if row in asked or (asked and results.diverged(case, row[1], row[2]))]


def _share(
    results: Results, case: Case, algorithm: str, band: str, kind: str, language: str, source: list[str]
) -> float:
    group = "source" if language in source else "heldout"
    number = results.number(case, algorithm, band, f"answers_{kind}", group, facts="all", language=language)
    return number.value if number else 0.0
