"""Writes one table of what the evaluation harness found in exports and base models."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.evaluate.harness_table import collect
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False):
    found = {Path(path).name.removesuffix(".json"): artifacts.read_json(path) for path in snakemake.input.results}
    artifacts.write_table(snakemake.output[0], collect(found, snakemake.params.plan["evaluated"]))
