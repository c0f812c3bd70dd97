"""Runs as trackers show them: one per cell, and one per study that holds its tables and figures."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mute.bands import KEYS, file_name
from mute.findings.metrics import DETAILS, SHARED
from mute.store import artifacts
from mute.store.records import Record, placeless

# Kinds of facts that are shown apart: those that only the source languages tell alone prove shared knowledge.
APART = ("taught", "transfer")


@dataclass(frozen=True)
class Run:
    """One run. `history` has one mapping per step; `files` are paths by artifact and name."""

    id: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...] = ()
    config: Record = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)
    summary: Record = field(default_factory=dict)
    files: dict[str, dict[str, Path]] = field(default_factory=dict)

    def text(self) -> Record:
        """Everything but the content of files, as JSON."""
        return {name: value for name, value in vars(self).items() if name not in ("files", "content")}

    def copied(self, folder: Path) -> list[Path]:
        """Copies of its files, as `folder`/<artifact>/<name>, in their order."""
        copies = {folder / kind / name: path for kind, files in self.files.items() for name, path in files.items()}
        for copy, path in copies.items():
            with artifacts.atomic(copy, sync=False) as temporary:
                shutil.copyfile(path, temporary)
        return list(copies)

    @cached_property
    def content(self) -> str:
        """Digest of all that it says; two runs of equal content need not be published twice."""
        files = {kind: {name: artifacts.sha256(path) for name, path in own.items()} for kind, own in self.files.items()}
        return artifacts.digest([{**self.text(), "tags": list(self.tags)}, files])


def of_cells(study: str, results: Path, cells: pd.DataFrame, scores: pd.DataFrame) -> Iterator[Run]:
    """A run per row of the table `cells`: config and curve from its record, the summary from the table `scores`.

    Raises ValueError if a cell's record is not in the store.
    """
    own: dict[Any, pd.DataFrame] = dict(iter(scores.groupby(list(KEYS), sort=False)))
    for cell in artifacts.rows(cells):
        key = {name: getattr(cell, name) for name in KEYS}
        record = _record(results / "cells" / str(cell.digest))
        plan = record["plan"]
        known = {name: value for name, value in plan.items() if name not in ("cell", "strength")}
        outcome = {name: value for name, value in record["outcome"].items() if value is not None}
        # How the run ended; with its scores, the table may say that it destroyed, or had nothing to forget.
        outcome["status"] = str(cell.status)
        strength = None if pd.isna(cell.strength) else float(cell.strength)
        config = {**plan["cell"], "study": study, "cell": str(cell.digest), "strength": strength, **known}
        yield Run(
            # The cell's digest covers weights, corpus, settings and code. So the curve of an id never changes.
            id=artifacts.digest([study, plan["cell"], str(cell.digest)]),
            name=file_name(*key.values()),
            group=str(cell.model),
            job_type=str(cell.algorithm),
            tags=tuple(dict.fromkeys((str(cell.status), str(cell.protocol), str(cell.gate)))),
            config=placeless(config),
            history=_curve(record["curve"]),
            summary={**outcome, **summary(own.get(tuple(key.values()), scores.iloc[:0]))},
        )


def of_study(study: str, config: Record, cells: pd.DataFrame, files: dict[str, list[str]]) -> Run:
    """The run that holds a study's tables and figures, and its configuration."""
    statuses = {f"cells/{status}": int(count) for status, count in cells["status"].value_counts().sort_index().items()}
    return Run(
        id=study_id(study),
        name=study,
        group="study",
        job_type="tables",
        config=placeless({"study": study, "config": config}),
        summary={"cells": len(cells), **statuses},
        files={kind: {Path(path).name: Path(path) for path in paths} for kind, paths in files.items() if paths},
    )


def study_id(study: str) -> str:
    """Id of the run that holds a study's tables; the same for every version of them."""
    return artifacts.digest([study, "tables"])


def summary(scores: pd.DataFrame) -> dict[str, float]:
    """Values of one cell's scores: `K/heldout/hi` of a language, `K/heldout` of a group, with its interval beside it.

    `K_transfer/...` are facts that only the source languages tell; a value that is missing is left out.
    """
    found: dict[str, float] = {}
    columns = ("metric", "facts", "group", "language", "value", "low", "high")
    if "attack" in scores:
        # A run is a cell as it was left, and the attacks that have measures of their own; others stand in the tables.
        scores = scores[(scores["attack"].fillna("") == "") | ~scores["metric"].isin(SHARED)]
    rows = scores.assign(**{name: scores[name].fillna("") for name in columns[:4]})
    for metric, facts, group, language, *values in zip(*(rows[name].tolist() for name in columns)):
        is_shown = facts in ("", "all") or (metric == "K" and facts in APART)
        if math.isnan(values[0]) or metric in DETAILS or not is_shown:
            continue
        name = f"{metric}_{facts}" if facts in APART else metric
        ends = ("",) if language else ("", "_low", "_high")
        for end, value in zip(ends, values):
            if not math.isnan(value):
                found["/".join(filter(None, (f"{name}{end}", group, language)))] = float(value)
    return found


def _record(folder: Path) -> Record:
    """The record of a cell; its patch, which may be large, is not read."""
    try:
        return artifacts.read_json(folder / artifacts.RECORD)
    except (OSError, ValueError):
        raise ValueError(f"{folder / artifacts.RECORD} cannot be read: run the study here before publishing") from None


def _curve(rows: list[Record]) -> list[Record]:
    """Points of a curve by step. Those of an edit are sizes that were tried, in the order in which they were."""
    points = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return [
        {**point, "step": point.get("step", place)} for place, point in enumerate(points) if point.keys() - {"step"}
    ]
