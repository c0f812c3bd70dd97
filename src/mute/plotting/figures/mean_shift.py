"""Mean shift: knowledge in each held-out language, with its states moved to where the source languages' lie."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.findings.results import Case, Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 7
TITLE = "Knowledge after a shift of languages"
CAPTION = (
    "Knowledge K of the forget set in each held-out language after the edit of each block. Black: as it is. Orange: "
    "with the language's states moved, at the input of the edited block, by the mean state of the source languages "
    "less its own, and back behind the block; means over prompts that the retain loss reads. Orange, dashed: by means "
    "over prompts of the facts to be forgotten, which holds what a language makes of the subject matter besides. "
    "Grey: random directions as long as the first shift, their mean, and from the least to the greatest. Blue, "
    "dotted: the first shift on the model before the edit, near 1 where the shift itself does no harm. An offset of "
    "languages keeps an edit from a language where the orange line lies below the grey strip. Estimates on all forget "
    "facts; the strip is no interval."
)
ANALYSIS = "mean_shift"
SHIFTED, AS_IT_IS, BASE = style.FORGET, style.INK, style.RETAIN
# Measure, colour, line, marker.
LINES = (
    ("K_base_shifted", BASE, ":", ""),
    ("K_random_mean", style.GREY, "-", ""),
    ("K_shifted_forget", SHIFTED, "--", ""),
    ("K_plain", AS_IT_IS, "-", "o"),
    ("K_shifted", SHIFTED, "-", "s"),
)
WIDTH, HEIGHT = 2.2, 1.5  # inches of a panel
MOST = 5  # languages side by side; an algorithm goes on in another row


def has(results: Results) -> bool:
    """Whether the study has looked at all."""
    return any(_algorithms(results, case) for case in results.cases)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = [case for case in results.cases if _algorithms(results, case)]
    columns = min(max((len(_codes(results, case)) for case in cases), default=1), MOST)
    heights = [HEIGHT * len(_lines(results, case)) + 0.7 for case in cases]
    figure = style.new_figure(max(WIDTH * columns, 7.0), (sum(heights) or 2) + 0.5)
    if not cases:
        style.missing(figure.add_subplot(), "this study has no analysis of mean shifts")
        return figure
    strips = figure.subfigures(len(cases), 1, squeeze=False, height_ratios=heights)[:, 0]
    for strip, case in zip(strips, cases):
        strip.suptitle(results.name(case), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        lines, ticks = _lines(results, case), range(0, results.depth(case), panels.tick_step(results.depth(case)))
        first: Axes | None = None
        for row, (name, codes) in enumerate(lines):
            for column, code in enumerate(codes):
                axes = strip.add_subplot(len(lines), columns, row * columns + column + 1, sharex=first, sharey=first)
                first = first or axes
                style.title(axes, f"{name.replace('_', ' ')}: {code}")
                _draw_panel(axes, _rows(results, case, name), code)
                axes.set_xticks(ticks)
                axes.tick_params(labelleft=not column)
                if not column:
                    axes.set_ylabel("K")
                if row == len(lines) - 1:
                    axes.set_xlabel("edited block")
        if first:
            first.set_xlim(-0.5, results.depth(case) - 0.5)
            panels.fit(first)
    style.legend(
        figure,
        [
            style.line_key("as it is", AS_IT_IS, marker="o", markersize=3),
            style.line_key("moved to the sources' mean", SHIFTED, marker="s", markersize=3),
            style.line_key("moved by means of forget prompts", SHIFTED, linestyle="--"),
            style.line_key("random directions, mean", style.GREY),
            style.area_key("least to greatest of them", style.FAINT),
            style.line_key("before the edit, moved", BASE, linestyle=":"),
        ],
    )
    return figure


def _rows(results: Results, case: Case, algorithm: str) -> pd.DataFrame:
    """Rows of the analysis of all cells of a case and algorithm."""

    def make() -> dict[tuple, pd.DataFrame]:
        table = results.tables["profiles"]
        own = table[(table["analysis"] == ANALYSIS) & (table["algorithm"] != "base")]
        keys = ["model", "training_seed", "algorithm", "sources", "retain", "forget_set", "protocol", "seed"]
        return {tuple(key): rows for key, rows in own.groupby(keys, sort=False)}

    grouped = results.once(("mean shifts",), make)
    key = (case.model, case.training_seed, algorithm, *case.setting, case.seed)
    return grouped.get(key, results.tables["profiles"].iloc[:0])


def _algorithms(results: Results, case: Case) -> list[str]:
    return [name for name in results.algorithms(case) if len(_rows(results, case, name))]


def _codes(results: Results, case: Case) -> list[str]:
    """Held-out languages that have a row."""
    there = {code for name in _algorithms(results, case) for code in _rows(results, case, name)["language"]}
    return [code for code in results.languages(case)[1] if code in there]


def _lines(results: Results, case: Case) -> list[tuple[str, list[str]]]:
    """Rows of panels: an algorithm, and the languages that stand in it."""
    codes = _codes(results, case)
    return [
        (name, codes[start : start + MOST])
        for name in _algorithms(results, case)
        for start in range(0, len(codes), MOST)
    ]


def _draw_panel(axes: Axes, rows: pd.DataFrame, code: str) -> None:
    wide = rows[rows["language"] == code].pivot_table(index="block", columns="measure", values="value")
    wide = wide.reindex(range(min(wide.index, default=0), max(wide.index, default=0) + 1))
    for y in (0, 1):
        panels.line_at(axes, y)
    ends = [f"K_random_{end}" for end in ("low", "high")]
    if set(ends) <= set(wide):
        axes.fill_between(wide.index, *(wide[end] for end in ends), color=style.FAINT, linewidth=0, zorder=1)
    for measure, colour, line, marker in LINES:
        if measure in wide:
            axes.plot(wide.index, wide[measure], line, color=colour, marker=marker, markersize=3, linewidth=1.1)
