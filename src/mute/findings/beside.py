"""A table of our results beside the published ones: knowledge left and facts kept at three blocks of each model."""

import pandas as pd

from mute.findings import trainings
from mute.findings.published import QUESTIONS_UNIT, Published, Share
from mute.findings.results import Number, Results

VIEWS = ("shallow", "target", "deep")
GROUPS = ("source", "heldout")


def table(results: Results, published: Published) -> pd.DataFrame:
    """Long table: origin, model, algorithm, view, block, quantity (forget, retain), group, value, low, high, unit.

    Both sides are relative: (A - A_floor) / (A_before - A_floor), where `before` is the model that knows and the floor
    one that never knew. Published, that is the model before the injection; ours is the oracle, or chance, for facts to
    forget (K), and nil for facts to keep (C_facts).
    """
    rows = _published(published) + _ours(results)
    return pd.DataFrame(
        rows, columns=["origin", "model", "algorithm", "view", "block", "quantity", "group", *_NUMBERS, "unit"]
    )


_KEYS = ("origin", "model", "algorithm", "view", "block", "quantity", "group")
_NUMBERS = ("value", "low", "high")


def _published(published: Published) -> list[dict]:
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
                    keys = ("published", model, algorithm.lower(), view, f"L{block}", quantity, group)
                    rows.append(_row(keys, _relative(after, before.value, floor.value)))
    return rows


def _relative(after: Share, before: float, floor: float) -> Number:
    """The interval is that of the accuracy after unlearning alone."""
    value, low, high = ((x - floor) / (before - floor) for x in (after.value, after.low, after.high))
    return Number(value, low, high)


def _ours(results: Results) -> list[dict]:
    rows = []
    for case in results.cases:
        for algorithm in results.algorithms(case):
            for view in VIEWS:
                for block in results.views(case, algorithm).get(view, []):
                    if str(block) not in results.blocks(case, algorithm):
                        continue
                    for quantity, metric in (("forget", "K"), ("retain", "C_facts")):
                        for group in GROUPS:
                            keys = ("ours", results.name(case), algorithm, view, str(block), quantity, group)
                            rows.append(_row(keys, results.number(case, algorithm, str(block), metric, group)))
    return rows


def _row(keys: tuple[str, ...], number: Number) -> dict:
    unit = QUESTIONS_UNIT if keys[0] == "published" else trainings.FACTS
    return {**dict(zip(_KEYS, keys)), **{key: round(getattr(number, key), 4) for key in _NUMBERS}, "unit": unit}
