"""Reads the tables that users bring, and says what is wrong with them in few words."""

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mute.names import at_home, is_folder
from mute.store.artifacts import seed_of

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_SHOWN = 5  # examples named in an error
_HALF = re.compile("[\ud800-\udfff]")
# Characters that stand for nothing, and halves of one, which no file can hold.
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
# What nobody sees and nobody means in a name: breaks, zero-width spaces, marks that turn the direction.
UNSEEN = re.compile(CONTROL.pattern[:-1] + "\t-\r\x85\u2028\u2029\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069]")
_EDGES = "\u200b\u2060\ufeff"


def load(path: Path) -> pd.DataFrame:
    """The table in a file. A .json file is one list of objects, or an object a line.

    Raises ValueError for what is no table, with the line where that is known.
    """
    import pyarrow

    try:
        table = _load(path)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (pyarrow.ArrowException, csv.Error, OverflowError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from None
    if table.empty:
        raise ValueError("it has no rows")
    return table


def tried(path: Path, name: str, problems: list[str]) -> pd.DataFrame | None:
    """The table in a file; or None, and one problem more."""
    try:
        return load(path)
    except (ValueError, OSError) as error:
        problems.append(f"{name} cannot be read: {error}")
        return None


def _load(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        # As objects: read now, not when a column is first looked at, and no whole number made into another.
        return pd.read_parquet(path).astype(object)
    if path.suffix in (".jsonl", ".json"):
        text = path.read_text(encoding="utf-8-sig")
        whole = path.suffix == ".json" and text.lstrip().startswith("[")
        # As objects: one missing number in a column would make 3 into 3.0.
        objects = _objects(_parsed(text)) if whole else _lines(text)
        return pd.DataFrame(objects, dtype=object)
    separator = "\t" if path.suffix == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as handle:
        if "\0" in (first := handle.readline()):
            raise ValueError("it is no text")
    header = next(csv.reader([first], delimiter=separator), [])
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise ValueError(f"the column {some(map(repr, twice))} stands twice; only one would count")
    # Every field stays a word: a language may well answer "nan", "null" or "1.0".
    table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if not isinstance(table.index, pd.RangeIndex):
        # Pandas takes the first fields for an index, and every column for its neighbour.
        raise ValueError("rows have more fields than the header: quote what holds the separator")
    with path.open(encoding="utf-8-sig", newline="") as handle:
        # Pandas fills what is missing with nothing, and the last columns would be lost without a word.
        for row in (reader := csv.reader(handle, delimiter=separator)):
            if any(map(str.strip, row)) and len(row) < len(header):
                raise ValueError(f"line {reader.line_num}: {len(row)} fields, and the header has {len(header)}")
    return table


def _objects(values: list[Any]) -> list[dict]:
    for number, row in enumerate(values, 1):
        if not isinstance(row, dict):
            raise ValueError(f"entry {number}: not an object")
    return values


def _lines(text: str) -> list[dict]:
    rows = []
    # Not splitlines, which cuts at characters that may stand inside a JSON string too.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = _parsed(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number}: not an object")
            rows.append(row)
    return rows


def _parsed(text: str) -> Any:
    value = json.loads(text, object_pairs_hook=_once)
    # Only an escape can stand for half of a character, which no table can hold.
    if "\\ud" in text.lower() and (half := next(filter(None, map(_HALF.search, _texts(value))), None)):
        raise ValueError(f"{half[0]!r} is half of a character")
    return value


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(inner)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once each: the ordinary reader keeps the last and says nothing."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in an object")
    return found


def folder_of(path: str) -> Path:
    """The user's folder. Raises ValueError if it is not there."""
    if not is_folder(at_home(path)):
        raise ValueError(f"corpus folder {path!r} is not there: set `path` of the corpus to your data")
    return at_home(path)


def aligned(
    what: str,
    tables: dict[str, pd.DataFrame],
    problems: list[str],
    wrong: dict[str, list[str]],
    domains: dict[str, str],
    *,
    drop: bool,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The languages' tables with the same questions in the same order, and the ids of those that were left out.

    wrong: ids of questions by what is wrong with them in a language; drop: they are left out in all, instead of being
    errors. domains: those that must keep some, by what the user calls them. Raises ValueError that lists all problems.
    """
    hint = ""
    if wrong and not drop:
        problems = [*problems, *(f"{kind}: {some(ids)}" for kind, ids in wrong.items())]
        hint = "\n(unusable: drop leaves out questions that are wrong in one language)"
    out = set().union(*wrong.values())
    if not problems:
        first = next(iter(tables.values()))
        first = first[~first["id"].isin(out)]
        emptied = [name for name, domain in domains.items() if domain not in set(first["domain"])]
        if not emptied:
            order = first["id"].tolist()
            return {code: table.set_index("id").loc[order].reset_index() for code, table in tables.items()}, sorted(out)
        problems = [f"no usable question is left in {some(emptied)}"]
    raise ValueError(f"the {what} files cannot be used:\n" + "\n".join(f"  - {p}" for p in problems) + hint)


def fewer(item: str, gold: int, count: int, most: int | None) -> list[int]:
    """Places of at most so many of `count` options: the right one, and others drawn by the item's id, in their order.

    By places, so that lists that are parallel between languages stay so.
    """
    others = [place for place in range(count) if place != gold]
    if most is not None:
        others.sort(key=lambda place: seed_of(0, "options", item, place))
        others = others[: most - 1]
    return sorted([gold, *others])


def some(values: Iterable[object]) -> str:
    """The first of many values, and how many more there are."""
    # What cannot be seen is shown by its number.
    texts = [text if (text := str(v)).isprintable() else repr(text) for v in values]
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def is_missing(value: object) -> bool:
    # An array is compared entry by entry, and is nothing that is missing.
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def is_text(value: object) -> bool:
    """Whether a field is a text, or a number or date that stands for one: no list, mapping, bytes or truth value."""
    return not isinstance(value, bool | np.bool_ | bytes | bytearray | dict | list | tuple | set | np.ndarray)


def word(value: object) -> str:
    """A field as text without spaces around it, seen or not; what is missing is empty.

    Letters and their marks are composed (NFC): keyboards and systems differ in it, and nobody can see that.
    """
    if is_missing(value):
        return ""
    text = str(value)
    while text != (bare := text.strip().strip(_EDGES)):
        text = bare
    return unicodedata.normalize("NFC", text)


def several(value: object) -> list[str]:
    """A list of different texts from a list, an array, a JSON list or a string split at '|'."""
    # One number or truth value is one text; the keys of a mapping are no list.
    listed = [value]
    if isinstance(value, str):
        text = value.strip()
        listed = text.split("|")
        if text.startswith("["):
            with suppress(ValueError, RecursionError):
                listed = json.loads(text)
    elif is_missing(value) or isinstance(value, float):
        listed = []
    elif isinstance(value, list | tuple | np.ndarray):
        listed = list(value)
    return list(dict.fromkeys(text for v in listed if (text := word(v))))
