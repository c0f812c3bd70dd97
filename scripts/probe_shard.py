"""Probes the patches of a shard: logit lens, and bypass of the edited blocks, in the store."""

from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.analyses import patched
from mute.engine.opening import Opener

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    patched.probe_shard(
        snakemake.input.cells[0],
        snakemake.input[0],
        Opener.of(snakemake.config),
        snakemake.params.plan,
        snakemake.params.code,
        snakemake.output[0],
        log,
    )
