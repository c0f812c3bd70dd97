"""Publishes what is new or changed in a study's results to the trackers that its configuration names."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mute.jobs.job import job
from mute.publishing.publish import publish, runs_of
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    plan = snakemake.params.plan
    output = Path(snakemake.output[0])
    runs = runs_of(output.parent, plan["study"], plan["config"], snakemake.input.tables, snakemake.input.figures)
    rows = []
    for tracker, options in plan["trackers"].items():
        rows += publish(runs, tracker, output.parent / "published" / tracker, options, log)
    if not rows:
        log.say("nothing is published: publishing.to is empty, or publishing.mode disabled")
    artifacts.write_table(output, pd.DataFrame(rows, columns=["tracker", "id", "name", "content", "file"]))
