"""Robustness: what each attack brings back of each edit, beside what the oracle gains by the same."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings import robustness
from mute.findings.results import Case, Results, Tables
from mute.findings.robustness import Line
from mute.plotting import robustness as page_section
from mute.plotting import style
from mute.store.records import Facts

TITLE = "What attacks bring back"
CAPTION = (
    "A column an edit, a line an attack. Colour and first number: what is regained, the share of what was forgotten "
    "that the attack brings back, less the share that it brings an oracle, in the language in which it is most, which "
    "stands below; 0: nothing, 1: all. In brackets: K of the oracle after the attack. n/a: the base itself cannot "
    "answer in this form. Edits that do not count are left out. Estimates over items; the languages are chosen on the "
    "same items."
)
_COLUMN, _ROW = 0.86, 0.36  # inches of an edit, and of an attack


def has(results: Results) -> bool:
    """Whether an edit was attacked beside its oracle."""
    return robustness.has(results)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    every = {case: _shown(results, case) for case in results.cases}
    found = {case: own for case, own in every.items() if own}
    edits = [len({(line.algorithm, line.band) for line in own}) for own in found.values()]
    heights = [_ROW * len({line.attack for line in own}) + 1.2 for own in found.values()]
    figure = style.new_figure(min(2.2 + _COLUMN * max([*edits, 4]), 19.5), sum(heights) or 2.5)
    if not found:
        style.missing(figure.add_subplot(), "no edit that counts was attacked beside an oracle")
        return figure
    strips = figure.subfigures(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
    for strip, (case, own) in zip(strips, found.items()):
        _draw(strip.subplots(), results, case, own)
    return figure


def _shown(results: Results, case: Case) -> list[Line]:
    names = page_section.names(results, case)
    return [line for line in robustness.lines(results, case) if line.algorithm in names]


def _draw(axes: Axes, results: Results, case: Case, found: list[Line]) -> None:
    edits = list(dict.fromkeys((line.algorithm, line.band) for line in found))
    attacks = list(dict.fromkeys(line.attack for line in found))
    colours = style.share_colours()
    for line in found:
        x, y = edits.index((line.algorithm, line.band)), attacks.index(line.attack)
        if not line.worst:
            axes.text(x, y, "n/a", ha="center", va="center", fontsize=6.5, color=style.GREY)
            continue
        value = min(max(line.worst.number.value, 0.0), 1.0)
        face = colours(value)
        axes.fill([x - 0.5, x + 0.5, x + 0.5, x - 0.5], [y - 0.5, y - 0.5, y + 0.5, y + 0.5], color=face, zorder=1)
        dark = 0.299 * face[0] + 0.587 * face[1] + 0.114 * face[2] < 0.5
        oracle = f" ({line.oracle.value:.2f})" if line.oracle else ""
        text = f"{line.worst.number.value:.2f}{oracle}".replace("-", "−") + f"\n{line.worst.language}"
        axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color="white" if dark else style.INK, zorder=2)
    axes.set_xticks(range(len(edits)), [f"{name.replace('_', ' ')}\n{band}" for name, band in edits], fontsize=7)
    axes.set_yticks(range(len(attacks)), [name.replace("_", " ") for name in attacks], fontsize=7)
    axes.set(xlim=(-0.5, len(edits) - 0.5), ylim=(len(attacks) - 0.5, -0.5))
    axes.tick_params(length=0)
    failed = results.below_gate(case)
    style.title(axes, results.name(case), f"below its gate: {failed[0]}" if failed else "", warning=bool(failed))
