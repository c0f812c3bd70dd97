"""Writes the study's numbers and curves by which DVC compares it with another."""

from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.findings import outcomes
from mute.findings.results import Results
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    results = Results.read(snakemake.input.tables, snakemake.params.plan)
    artifacts.write_json(snakemake.output.metrics, outcomes.numbers(results))
    artifacts.write_table(snakemake.output.curves, outcomes.by_block(results))
