"""The parts of capability (sentences, reading, translation, facts, fidelity) by edited block."""

from typing import Any

from matplotlib.figure import Figure

from mute.findings.results import Results, Tables
from mute.plotting import panels, style
from mute.store.records import Facts

TITLE = "Capability by its parts"
CAPTION = (
    "The parts of C relative to the base, by edited block, with 95 % intervals over items; above, of each part, the "
    "held-out language that keeps least of it, source languages below. 1: nothing lost, 0: nothing above chance left. "
    "A part that the corpus does not have, or at which the base is not above chance, is absent."
)
PARTS = (
    ("C_sentences", "sentences without facts (bits per character)", "#332288", "o"),
    ("C_reading", "reading", "#117733", "s"),
    ("C_translation", "translation", "#88CCEE", "^"),
    ("C_facts", "facts to be kept, not trained on", "#CC6677", "D"),
    ("C_fidelity", "answers in the language asked", "#AA7733", "v"),
)
GROUPS = (("worst", "worst held-out language"), ("source", "source languages"))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    figure, columns = panels.per_model(results, [1.6, 1.6])
    for case, algorithm, axes in columns:
        for panel, (group, label) in zip(axes, GROUPS):
            absent = []
            for i, (metric, words, colour, marker) in enumerate(PARTS):
                look: dict[str, Any] = {"colour": colour, "marker": marker, "shift": 0.1 * (i - 2), "size": 3.5}
                if not panels.series(panel, results, case, algorithm, metric, group, **look):
                    absent.append(words.split(" (")[0])
            panels.mark_views(panel, results, case, algorithm)
            panels.line_at(panel, 1, dashes="-", colour=style.FAINT)
            panels.line_at(panel, 0, dashes="-", colour=style.FAINT)
            note = panels.statuses(results, case, algorithm) if group == "worst" else ""
            if absent:
                note = f"{note}{'; ' if note else ''}absent: {', '.join(absent) if len(absent) < 3 else len(absent)}"
            style.title(panel, f"{algorithm.replace('_', ' ')}: {label}", note)
            panel.set_ylabel("relative to the base")
            panels.block_axis(panel, results, case, [algorithm], label=group == "source")
            panels.fit(panel, ceiling=1.4)
            if len(absent) == len(PARTS):
                style.missing(panel, "no ability was asked")
    keys = [style.line_key(words, colour, marker=marker) for _, words, colour, marker in PARTS]
    style.legend(figure, [*keys, *panels.target_keys(), *panels.status_keys(results)], panels.chosen(results).note)
    return figure
