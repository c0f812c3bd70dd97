"""Tables of a folder that may be anybody's: read, held against what they must have, all that is wrong told at once."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mute.bands import KEYS
from mute.findings.results import STATUSES
from mute.findings.tables import NUMBERS, TABLES, WHOLE_NUMBERS
from mute.names import shown
from mute.store import artifacts, seals
from mute.store.records import Facts

# Of a table that is larger nothing is read.
MOST_BYTES = 4 * 10**9
# What cannot be missing, or a table says nothing of anything: the rest of its columns may.
_NEEDED: dict[str, tuple[str, ...]] = {
    "cells": (*KEYS, "status"),
    "scores": (*KEYS, "language", "group", "metric", "facts", "value"),
    "layers": ("model", "training_seed", "block"),
    "regions": ("model", "training_seed", "forget_set"),
    "bands": ("model", "training_seed", "forget_set", "algorithm", "view", "block"),
    "gates": ("model", "training_seed", "measure", "value", "passed"),
    "lens": (*KEYS, "language", "block", "probability"),
    "profiles": (*KEYS, "measure", "block", "language", "value"),
    "attacks": (*KEYS, "attack", "victim", "ended"),
    "curves": (*KEYS, "step"),
    "languages": ("model", "language", "other"),
    "properties": ("model", "language"),
}
_STATUSES = {*STATUSES, "no_region", "no_band", "below_gate"}
_REFERENCES = ("base", "oracle")
_DIGEST = re.compile(r"[0-9a-f]{20}")
# Of columns that the project writes as numbers; `n` of a group may be missing.
_NUMERIC = sorted({*NUMBERS, *WHOLE_NUMBERS, "step", "loss", "knowledge", "size", "damage", "low", "high", "steps"})


@dataclass
class Given:
    """Tables by name, what the study says of itself, and all that is wrong with what was given."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    about: Facts = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)


def is_digest(text: object) -> bool:
    """Whether a text may be the name of a folder in the store, and of nothing else."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def read(folder: Path) -> Given:
    """The tables in `folder`: of a study's results (`tables/*.csv`), or frozen (`*.parquet` beside about.json)."""
    own = folder / "tables" if (folder / "tables").is_dir() else folder
    found = Given()
    about = own / "about.json"
    if about.is_file():
        try:
            found.about = artifacts.read_mapping(about)
        except ValueError as error:
            found.problems.append(str(error))
    for name in TABLES:
        paths = [path for path in (own / f"{name}.csv", own / f"{name}.parquet") if path.is_file()]
        for path in paths[:1]:
            if (table := checked(path, name, found.problems, within=folder)) is not None:
                found.tables[name] = table
    agree(found)
    return found


def checked(path: Path, name: str, problems: list[str], within: Path | None = None) -> pd.DataFrame | None:
    """One table, or None if nothing of it can be used; what is wrong with it is added to `problems`."""
    table = _whole(path, problems, within)
    if table is None:
        return None
    return fitting(table, name, path.name, problems)


def _whole(path: Path, problems: list[str], within: Path | None) -> pd.DataFrame | None:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            problems.append(f"{path.name} is left out: it has {size / 1e9:.0f} GB, more than an explorer can show")
            return None
        if path.suffix == ".csv" and not _ends_with_a_line(path):
            problems.append(f"{path.name} is left out: it was cut off, its last line has no end")
            return None
        if within is not None and path.is_relative_to(within) and (within / seals.FOLDER).is_dir():
            fault = seals.fault(within, path)
            if fault is not None:
                problems.append(f"{path.name} {fault.text}; it is shown as it is")
        return artifacts.read_table(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError, MemoryError) as error:
        # pandas and pyarrow raise all of these on bytes that are no table.
        problems.append(f"{path.name} is left out: it is no table that can be read ({shown(error)})")
    return None


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(0, 2)
        if handle.tell() == 0:
            return False
        handle.seek(-1, 2)
        return handle.read(1) == b"\n"


def fitting(table: pd.DataFrame, name: str, called: str, problems: list[str]) -> pd.DataFrame | None:
    """A table with the columns and types that `name` has; None if a column is missing without which it says nothing."""
    table = table.loc[:, ~table.columns.duplicated()]
    if lacking := [column for column in _NEEDED[name] if column not in table]:
        problems.append(f"{called} is left out: it has no column {', '.join(lacking)}")
        return None
    if lacking := [column for column in TABLES[name] if column not in table]:
        problems.append(f"{called} has no column {', '.join(lacking)}: it stays empty")
    wrong = np.zeros(len(table), dtype=bool)
    for column in (c for c in _NUMERIC if c in table):
        own = table[column]
        if own.dtype.kind in "iufb":
            numbers = own.to_numpy(float)
            bad = np.isinf(numbers)
        else:
            numbers = pd.to_numeric(own, errors="coerce").to_numpy(float)
            bad = (np.isnan(numbers) & own.notna().to_numpy()) | np.isinf(numbers)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            problems.append(
                f"{called}: {int(bad.sum())} values of column {column} are no numbers, the first is "
                f"{shown(own.iloc[row])} in row {row + 1}; they are left out"
            )
            wrong |= bad if column in WHOLE_NUMBERS else False
        if bad.any() or own.dtype.kind not in "iufb":
            table = table.assign(**{column: np.where(bad, np.nan, numbers)})
    if wrong.any():
        problems.append(f"{called}: {int(wrong.sum())} rows are left out, their keys are no keys")
        table = table[~wrong]
    return table.reset_index(drop=True)


def agree(found: Given) -> None:
    """Hold the tables against each other; what does not fit is said, and rows that would stand twice are left out."""
    problems, cells = found.problems, found.tables.get("cells")
    if cells is not None:
        keys = cells[list(KEYS)].astype(str)
        if (twice := keys.duplicated()).any():
            problems.append(f"cells: {int(twice.sum())} cells stand there twice; the first row of each is shown")
            found.tables["cells"] = cells = cells[~twice.to_numpy()].reset_index(drop=True)
        strange = [s for s in dict.fromkeys(cells["status"].dropna().astype(str)) if s not in _STATUSES]
        if strange:
            problems.append(f"cells: no status is called {', '.join(map(shown, strange[:5]))}")
        if "digest" in cells:
            bad = [d for d in cells["digest"].dropna() if not is_digest(d)]
            if bad:
                problems.append(f"cells: {len(bad)} digests name no folder, such as {shown(bad[0])}: not looked up")
    scores = found.tables.get("scores")
    crossed = (
        int((scores["low"] > scores["high"]).sum()) if scores is not None and {"low", "high"} <= set(scores) else 0
    )
    if crossed:
        problems.append(f"scores: {crossed} intervals end below where they begin")
    if scores is not None and cells is not None:
        of_cells = scores[~scores["algorithm"].isin(_REFERENCES)][list(KEYS)].drop_duplicates()
        joined = of_cells.astype(str).merge(cells[list(KEYS)].astype(str).assign(there=1), on=list(KEYS), how="left")
        if lost := int(joined["there"].isna().sum()):
            problems.append(f"scores: {lost} cells have scores and no row in cells; they are not shown")


def told(problems: list[str], folder: Path) -> str:
    """One message with all that is wrong."""
    return "\n".join([f"The tables in {folder} are not as they should be:", *(f"  - {text}" for text in problems)])
