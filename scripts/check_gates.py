"""Compares what a trained model knows with the gates of the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.evaluate import gates
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    plan = snakemake.params.plan
    corpus = Corpus.load(Path(snakemake.input[0]).parent).taught(plan["training_seed"])
    tokens = artifacts.read_table(snakemake.input.tokens)
    table = gates.check(tokens, corpus, plan["languages"], plan["gates"], without=plan["without"])
    failed = table[~table["passed"]]
    for row in failed.itertuples():
        where = f" in {row.language}" if isinstance(row.language, str) and row.language else ""
        log.say(f"below gate: {row.measure}{where} {row.value:.3f} < {row.gate:g}")
    if len(failed) and plan["gates"]["on_fail"] == "stop":
        raise ValueError(
            f"{snakemake.wildcards.get('trained')} is below {len(failed)} gates and gates.on_fail is 'stop'"
        )
    artifacts.write_table(snakemake.output[0], table.assign(trained=snakemake.wildcards.get("trained")))
