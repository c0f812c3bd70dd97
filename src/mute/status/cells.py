"""How cells stand: their status words, from the tables of finished shards and the store of unfinished ones."""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mute.bands import KEYS
from mute.plan.rules import Plans
from mute.store import artifacts
from mute.store.records import Facts
from mute.study.cells import Cell, Study


@dataclass(frozen=True)
class Found:
    """A cell, its status word (empty while it is pending), and whether its model missed a gate.

    detail: of a diverged cell the step and the last loss, where they are known.
    """

    cell: Cell
    status: str = ""
    below_gate: bool = False
    detail: str = ""


class Reader:
    """Reads what is there of a study's cells. `notes` name files that cannot be read."""

    def __init__(self, study: Study) -> None:
        self.study, self.results, self.plans = study, Path(study.config.study.results), Plans(study)
        self.notes: list[str] = []

    def cells(self, done: dict[str, bool]) -> list[Found]:
        """Every cell of the study; done: whether a job is, by its rule and name."""
        found: dict[tuple[str, ...], Facts] = {}
        for shard, own in self.study.shards.items():
            if done.get(f"unlearn_shard {shard}"):
                path = self.results / "shards" / shard / "cells.csv"
                rows = _rows(path)
                if not rows or not set(KEYS) <= set(rows[0]):
                    self.notes.append(f"{path} cannot be read: delete it, and it is made again from the store")
                    rows = []
                found |= {tuple(row[key] or "" for key in KEYS): row for row in rows}
            found |= {_key(cell): self._stored(cell) for cell in own if _key(cell) not in found}
        if done.get("make_tables"):
            # There the statuses that only scores can give.
            rows = _rows(self.results / "tables" / "cells.csv")
            told = {tuple(row[key] or "" for key in KEYS): row for row in rows if set(KEYS) <= set(row)}
            found |= {key: row for key, row in told.items() if key in found}
        gates = {name: _rows(self.results / "gates" / f"{name}.csv") for name in self.study.trained}
        below = {name for name, rows in gates.items() if any(row.get("passed") == "False" for row in rows)}
        return [_found(cell, found[_key(cell)], cell.trained in below) for cell in self.study.cells]

    def _stored(self, cell: Cell) -> Facts:
        """What the store has of a cell whose shard is not done, under the settings and code of now."""
        found: Facts = {}
        for record in self._records.get(_key(cell), ()):
            # What only one of the two plans says does not tell them apart.
            kept, now = record["plan"], self.plans.cell(cell)
            if all(kept[key] == value for key, value in now.items() if key in kept):
                found = record["outcome"]
        return found

    @cached_property
    def _records(self) -> dict[tuple[str, ...], list[Facts]]:
        """Records of the store by their cell. A study without any unfinished shard never asks for them."""
        found: dict[tuple[str, ...], list[Facts]] = {}
        for path in sorted((self.results / "cells").glob("*/record.json")):
            try:
                record = artifacts.read_mapping(path)
                key = tuple(str(record["plan"]["cell"][name]) for name in KEYS)
                if isinstance(record["outcome"], dict):
                    found.setdefault(key, []).append(record)
            except (ValueError, KeyError, TypeError):
                continue
        return found


def _found(cell: Cell, row: Facts, below_gate: bool) -> Found:
    status = str(row.get("status") or "")
    # Where a cell diverged, as far as its row says.
    told = (("diverged_at", "step", ".0f"), ("last_loss", "last finite loss", ".4g")) if status == "diverged" else ()
    parts = [f"{words} {_number(row[key], form)}" for key, words, form in told if row.get(key) not in (None, "")]
    return Found(cell, status, below_gate and bool(status), ", ".join(parts))


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none if it cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error):
        return []


def _key(cell: Cell) -> tuple[str, ...]:
    return tuple(str(value) for value in cell.key().values())


def _number(value: str | float, form: str) -> str:
    """A number in a form; a table with gaps holds a step as 4.0."""
    try:
        return format(float(value), form)
    except (TypeError, ValueError):
        return str(value)
