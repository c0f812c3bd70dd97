"""Evaluates a trained model before unlearning: every form of every fact, every ability."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus import known
from mute.corpus.schema import Corpus
from mute.engine.opening import Opener
from mute.evaluate import knowing
from mute.evaluate.run import Evaluator
from mute.models import tokenizer
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    plan = snakemake.params.plan
    folder = Path(snakemake.input.record).parent
    artifacts.checked(folder)
    corpus = Corpus.load(Path(snakemake.input[0]).parent).of(plan["training_seed"], folder)
    model, encoder = Opener.of(snakemake.config).open(folder), tokenizer.Encoder(tokenizer.load(folder))
    every = range(corpus.about["forms"])
    # The form that unlearning is stopped by, too: an oracle's answers are its floor.
    forms = sorted({*corpus.about.get("asked_forms", every), corpus.about["unlearning_forms"][0]})
    tokens, answers = Evaluator(model, encoder, corpus, plan["languages"], forms).evaluate()
    if (folder / known.GUESSES).exists():
        tokens = knowing.told(tokens, artifacts.read_table(folder / known.GUESSES))
    artifacts.write_table(snakemake.output.tokens, tokens)
    artifacts.write_table(snakemake.output.answers, answers)
