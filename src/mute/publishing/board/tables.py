"""Reads tables of anybody's: each within bounds, with everything that is wrong with it in plain words."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mute.bands import KEYS
from mute.findings.board import entries, rows
from mute.findings.results import STATUSES
from mute.names import nearest, shown
from mute.publishing.board.form import MOST_LINES, MOST_ROWS, MOST_UNPACKED
from mute.store import artifacts

# Statuses of an entry: those of a cell, and two beside them.
ENTRY_STATUSES = (*STATUSES, entries.BELOW_GATE, entries.NOT_MEASURED)
# What the board reads of a study: of scores those of all facts, by these measures.
METRICS = ("K", "C", *entries.BACK, *(f"{of}{end}" for of in ("R", "B_mixed") for end in ("", "_base", "_oracle")))
COLUMNS = {
    "cells": (*KEYS, "status", "steps", "size"),
    "scores": (*KEYS, "attack", "language", "group", "metric", "facts", "value", "low", "high", "n"),
    "gates": ("model", "training_seed", "oracle", "measure", "language", "value", "passed"),
}
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
# No share is further from 0 than this, nor an end of its interval: of two trainings one reaches far.
LARGEST, LARGEST_END = 10.0, 1000.0
_SLACK = 1e-6  # of an interval's end, for numbers are written with six digits
_SHOWN = 5  # so many rows of one kind are named


def of_study(folder: Path, names: Iterable[str] = tuple(COLUMNS)) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables of a study, CSV or Parquet, as far as the board reads them; and all that is wrong with them."""
    found, problems = {}, []
    for name in names:
        files = [path for ending in ("csv", "parquet") if (path := folder / f"{name}.{ending}").is_file()]
        if not files:
            problems.append(f"{name}.csv is missing in {folder}: is the study finished? (make study)")
            continue
        table, wrong = (_parquet if files[0].suffix == ".parquet" else _csv)(files[0], name)
        problems += wrong
        if table is not None:
            problems += _faults(table, name, files[0].name)
            found[name] = table
    if not problems and {"cells", "scores"} <= found.keys():
        problems += _strangers(found)
    return found, problems


