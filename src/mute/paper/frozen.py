"""Frozen results: the tables of a reference run, small enough for git, from which figures and paper are rebuilt."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from mute import artifacts
from mute.times import by_rule

FOLDER = Path("paper/frozen")
ABOUT, PROVENANCE = "about.json", "provenance.json"
PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pandas", "snakemake")


def provenance(seed: int) -> dict[str, str]:
    """What the numbers were computed with; nothing of the machine but the versions of Python and packages."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return {"seed": str(seed), "python": platform.python_version(), "packages": versions}


def freeze(results: Path, folder: Path, tables: tuple[str, ...], about: dict[str, Any], seed: int) -> list[Path]:
    """Copy a study's tables to `folder` as Parquet, with what the study says of itself and where it came from.

    Raises FileNotFoundError for a study that is not finished.
    """
    written = []
    for name in tables:
        source = results / "tables" / f"{name}.csv"
        written.append(folder / f"{name}.parquet")
        artifacts.write_table(written[-1], artifacts.read_table(source))
    spent = by_rule(results)
    seconds = sum(value for rule in spent.values() for key, value in rule.items() if key != "jobs")
    costs = {"jobs": str(round(sum(rule["jobs"] for rule in spent.values()))), "core minutes": f"{seconds / 60:.0f}"}
    digests = ", ".join(f"{path.stem} {artifacts.sha256(path)[:16]}" for path in written)
    # In its own order: figures show models as the study lists them.
    artifacts.write_text(folder / ABOUT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    artifacts.write_json(folder / PROVENANCE, {**provenance(seed), **costs, "tables": digests})
    return [*written, folder / ABOUT, folder / PROVENANCE]
