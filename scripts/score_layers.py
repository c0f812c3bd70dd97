"""Scores the blocks of a model: CKA, LRDS, SADS and their variants."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.analyses.capture import score_layers
from mute.corpus.schema import Corpus
from mute.engine.opening import Opener
from mute.models import tokenizer
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    plan = snakemake.params.plan
    folder = Path(snakemake.input.record).parent
    artifacts.checked(folder)
    corpus = Corpus.load(Path(snakemake.input[0]).parent).taught(plan["training_seed"])
    table = score_layers(
        Opener.of(snakemake.config).open(folder),
        tokenizer.Encoder(tokenizer.load(folder)),
        corpus,
        plan["languages"],
        snakemake.wildcards.get("forget_set"),
        draws=plan["draws"],
        resamples=plan["resamples"],
        seed=plan["seed"],
    )
    # What it is about stands in the table: nothing is read out of the names of files.
    keys = {key: snakemake.wildcards.get(key) for key in ("trained", "forget_set")}
    artifacts.write_table(snakemake.output[0], table.assign(**keys))
