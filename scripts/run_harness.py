"""Asks an export or a base model the harness' tasks, offline."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.evaluate import harness
from mute.hub import copies
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

harness.go_offline()
with job(snakemake) as log:
    copies.check_fetched(snakemake.input.fetched)
    folder = Path(snakemake.input.record).parent
    record = artifacts.checked(folder)
    # What the harness prints goes to the log: its bars would drown the study's own lines.
    log.terminal = sys.stderr
    with redirect_stdout(log.handle), redirect_stderr(log.handle):
        found = harness.evaluate(folder, snakemake.params.plan)
    status = record.get("outcome", {}).get("status", "ok")
    artifacts.write_json(snakemake.output[0], {**found, "status": status})
