"""How cells stand: their status words, from the tables of finished shards and the store of unfinished ones."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mute.bands import KEYS
from mute.plan.rules import Plans
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
        self.study, self.results = study, Path(study.config.study.results)
        self.notes: list[str] = []

    def cells(self, done: dict[str, bool]) -> list[Found]:
        """Every cell of the study; done: whether a job is, by its rule and name."""
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for shard, own in self.study.shards.items():
            path = self.results / "shards" / shard / "cells.csv"
            rows = self._rows(path) if done.get(f"unlearn_shard {shard}") else []
            found |= {tuple(row.get(key) or "" for key in KEYS): row for row in rows}
            if missing := [cell for cell in own if _key(cell) not in found]:
                found |= self._stored(shard, missing)
        below = {name for name in self.study.trained if self._misses_a_gate(name)}
        return [self._found(cell, found.get(_key(cell), {}), cell.trained in below) for cell in self.study.cells]

    def _found(self, cell: Cell, row: dict[str, Any], below_gate: bool) -> Found:
        status = str(row.get("status") or "")
        detail = self._divergence(row) if status == "diverged" else ""
        return Found(cell, status, below_gate and bool(status), detail)

    def _divergence(self, row: dict[str, Any]) -> str:
        """Where a cell diverged, as far as its row or its record says."""
        digest = row.get("digest")
        record = _json(self.results / "cells" / str(digest) / "record.json") if digest else {}
        outcome = record.get("outcome")
        known = {**(outcome if isinstance(outcome, dict) else {}), **{k: v for k, v in row.items() if v}}
        step, loss = known.get("diverged_at"), known.get("last_loss")
        parts = [f"step {_number(step, '.0f')}" if step not in (None, "") else ""]
        parts.append(f"last finite loss {_number(loss, '.4g')}" if loss not in (None, "") else "")
        return ", ".join(filter(None, parts))

    def _stored(self, shard: str, missing: list[Cell]) -> dict[tuple[str, ...], dict[str, Any]]:
        """Outcomes of cells that a shard has in the store already, under the settings and code of now."""
        if not self._records:
            return {}
        plans = {
            tuple(str(plan["cell"][key]) for key in KEYS): plan
            for plan in Plans(self.study).shard(SimpleNamespace(shard=shard))["cells"]
        }
        found = {}
        for cell in missing:
            for record in self._records.get(_key(cell), ()):
                if _same(record["plan"], plans[_key(cell)]):
                    found[_key(cell)] = record["outcome"]
        return found

    @cached_property
    def _records(self) -> dict[tuple[str, ...], list[dict[str, Any]]]:
        """Records of the store by their cell. A study without any unfinished shard never asks for them."""
        found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for record in self._every_record():
            try:
                key = tuple(str(record["plan"]["cell"][name]) for name in KEYS)
                if isinstance(record["outcome"], dict):
                    found.setdefault(key, []).append(record)
            except (KeyError, TypeError):
                continue
        return found

    def _every_record(self) -> Iterator[dict[str, Any]]:
        try:
            folders = sorted((self.results / "cells").iterdir())
        except OSError:
            return
        for folder in folders:
            if record := _json(folder / "record.json"):
                yield record

    def _rows(self, path: Path) -> list[dict[str, Any]]:
        """The rows of a table; none, and a note, if it cannot be read."""
        try:
            with path.open(encoding="utf-8", newline="") as handle:
                rows = list(csv.DictReader(handle))
            if rows and set(KEYS) <= set(rows[0]):
                return rows
        except (OSError, ValueError, csv.Error):
            pass
        self.notes.append(f"{path} cannot be read: delete it, and it is made again from the store")
        return []

    def _misses_a_gate(self, trained: str) -> bool:
        try:
            with (self.results / "gates" / f"{trained}.csv").open(encoding="utf-8", newline="") as handle:
                return any(row.get("passed") == "False" for row in csv.DictReader(handle))
        except (OSError, ValueError, csv.Error):
            return False


def _key(cell: Cell) -> tuple[str, ...]:
    return tuple(str(value) for value in cell.key().values())


def _same(kept: Any, now: dict[str, Any]) -> bool:
    """Whether a record was made by the plan of now; what only one of the two says does not tell them apart."""
    return isinstance(kept, dict) and all(kept[key] == value for key, value in now.items() if key in kept)


def _json(path: Path) -> dict[str, Any]:
    """A JSON file that holds a mapping; an empty one if it does not."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any, form: str) -> str:
    """A number in a form; a table with gaps holds a step as 4.0."""
    try:
        return format(float(value), form)
    except (TypeError, ValueError):
        return str(value)
