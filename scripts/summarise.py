"""Writes the first page of the report: what the study found, in words computed from its tables, and its figures."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute import jobs
from mute.plotting import executed, summary
from mute.plotting.results import Results

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with jobs.job(snakemake, torch=False) as log:
    results = Results.read(snakemake.input.tables, snakemake.params.plan)
    summary.write(results, snakemake.input.figures, snakemake.output.summary, snakemake.output.page)
    for path in map(Path, snakemake.params.executed):
        executed.publish(path, Path(snakemake.output.page).parent / "notebooks" / path.name)
    log.say(f"open {snakemake.output.page}")
