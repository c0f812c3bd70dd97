"""Draws the paper's own figures, each as SVG and as PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper import figures
from mute.plotting import style

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    results = Results.read(snakemake.input.tables, snakemake.params.plan)
    published = Published(Path(snakemake.input.published[0]).parent)
    for svg, pdf in zip(snakemake.output.svg, snakemake.output.pdf):
        name = Path(svg).stem
        figure = figures.draw(name, results, published)
        style.save(figure, svg)
        style.save(figure, pdf)
        log.note(name)
