"""Runs a shard of cells: each gives a patch and a record in the store, or is found there from an earlier run."""

from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.engine.opening import Opener
from mute.unlearn import cells

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    opened = cells.Opened(
        snakemake.input.records, snakemake.input.oracles, snakemake.input.corpus[0], Opener.of(snakemake.config)
    )
    cells.run_shard(opened, snakemake.params.plan["cells"], snakemake.output[0], log)
