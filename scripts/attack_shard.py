"""Attacks the cells of a shard, their bases and their oracles."""

from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.attacks import shard
from mute.engine.opening import Opener
from mute.unlearn.cells import placed

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    shard.attack_shard(
        snakemake.input.cells[0],
        snakemake.input[0],
        Opener.of(snakemake.config),
        placed,
        snakemake.params.plan,
        snakemake.output[0],
        log,
    )
