"""Evaluates the patches of a shard: token and answer tables in the store."""

from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.engine.opening import Opener
from mute.evaluate import patched
from mute.unlearn.cells import placed

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    patched.evaluate_shard(
        snakemake.input.cells[0],
        snakemake.input[0],
        Opener.of(snakemake.config),
        placed,
        snakemake.params.plan,
        snakemake.params.code,
        snakemake.output[0],
        log,
    )
