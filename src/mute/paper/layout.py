"""Tables as the paper prints them: columns and rows of text, made from long tables."""

import math
from typing import Any

import pandas as pd

from mute.findings import trainings
from mute.paper.exhibits import EXHIBITS, MEAN

# A table as it is set: its columns' names and its rows.
Printed = dict[str, Any]


def printed(made: dict[str, pd.DataFrame]) -> list[Printed]:
    """Every exhibit with name, title, columns and rows of text."""
    found = []
    for name, (title, _) in EXHIBITS.items():
        table = made[name]
        set_ = (
            _plain(table)
            if "split" not in table
            else _means(table)
            if (table["language"] == MEAN).all()
            else _languages(table)
        )
        found.append({"name": name.replace("_", " ").capitalize(), "title": title, **set_})
    return found


def _languages(table: pd.DataFrame) -> Printed:
    """A row per origin, condition and split, a column per language, and the mean with its interval."""
    languages = [code for code in dict.fromkeys(table["language"]) if code != MEAN]
    rows = []
    for key, own in table.groupby(["origin", "condition", "split"], sort=False):
        origin, condition, split = map(str, tuple(key))  # ty: ignore[invalid-argument-type]
        values = own.set_index("language")
        each = [_short(values.loc[code]) if code in values.index else "" for code in languages]
        rows.append([origin, condition, split, *each, _whole(values.loc[MEAN]), _over(values.loc[MEAN])])
    return {"columns": ["", "condition", "", *languages, "mean [95 %]", "over"], "rows": rows}


def _means(table: pd.DataFrame) -> Printed:
    """A row per origin, model, algorithm and condition, a column per split."""
    rows = []
    splits = list(dict.fromkeys(table["split"]))
    for key, own in table.groupby(["origin", "model", "algorithm", "condition"], sort=False):
        values = own.set_index("split")
        each = [_whole(values.loc[split]) if split in values.index else "" for split in splits]
        names = tuple(key)  # ty: ignore[invalid-argument-type]
        rows.append([*map(str, names), *each, _over(own.iloc[0])])
    return {"columns": ["", "model", "algorithm", "condition", *splits, "over"], "rows": rows}


def _plain(table: pd.DataFrame) -> Printed:
    columns = [name.replace("_", " ") for name in table]
    return {"columns": columns, "rows": [[_cell(value) for value in row] for row in table.to_numpy(object).tolist()]}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.0f}" if value == round(value) else f"{value:.3g}"
    return str(value)


def _short(row: pd.Series) -> str:
    """A percentage and half the width of its interval."""
    if math.isnan(row["value"]):
        return "–"
    half = (row["high"] - row["low"]) / 2
    return f"{row['value']:.0f}" + ("" if math.isnan(half) else f"±{half:.0f}")


def _whole(row: pd.Series) -> str:
    if math.isnan(row["value"]):
        return "–"
    interval = "no interval" if math.isnan(row["low"]) else f"{row['low']:.1f}, {row['high']:.1f}"
    return f"{row['value']:.1f} [{interval}]".replace("-", "−")


def _over(row: pd.Series) -> str:
    """What an interval covers."""
    if row["origin"] == "published":
        return "questions"
    return f"{row['n']} models" if row["unit"] == trainings.MODELS else "facts"
