"""Exports a cell: base and patch put together as an ordinary model directory; with its guard, if it has one."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.store import artifacts
from mute.unlearn import carried

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    keys = snakemake.params.plan["cell"]
    cells = artifacts.read_table(snakemake.input.cells)
    same = (cells[list(keys)].astype(str) == [str(value) for value in keys.values()]).all(axis=1)
    digest = cells.loc[same, "digest"].item()
    folder = Path(snakemake.output[0]).parent
    base = Path(snakemake.input.base).parent
    record = carried.export_cell(base, folder.parents[1] / "cells" / digest, folder, keys)
    if record["outcome"]["status"] != "ok" or not record["finite"]:
        numbers = "" if record["finite"] else ", and not all weights are numbers"
        log.say(f"note: the status of this cell is {record['outcome']['status']}{numbers}")
