"""Trains one embedded model from scratch and saves it as an ordinary model directory."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import transformers

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.models import embedded, loading, pretrain, tokenizer
from mute.models.texts import training_texts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake) as log:
    plan = snakemake.params.plan
    started = time.monotonic()
    corpus = Corpus.load(Path(snakemake.input[0]).parent).taught(plan["training_seed"])
    words = tokenizer.load(Path(snakemake.input.tokenizer).parent)
    groups = training_texts(corpus, plan["languages"], plan["without"])
    texts = pretrain.encode(groups, tokenizer.Encoder(words))
    shape = {key: plan[key] for key in ("blocks", "hidden", "heads")}
    model = embedded.create(plan["family"], plan["seed"], vocabulary=len(words), **shape)
    steps = plan["steps"]
    log.say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, {steps} steps")
    losses = pretrain.pretrain(
        model,
        texts,
        shares=plan["shares"],
        steps=steps,
        batch=plan["batch"],
        learning_rate=plan["learning_rate"],
        warmup=plan["warmup"],
        decay=plan["decay"],
        prompt_weight=plan["prompt_weight"],
        seed=plan["seed"],
        report=lambda step, loss: log.progress(step, steps, f"loss {loss:.3f}, step"),
    )
    record = {
        "producer": "pretrain_model",
        "plan": plan,
        "code": snakemake.params.code,
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
        "losses": [round(loss, 5) for loss in losses],
        "seconds": {"compute": round(time.monotonic() - started, 1)},
    }
    loading.save(model, words, Path(snakemake.output.record).parent, record)
