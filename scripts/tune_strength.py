"""Chooses the strength of one algorithm for the `matched` protocol."""

from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.bands import Languages
from mute.engine.opening import Opener
from mute.store import artifacts
from mute.unlearn import cells, make, tune

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    plan = snakemake.params.plan
    algorithm = make(plan["method"], plan["settings"])
    bench = cells.Opened(
        snakemake.input.records, snakemake.input.oracles, snakemake.input.corpus[0], Opener.of(snakemake.config)
    ).bench(plan)
    chosen = tune.tune(bench, algorithm, plan["bands"], plan["depth"], plan["seed"])
    log.say(f"{algorithm.settings.strength} {chosen['strength']:g} of {algorithm.settings.strengths}")
    if all(trial["status"] == "diverged" for trial in chosen["trials"]):
        log.say("every strength that was tried diverged: give smaller ones")
    keys = {
        "trained": plan["trained"],
        "algorithm": plan["algorithm"],
        "forget_set": plan["bench"]["forget_set"],
        "sources": str(Languages.of(plan["bench"]["sources"])),
        "retain": plan["bench"]["retain"],
        "setting": algorithm.settings.strength,
    }
    artifacts.write_json(snakemake.output[0], {**chosen, **keys})
