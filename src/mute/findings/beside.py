"""A table of our results beside the published ones: knowledge left and facts kept at three blocks of each model."""

import pandas as pd

from mute.findings import by_language, trainings
from mute.findings.published import QUESTIONS_UNIT, Published
from mute.findings.results import Results

VIEWS = ("shallow", "target", "deep")
GROUPS = ("source", "heldout")


def table(results: Results, published: Published) -> pd.DataFrame:
    """Long table: origin, model, algorithm, view, block, quantity (forget, retain), group, value, low, high, unit.

    Both sides are relative: (A - A_floor) / (A_before - A_floor), where `before` is the model that knows and the floor
    one that never knew. Published, that is the model before the injection; ours is the oracle, or chance, for facts to
    forget (K), and nil for facts to keep (C_facts).
    """
    rows = _published(published) + _ours(results)
    columns = ["origin", "model", "algorithm", "view", "block", "quantity", "group", "value", "low", "high", "unit"]
    return pd.DataFrame(rows, columns=columns)


def _published(published: Published) -> list[tuple]:
    rows = []
    for (model, algorithm), target in published.targets.items():
        blocks = published.blocks(model, algorithm)
        for view, block in zip(VIEWS, (blocks[0], target, blocks[-1])):
            for quantity in ("forget", "retain"):
                for group in GROUPS:
                    floor, before, after = (
                        published.share(model, algorithm, condition, quantity, group)
                        for condition in ("base", "finetuned", f"L{block}")
                    )
                    # The interval is that of the accuracy after unlearning alone.
                    ends = (after.value, after.low, after.high)
                    values = (round((x - floor.value) / (before.value - floor.value), 4) for x in ends)
                    keys = ("published", model, algorithm.lower(), view, f"L{block}", quantity, group)
                    rows.append((*keys, *values, QUESTIONS_UNIT))
    return rows


def _ours(results: Results) -> list[tuple]:
    rows = []
    for case in results.cases:
        for algorithm in results.algorithms(case):
            for view in VIEWS:
                for block in results.views(case, algorithm).get(view, []):
                    if str(block) not in results.blocks(case, algorithm):
                        continue
                    for quantity, metric in (("forget", "K"), ("retain", "C_facts")):
                        found = {group: results.number(case, algorithm, str(block), metric, group) for group in GROUPS}
                        # What the mean hides; of the published models nobody can say it with an interval.
                        found["worst"] = by_language.worst(results, case, algorithm, str(block), metric).number
                        for group, number in found.items():
                            values = (round(value, 4) for value in number[:3])
                            keys = ("ours", results.name(case), algorithm, view, str(block), quantity, group)
                            rows.append((*keys, *values, trainings.FACTS))
    return rows
