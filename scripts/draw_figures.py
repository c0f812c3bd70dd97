"""Draws every figure of the registry, in one process."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.findings.results import Results
from mute.jobs import progress
from mute.plotting import figures, style

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    plan = snakemake.params.plan
    results = Results.read(snakemake.input.tables, plan)
    for path in progress.each(snakemake.output, "figure"):
        name = Path(path).stem
        style.save(figures.draw(name, results, plan), path)
        log.note(name)
