"""What a study that is not complete has so far: tables put together from its shards and the records of its cells."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mute.bands import KEYS
from mute.evaluate import tables
from mute.findings.metrics import SHARED
from mute.names import shown
from mute.publishing.explorer import given
from mute.publishing.explorer.given import Given
from mute.store import artifacts
from mute.store.records import Facts, Record

# Scores that the pages show before the study's own tables are there: millions of others can wait for these.
METRICS = ("K", "C", "leak", "confusion", "accuracy_option", "retain_option", "B", "B_mixed", "B_retrained", *SHARED)
_CURVE = ("strength", "step", "loss", "knowledge", "damage", "size", "share")
Trained = Mapping[str, Sequence]


class Landed:
    """Reads a folder of results again and again: what has not changed since the last time is not read again."""

    def __init__(self, results: Path, trained: Trained | None = None) -> None:
        self.results, self.trained = results, dict(trained or {})
        self._kept: dict[Path, tuple[tuple[int, int], object]] = {}
        self._problems: list[str] = []

    def read(self, about: Facts | None = None) -> Given:
        """Everything that has landed by now."""
        found = Given(about=about or {})
        self._problems = found.problems
        records = self._records()
        cells = [self._of(path, self._table) for path in self._shards("cells.csv")]
        rows = [table for table in cells if isinstance(table, pd.DataFrame) and {*KEYS, "digest"} <= set(table)]
        done = {digest for table in rows for digest in table["digest"]}
        single = [
            {**record["cell"], "digest": d, **record["outcome"]} for d, record in records.items() if d not in done
        ]
        rows += [pd.DataFrame(single)] * bool(single)
        if rows:
            found.tables["cells"] = pd.concat(rows, ignore_index=True)
        scores = [self._of(path, self._scores) for path in self._shards("scores.parquet")]
        if scores := [table for table in scores if isinstance(table, pd.DataFrame)]:
            found.tables["scores"] = pd.concat(scores, ignore_index=True)
            if rows and {"size", "status"} <= set(found.tables["cells"]):
                self._judge(found)
        curves = [{**record["cell"], **point} for record in records.values() for point in record["curve"]]
        if curves:
            found.tables["curves"] = pd.DataFrame(curves).reindex(columns=[*KEYS, *_CURVE])
        self._attacks(found)
        for name, folder in (("layers", "layers"), ("gates", "gates")):
            own = [self._of(path, self._table) for path in sorted((self.results / folder).glob("*.csv"))]
            named = [self._named(table) for table in own if isinstance(table, pd.DataFrame) and "trained" in table]
            if named:
                found.tables[name] = pd.concat(named, ignore_index=True)
        for name in list(found.tables):
            if (table := given.fitting(found.tables[name], name, name, found.problems)) is None:
                del found.tables[name]
            else:
                found.tables[name] = table
        # Columns that the study's own tables alone have are not missing yet.
        found.problems[:] = [text for text in found.problems if "it stays empty" not in text]
        given.agree(found)
        return found

    def _shards(self, name: str) -> list[Path]:
        return sorted((self.results / "shards").glob(f"*/{name}"))

    def _of(self, path: Path, read) -> object:
        """What a file holds, from the last time if it is still the same; None if it cannot be read."""
        try:
            about = path.stat()
            stamp = about.st_mtime_ns, about.st_size
            if path not in self._kept or self._kept[path][0] != stamp:
                self._kept[path] = stamp, read(path)
            return self._kept[path][1]
        except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            self._problems.append(f"{path.relative_to(self.results)} cannot be read: {shown(str(error))}")
        return None

    def _table(self, path: Path) -> pd.DataFrame:
        return artifacts.read_table(path)

    def _scores(self, path: Path) -> pd.DataFrame:
        return pd.read_parquet(path, filters=[("metric", "in", list(METRICS))])

    def _records(self) -> dict[str, Record]:
        """Cell, outcome and curve of every cell in the store, by its digest."""
        found = {}
        for path in sorted((self.results / "cells").glob(f"*/{artifacts.RECORD}")):
            if given.is_digest(path.parent.name) and isinstance(record := self._of(path, _record), dict):
                found[path.parent.name] = record
                self.trained.setdefault(
                    record["trained"], (record["cell"]["model"], record["cell"]["training_seed"], None)
                )
        return found

    def _judge(self, found: Given) -> None:
        """Statuses that take scores. What cannot be judged yet keeps the status of its own record."""
        try:
            found.tables["cells"], found.tables["scores"] = tables.with_statuses(
                found.tables["cells"], found.tables["scores"]
            )
        except (ValueError, KeyError, TypeError):
            return

    def _attacks(self, found: Given) -> None:
        own = [self._of(path, self._table) for path in self._shards("attacks.csv")]
        own = [t for t in own if isinstance(t, pd.DataFrame) and {"cell", "attack", "victim", "status"} <= set(t)]
        if own and "cells" in found.tables:
            attacks = pd.concat(own, ignore_index=True)
            attacks = attacks.rename(columns={"cell": "digest", "digest": "entry", "status": "ended"})
            joined = found.tables["cells"][[*KEYS, "digest"]].merge(attacks, on="digest")
            found.tables["attacks"] = joined.reindex(columns=[*KEYS, "attack", "victim", "ended", "reason"])

    def _named(self, table: pd.DataFrame) -> pd.DataFrame:
        """Model, training seed and oracle in the place of a trained model's name; rows of others are left out."""
        own = table[table["trained"].isin(list(self.trained))]
        parts = [self.trained[name] for name in own["trained"]]
        keys = {
            key: [part[place] or (0 if key == "training_seed" else "") for part in parts]
            for place, key in enumerate(("model", "training_seed", "oracle"))
        }
        return own.drop(columns="trained").assign(**keys).rename(columns={"gate": "threshold"})


def _record(path: Path) -> Record:
    """What the pages show of a cell's record. Raises what a damaged one makes Python raise."""
    record = artifacts.read_mapping(path)
    plan, outcome, curve = record["plan"], record["outcome"], record["curve"]
    if not isinstance(outcome, dict) or not isinstance(curve, list):
        raise ValueError("it is no record of a cell")
    return {
        "cell": {key: plan["cell"][key] for key in KEYS},
        "trained": str(plan["trained"]),
        "outcome": dict(outcome),
        "curve": [{key: point.get(key) for key in _CURVE} for point in curve if isinstance(point, dict)],
    }
