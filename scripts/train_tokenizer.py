"""Trains the tokenizer of one model on everything that its languages say."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.models import tokenizer
from mute.models.texts import tokenizer_texts
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    plan = snakemake.params.plan
    corpus = Corpus.load(Path(snakemake.input[0]).parent)
    texts = tokenizer_texts(corpus, plan["languages"])
    segments = (part for text in texts for part in tokenizer.parts(*text))
    trained = tokenizer.train(segments, plan["vocabulary"])
    folder = Path(snakemake.output[0]).parent
    with artifacts.atomic_files(folder) as scratch:
        trained.save_pretrained(scratch)
    artifacts.seal(folder, {"vocabulary": len(trained)})
    log.note(f"{len(trained)} entries")
