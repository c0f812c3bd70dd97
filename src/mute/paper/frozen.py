"""Frozen results: the tables of a reference run, small enough for git, from which figures and paper are rebuilt."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mute.jobs.times import by_rule
from mute.store import artifacts
from mute.store.clock import PHASES
from mute.store.records import Facts

FOLDER = Path("paper/frozen")
ABOUT, PROVENANCE = "about.json", "provenance.json"


def provenance(records: Iterable[Path | str], seed: int) -> dict[str, str]:
    """What the numbers were computed with, as the models' records say: nothing of the machine but versions."""
    found = {f"{name} {version}" for path in records for name, version in artifacts.read_json(path)["versions"].items()}
    return {"seed": str(seed), "versions": ", ".join(sorted(found))}


def freeze(results: Path, folder: Path, tables: tuple[str, ...], about: Facts, config: Facts) -> list[Path]:
    """Copy a study's tables to `folder` as Parquet, with what the study says of itself and where it came from.

    Raises FileNotFoundError for a study that is not finished.
    """
    written = []
    for name in tables:
        source = results / "tables" / f"{name}.csv"
        written.append(folder / f"{name}.parquet")
        artifacts.write_table(written[-1], artifacts.read_table(source))
    # A table that studies no longer have would be read beside the others.
    for path in set(folder.glob("*.parquet")) - set(written):
        path.unlink()
    records = sorted(results.glob("models/*/record.json"))
    spent = by_rule(results)
    seconds = sum(value for rule in spent.values() for key, value in rule.items() if key != "jobs")
    jobs = round(sum(rule["jobs"] for rule in spent.values()))
    cells = Counter(artifacts.read_table(results / "tables/cells.csv")["status"])
    counted = ", ".join(f"{count} {status}" for status, count in sorted(cells.items()))
    costs = {
        "cells": f"{cells.total()}: {counted}",
        "jobs": str(jobs),
        "core minutes": f"{seconds / 60:.0f}",
        "costs": [
            ["rule", "jobs", *PHASES],
            *([rule, *(f"{v:.0f}" for v in own.values())] for rule, own in spent.items()),
        ],
        "config": config,
    }
    digests = ", ".join(f"{path.stem} {artifacts.sha256(path)[:16]}" for path in written)
    # In its own order: figures show models as the study lists them.
    artifacts.write_text(folder / ABOUT, json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    artifacts.write_json(
        folder / PROVENANCE, {**provenance(records, config["study"]["seed"]), **costs, "tables": digests}
    )
    return [*written, folder / ABOUT, folder / PROVENANCE]
