"""Says how near each pair of a model's languages is: script, family, shared tokens."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.models import kinship, tokenizer
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    encoder = tokenizer.Encoder(tokenizer.load(Path(snakemake.input.tokenizer).parent))
    corpus = Corpus.load(Path(snakemake.input[0]).parent)
    pairs = kinship.pairs(corpus, encoder, snakemake.params.plan["languages"])
    artifacts.write_table(snakemake.output[0], pairs.assign(model=snakemake.wildcards.get("model")))
