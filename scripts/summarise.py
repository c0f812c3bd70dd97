"""Writes the first page of the report: what the study found, in words computed from its tables, and its figures."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.findings.results import Results
from mute.plotting import executed, summary

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    results = Results.read(snakemake.input.tables, snakemake.params.plan)
    summary.write(results, snakemake.input.figures, snakemake.output.summary, snakemake.output.page)
    for path in map(Path, snakemake.params.executed):
        executed.publish(path, Path(snakemake.output.page).parent / "notebooks" / path.name)
    log.say(f"open {snakemake.output.page}")
