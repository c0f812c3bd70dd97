"""What a study of many attacked cells takes: gigabytes of its attacks, and seconds until a report has read its tables.

    python benchmarks/attacked.py results/attacked --json benchmarks/results/attacked.json

The folder is of a finished study of any size, with all attacks whose cost is asked for. One of its cells is multiplied
under changed keys: its entries in the store, with as many facts as are said, and its rows in every table. Tables are
read as a report reads them (`mute.findings.results`).
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute.bands import KEYS
from mute.findings.results import Results
from mute.store import artifacts

BANDS = 12  # blocks that each algorithm edits
REFERENCES = ("base", "oracle")


def attacked(results: Path) -> pd.DataFrame:
    """The rows of all shards: cell, attack, victim, and the entry in the store."""
    return pd.concat([artifacts.read_table(path) for path in sorted(results.glob("shards/*/attacks.csv"))])


def fill(results: Path, into: Path, cells: int, facts: int) -> tuple[int, int]:
    """Entries for so many cells, and for their bases and oracles; how many, and how many rows of tokens they hold."""
    rows = attacked(results)
    rows = rows[rows["status"] != "not_applicable"]
    # The cell of which most attacks can be tried.
    most = rows[rows["victim"] == "cell"]["cell"].value_counts().index[0]
    own = rows[(rows["cell"] == most) | (rows["victim"] != "cell")].drop_duplicates(["attack", "victim", "digest"])
    count = read = 0
    for number, row in enumerate(artifacts.rows(own)):
        made = into / f"template{number}"
        shutil.copytree(results / "attacks" / row.digest, made, ignore=shutil.ignore_patterns(".lock"))
        table = more_facts(artifacts.read_table(made / "tokens.parquet"), facts)
        artifacts.write_table(made / "tokens.parquet", table)
        record = artifacts.read_record(made / artifacts.RECORD) or {}
        artifacts.seal(made, record)
        times = cells if row.victim == "cell" else 1
        for cell in range(times):
            shutil.copytree(made, into / artifacts.digest([number, cell]))
        shutil.rmtree(made)
        count, read = count + times, read + times * len(table)
    return count, read


def more_facts(tokens: pd.DataFrame, facts: int) -> pd.DataFrame:
    """A token table of so many facts: its own again and again under other names, with other numbers."""
    items = tokens["item"].drop_duplicates()
    rng, parts = np.random.default_rng(0), []
    for turn in range(-(-facts // len(items))):
        kept = items[: facts - turn * len(items)]
        part = tokens[tokens["item"].isin(kept)]
        options = [None if own is None else (own + rng.normal(size=len(own))).tolist() for own in part["options"]]
        moved = {"item": part["item"] + f"-{turn}", "options": options}
        parts.append(part.assign(**moved, logprob=part["logprob"] + rng.normal(size=len(part)).astype(np.float32)))
    return pd.concat(parts, ignore_index=True)


def multiply(results: Path, into: Path, cells: int) -> list[Path]:
    """The tables of the study with so many cells in the place of its own."""
    known = artifacts.read_table(results / "tables/attacks.csv")
    tried = known[(known["victim"] == "cell") & (known["ended"] != "not_applicable")]
    chosen = tried.groupby(["algorithm", "band"]).size().idxmax()
    rng, paths = np.random.default_rng(1), []
    for path in sorted((results / "tables").glob("*.csv")):
        table = artifacts.read_table(path)
        if set(KEYS) <= set(table):
            reference = table["algorithm"].isin(REFERENCES)
            own = table[~reference & (table["algorithm"] == chosen[0]) & (table["band"].astype(str) == chosen[1])]
            parts = [table[reference]]
            for cell in range(cells if len(own) else 0):
                moved = {
                    name: own[name] * (1 + rng.normal(0, 1e-3, len(own)))
                    for name in ("value", "low", "high")
                    if name in own
                }
                parts.append(own.assign(**moved, algorithm=f"{chosen[0]}_{cell // BANDS}", band=str(cell % BANDS)))
            table = pd.concat(parts, ignore_index=True)
        paths.append(into / path.name)
        artifacts.write_table(paths[-1], table)
    return paths


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What it gives, and its seconds: by the wall, and of the processor, which a busy machine does not lengthen."""
    wall, own = time.perf_counter(), time.process_time()
    found = work()
    return found, {"wall": round(time.perf_counter() - wall, 2), "processor": round(time.process_time() - own, 2)}


def used(folder: Path) -> float:
    """Gigabytes that a folder takes on the disk, whole blocks of its files and folders."""
    return sum(path.stat().st_blocks * 512 for path in [folder, *folder.rglob("*")]) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--cells", type=int, default=600)
    parser.add_argument("--facts", type=int, default=160, help="facts to be forgotten [as in the default study]")
    parser.add_argument("--scratch", type=Path, help="where the store is made, and removed again [the system's folder]")
    parser.add_argument("--json", type=Path, help="write all to this file")
    chosen = parser.parse_args()
    names = sorted(attacked(chosen.results)["attack"].unique())
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as name:
        store, tables = Path(name) / "attacks", Path(name) / "tables"
        count, read = fill(chosen.results, store, chosen.cells, chosen.facts)
        paths = multiply(chosen.results, tables, chosen.cells)
        _, loading = timed(lambda: Results.read(paths))
        rows = sum(1 for _ in (tables / "scores.csv").open(encoding="utf-8")) - 1
        found = {
            "cells": chosen.cells,
            "attacks": len(names),
            "facts": chosen.facts,
            "store": {"entries": count, "token rows": read, "gigabytes": round(used(store), 2)},
            "tables": {
                "gigabytes": round(used(tables), 2),
                "rows of scores": rows,
                "seconds to load": loading,
            },
            "cores": os.cpu_count(),
        }
    for part, value in found.items():
        print(f"{part:10} {value}")
    if chosen.json:
        artifacts.write_json(chosen.json, found)


if __name__ == "__main__":
    main()
