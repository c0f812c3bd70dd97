"""Compiles the paper: the text, its values and the figures, put together in one folder, give the same PDF each time."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typst

from mute.jobs.job import job
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log, tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    for source in (snakemake.input.text, snakemake.input.values):
        shutil.copy(source, root)
    (root / "figures").mkdir()
    for figure in [*snakemake.input.figures, *snakemake.input.exhibits]:
        shutil.copy(figure, root / "figures")
    with artifacts.atomic(snakemake.output[0]) as temporary:
        temporary.write_bytes(typst.compile(root / Path(snakemake.input.text).name, root=root))
    log.say(f"open {snakemake.output[0]}")
