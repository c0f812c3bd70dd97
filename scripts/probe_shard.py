"""Probes the patches of a shard: logit lens, and bypass of the edited blocks, in the store."""

from typing import TYPE_CHECKING

from mute import jobs
from mute.engine.opening import Opener
from mute.probe import patched

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with jobs.job(snakemake) as log:
    patched.probe_shard(
        snakemake.input.cells[0],
        snakemake.input[0],
        Opener.of(snakemake.config),
        snakemake.params.plan,
        snakemake.params.code,
        snakemake.output[0],
        log,
    )
