"""Evaluates a trained model before unlearning: every form of every fact, every ability, lens, bypass of each block."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mute.jobs.job import job
from mute.analyses.lens import Prober
from mute.attacks import retraining
from mute.bands import RETRAINED
from mute.corpus.schema import Corpus
from mute.engine.opening import Opener
from mute.evaluate.run import Evaluator
from mute.models import tokenizer
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    plan = snakemake.params.plan
    folder = Path(snakemake.input.record).parent
    artifacts.checked(folder)
    corpus = Corpus.load(Path(snakemake.input[0]).parent)
    model, encoder = Opener.of(snakemake.config).open(folder), tokenizer.Encoder(tokenizer.load(folder))
    every = range(corpus.about["forms"])
    # The form that unlearning is stopped by, too: an oracle's answers are its floor.
    forms = sorted({*corpus.about.get("asked_forms", every), corpus.about["unlearning_forms"][0]})
    tokens, answers = Evaluator(model, encoder, corpus, plan["languages"], forms).evaluate()
    artifacts.write_table(snakemake.output.tokens, tokens)
    artifacts.write_table(snakemake.output.answers, answers)
    log.note("evaluated")
    lens, bypassed = [], []
    for forget_set in plan["forget_sets"]:
        prober = Prober(model, encoder, corpus, plan["languages"], forget_set)
        lens.append(prober.lens().assign(forget_set=forget_set))
        for block in range(model.config.num_hidden_layers):
            prober.texts.advance(block)
            bypassed.append(prober.bypass((block,)).assign(forget_set=forget_set, band=str(block)))
        if forget_set in plan["retrained"]:
            retain = retraining.texts(model, encoder, corpus, plan["sources"], forget_set)
            table, course = prober.retrained(retain, retraining.Retraining(**plan["retraining"]))
            if course.status != "ok":
                log.say(f"retraining diverged at step {course.diverged_at}: it is compared with nothing")
            bypassed.append(table.assign(forget_set=forget_set, band=RETRAINED))
    table = pd.concat(lens).assign(trained=snakemake.wildcards.get("trained"))
    artifacts.write_table(snakemake.output.lens, table)
    artifacts.write_table(snakemake.output.bypass, pd.concat(bypassed))
