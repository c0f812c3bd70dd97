"""Cleaning of executed notebooks: their own cells and outputs stay, foreign cells, times and paths go.

Snakemake puts a cell before them that holds its search path, and with it the user's home; papermill adds where the
notebook lay and when each cell ran.
"""

from pathlib import Path

from mute.store import artifacts
from mute.store.records import Facts, Record

# How Snakemake tags the cell that it puts in.
FOREIGN = "snakemake-job-properties"
_KEPT = ("kernelspec", "language_info")


def publish(executed: Path, to: Path) -> None:
    """Write `executed`, a job's log, to `to` without what is not its own, and remove it. It need not be there."""
    if executed.is_file():
        artifacts.write_json(to, own(artifacts.read_json(executed)))
        executed.unlink()


def own(notebook: Facts) -> Record:
    """The notebook without foreign cells, times and places; cells are counted anew."""
    cells = [cell for cell in notebook["cells"] if FOREIGN not in cell["metadata"].get("tags", [])]
    return {
        **notebook,
        "metadata": {key: notebook["metadata"][key] for key in _KEPT if key in notebook["metadata"]},
        "cells": [_plain(cell, place) for place, cell in enumerate(cells, 1)],
    }


def _plain(cell: Facts, place: int) -> Record:
    """A cell without its times; warnings name files of this machine, and are no result."""
    kept = {**cell, "metadata": {}}
    if "outputs" in cell:
        shown = [output for output in cell["outputs"] if output.get("name") != "stderr"]
        counted = [{**o, "execution_count": place} if "execution_count" in o else o for o in shown]
        kept |= {"outputs": counted, "execution_count": place}
    return kept