def kept(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Of whole tables what the board reads, so that they are small enough to be sent and kept."""
    made = {name: tables[name][list(columns)] for name, columns in COLUMNS.items()}
    scores = made["scores"]
    every = scores["facts"].isna() | scores["facts"].isin(("", "all"))
    made["scores"] = scores[scores["metric"].isin(METRICS) & every].reset_index(drop=True)
    return made


def _csv(path: Path, name: str) -> tuple[pd.DataFrame | None, list[str]]:
    try:
        table = artifacts.read_table(path)
    except (ValueError, OSError, UnicodeError) as error:
        return None, [f"{path.name} cannot be read: {_first_line(error)}"]
    missing = [column for column in COLUMNS[name] if column not in table]
    if missing:
        return None, [_lacks(path.name, missing, table.columns)]
    return table[list(COLUMNS[name])], []


def _parquet(path: Path, name: str) -> tuple[pd.DataFrame | None, list[str]]:
    """A Parquet file: its footer first, and then only the columns that are read. No metadata of pandas is heeded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            meta, schema = file.metadata, file.schema_arrow
            unpacked = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
            if meta.num_rows > MOST_ROWS or unpacked > MOST_UNPACKED:
                bounds = f"at most {MOST_ROWS} rows and {MOST_UNPACKED // 10**6} MB are read"
                return None, [f"{path.name} has {meta.num_rows} rows and {unpacked // 10**6} MB unpacked: {bounds}"]
            missing = [column for column in COLUMNS[name] if column not in schema.names]
            if missing:
                return None, [_lacks(path.name, missing, schema.names)]
            odd = [column for column in COLUMNS[name] if not _plain(schema.field(column).type, pa)]
            if odd:
                return None, [f"{path.name}, {column}: text or numbers are read, nothing nested" for column in odd]
            table = file.read(columns=list(COLUMNS[name]))
            return table.replace_schema_metadata().to_pandas(ignore_metadata=True), []
    except (pa.ArrowException, ValueError, OSError, MemoryError, OverflowError) as error:
        return None, [f"{path.name} cannot be read as Parquet: {_first_line(error)}"]


def _plain(kind, pa) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    checks = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    return types.is_null(kind) or any(check(kind) for check in checks)


def _lacks(name: str, missing: Iterable[str], there: Iterable[str]) -> str:
    hints = [f"{column} (is it {near[0]!r}?)" if (near := nearest(column, there)) else column for column in missing]
    return f"{name} has not the columns {', '.join(hints)}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return shown(text)[1:-1] or type(error).__name__


def _faults(table: pd.DataFrame, name: str, file: str) -> list[str]:
    """What is wrong with the values of one table, as many rows of each kind as fit a line."""
    problems = []
    if table.empty and name != "gates":
        problems.append(f"{file} has no row")
    for column in ("training_seed", "seed", "n", "steps"):
        if column in table:
            values = pd.to_numeric(table[column], errors="coerce")
            present = table[column].notna()
            bad = present & ~(np.isfinite(values.astype(float)) & (values >= 0) & (values % 1 == 0))
            bad |= (~present) & (column in ("training_seed", "seed"))
            problems += _told(file, table, column, bad, "a whole number from 0 on")
    if "status" in table:
        problems += _told(file, table, "status", ~table["status"].isin(STATUSES), f"one of {', '.join(STATUSES)}")
    if name == "cells":
        twice = table.duplicated(list(KEYS))
        problems += _rows_of(file, twice, "stands there already, with the same keys")
    if name == "scores":
        problems += _of_scores(table, file)
    return problems


def _of_scores(table: pd.DataFrame, file: str) -> list[str]:
    numbers = {key: pd.to_numeric(table[key], errors="coerce").astype(float) for key in ("value", "low", "high")}
    read = table["metric"].isin(METRICS)
    problems = []
    for key, values in numbers.items():
        text = table[key].notna() & values.isna()
        problems += _told(file, table, key, text | np.isinf(values), "a finite number or nothing")
        problems += _told(file, table, key, read & (values.abs() > LARGEST_END), f"within ±{LARGEST_END:g}")
    outside = read & ((numbers["low"] > numbers["value"] + _SLACK) | (numbers["high"] < numbers["value"] - _SLACK))
    problems += _rows_of(file, outside, "has an interval that does not hold its value")
    keys = [*KEYS, "attack", "language", "group", "metric", "facts"]
    twice = read & table[keys].astype("object").where(table[keys].notna(), "").duplicated()
    problems += _rows_of(file, twice, "stands there already, with the same keys")
    return problems


def _strangers(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Scores of cells that are no cells, which comes of tables of two studies in one folder."""
    cells = set(zip(*(tables["cells"][key].fillna("").astype(str) for key in KEYS)))
    scores = tables["scores"]
    scores = scores[~scores["algorithm"].isin(("base", "oracle"))]
    own = dict.fromkeys(zip(*(scores[key].fillna("").astype(str) for key in KEYS)))
    strange = [key for key in own if key not in cells]
    told = [" ".join(key[:4]) for key in strange[:_SHOWN]]
    more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
    return [f"scores are of cells that the table of cells does not have: {'; '.join(told)}{more}"] if strange else []


def _told(file: str, table: pd.DataFrame, column: str, bad, wanted: str) -> list[str]:
    places = np.flatnonzero(np.asarray(bad, bool))
    if not len(places):
        return []
    values = table[column].iloc[places[:_SHOWN]].tolist()
    lines = ", ".join(f"{shown(value)} in row {place + 1}" for place, value in zip(places, values))
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return [f"{file}, {column}: must be {wanted}, not {lines}{more}"]


def _rows_of(file: str, bad, words: str) -> list[str]:
    places = np.flatnonzero(np.asarray(bad, bool))
    more = f" ({len(places)} such rows)" if len(places) > 1 else ""
    return [f"{file}, row {places[0] + 1} {words}{more}"] if len(places) else []


# The rows that a sender states

Check = Callable[[str], str]


def stated(path: Path, name: str, checks: Mapping[str, Check]) -> tuple[pd.DataFrame | None, list[str]]:
    """One of the board's own tables as somebody else wrote it, and all that is wrong with it.

    checks: by column of text what is wrong with a value of it, "" if nothing. Every other column is a number.
    """
    columns = rows.COLUMNS[name]
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}"]
    if text.startswith("\ufeff"):
        return None, [f"{path.name} begins with a byte order mark: save it as UTF-8 without one"]
    if "\0" in text:
        return None, [f"{path.name} holds a byte that is zero, which no text does"]
    if not text.endswith("\n"):
        return None, [f"{path.name} does not end with a line break: it was cut"]
    if text.count("\n") > MOST_LINES:
        return None, [f"{path.name} has {text.count(chr(10))} lines, and at most {MOST_LINES} are read"]
    try:
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        return None, [f"{path.name} is no CSV: {error}"]
    if tuple(lines[0]) != columns:
        missing = [column for column in columns if column not in lines[0]]
        foreign = [shown(column) for column in lines[0] if column not in columns]
        told = [_lacks(path.name, missing, lines[0])] if missing else []
        told += [f"{path.name} has columns that the board does not know: {', '.join(foreign[:10])}"] if foreign else []
        return None, told or [f"{path.name} must have its columns in this order: {', '.join(columns)}"]
    problems, found = [], []
    for place, line in enumerate(lines[1:], start=1):
        if len(line) != len(columns):
            problems.append(f"{path.name}, row {place}: {len(line)} fields, and there are {len(columns)} columns")
            continue
        row, wrong = _row(dict(zip(columns, line)), checks)
        problems += [f"{path.name}, row {place}, {problem}" for problem in wrong]
        found.append(row)
    return pd.DataFrame(found, columns=list(columns)), problems


def _row(given: dict[str, str], checks: Mapping[str, Check]) -> tuple[tuple, list[str]]:
    made: dict[str, str | float] = {}
    problems = []
    for column, text in given.items():
        if column in checks:
            if wrong := checks[column](text):
                problems.append(f"{column}: {wrong}")
            made[column] = text
            continue
        whole = column in rows.COUNTS
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        made[column] = value
        if not text and not whole:
            continue
        most = LARGEST_END if column.endswith(("_low", "_high")) else 1e12 if column in _FREE or whole else LARGEST
        if not math.isfinite(value):
            problems.append(
                f"{column}: must be {'a whole number' if whole else 'a finite number or empty'}, not {shown(text)}"
            )
        elif whole and (value < 0 or value % 1):
            problems.append(f"{column}: must be a whole number from 0 on, not {shown(text)}")
        elif abs(value) > most:
            problems.append(f"{column}: must be within ±{most:g}, not {shown(text)}")
        elif column in _FREE and value < 0:
            problems.append(f"{column}: must be 0 or more, not {shown(text)}")
    for column in made:
        if f"{column}_low" in made:
            value, low, high = (made[f"{column}{end}"] for end in rows.ENDS)
            problems += _interval(column, float(value), float(low), float(high))
    return tuple(made[column] for column in given), problems


_FREE = frozenset(rows.BUDGET)


def _interval(name: str, value: float, low: float, high: float) -> list[str]:
    if math.isnan(low) != math.isnan(high):
        return [f"{name}: an interval has two ends, and one is missing"]
    if math.isnan(value) and not math.isnan(low):
        return [f"{name}: there is an interval, and no value"]
    if low > value + _SLACK or high < value - _SLACK:
        return [f"{name}: the interval [{low:g}, {high:g}] does not hold the value {value:g}"]
    return []
