"""Says how near languages are: each pair of a model's, and each to the source languages of unlearning."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.models import kinship, tokenizer
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    plan = snakemake.params.plan
    encoder = tokenizer.Encoder(tokenizer.load(Path(snakemake.input.tokenizer).parent))
    corpus = Corpus.load(Path(snakemake.input[0]).parent)
    made = {
        "pairs": kinship.pairs(corpus, encoder, plan["languages"]),
        "properties": kinship.properties(corpus, encoder, plan["languages"], plan["settings"]),
    }
    for name, table in made.items():
        table.insert(0, "model", snakemake.wildcards.get("model"))
        artifacts.write_table(snakemake.output[name], table)
