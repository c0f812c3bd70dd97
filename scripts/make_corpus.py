"""Makes the corpus from its source, or stops with everything that is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus import romanised, sound, sources
from mute.hub import copies
from mute.store import pointers

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    pointers.check(snakemake.input)
    copies.check_fetched(snakemake.input.fetched)
    plan = snakemake.params.plan
    source = sources.load(plan["source"])
    settings = source.Settings.model_validate(plan["settings"])
    corpus = romanised.build(source, settings, plan["languages"], plan["seed"])
    sound.check(corpus, plan["forget_sets"])
    corpus.save(Path(snakemake.output.about).parent)
    log.say(f"{len(corpus.facts)} facts in {len(plan['languages'])} languages, {len(corpus.lines)} other lines")
