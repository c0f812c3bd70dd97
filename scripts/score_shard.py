"""Computes every measure of a shard's cells, with intervals, from their token and answer tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.evaluate import tables
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    corpus_folder = Path(snakemake.input.corpus[0]).parent
    scores = tables.score_shard(
        artifacts.read_table(snakemake.input.cells[0]),
        artifacts.read_table(snakemake.input.evaluations[0]),
        artifacts.read_table(snakemake.input.attacks[0]),
        corpus_folder.parent,
        tables.References(snakemake.input.tokens, Corpus.load(corpus_folder)),
        snakemake.params.plan,
    )
    artifacts.write_table(snakemake.output[0], scores)
