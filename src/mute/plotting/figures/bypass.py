"""Knowledge of held-out languages by edited block, with the block skipped and with it mixed with the identity."""

from typing import Any

from matplotlib.figure import Figure

from mute.findings.results import Results, Tables
from mute.findings.verdicts import HALF
from mute.plotting import panels, style
from mute.store.records import Facts

PLACE = 3
TITLE = "Bypass: held-out knowledge once the edited block is left out"
CAPTION = (
    "B is the knowledge of the forget set in held-out languages after the edited block is skipped, or mixed half with "
    "the identity; 95 % intervals over items. Above one half the edit is called suppression: the knowledge is still "
    "in the other blocks. Controls treated alike: the base, which shows what skipping that block costs by itself (for "
    "an edit of one block, skipping it gives the same model), and the oracle, which never knew."
)
SERIES = (
    ("B_base", "base, block skipped", style.GREY, "s", ":", -0.12, 4.5),
    ("B_oracle", "oracle, block skipped", style.INK, "X", ":", 0.0, 4.5),
    ("B_mixed", "edited, block mixed with the identity", "#E69F00", "^", "--", 0.12, 4.5),
    ("B", "edited, block skipped (B)", style.FORGET, "o", "-", -0.12, 3),
    ("K", "edited, as it is (K)", style.RETAIN, "v", "-", 0.0, 4),
)


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    figure, columns = panels.per_model(results, [2.0])
    for case, algorithm, (axes,) in columns:
        style.title(axes, algorithm.replace("_", " "), panels.statuses(results, case, algorithm))
        panels.mark_views(axes, results, case, algorithm)
        panels.line_at(axes, HALF, colour=style.WARNING)
        drawn = False
        for metric, _, colour, marker, line, shift, size in SERIES:
            look: dict[str, Any] = {"colour": colour, "marker": marker, "line": line, "shift": shift, "size": size}
            look["control"] = metric in ("B_base", "B_oracle")
            found = panels.series(axes, results, case, algorithm, metric, **look)
            drawn |= found and metric == "B"
        panels.block_axis(axes, results, case, [algorithm])
        panels.fit(axes, high=1.15)
        axes.set_ylabel("knowledge, held-out languages")
        if not drawn:
            style.title(axes, algorithm.replace("_", " "), "no block was bypassed")
    keys = [
        style.line_key(label, colour, marker=marker, linestyle=line) for _, label, colour, marker, line, *_ in SERIES
    ]
    keys.append(style.line_key(f"above {HALF}: suppression", style.WARNING, linestyle="--", linewidth=0.9))
    style.legend(figure, [*keys, *panels.target_keys(), *panels.status_keys(results)], panels.chosen(results).note)
    return figure
