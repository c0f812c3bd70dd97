"""Opens one pretrained model, adapts it to the corpus, and saves it as an ordinary model directory."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.corpus import known
from mute.corpus.schema import Corpus
from mute.engine import verify
from mute.evaluate import knowing
from mute.hub import copies
from mute.models import adapt, loading, pretrain, pretrained, tokenizer
from mute.models.gguf import folder as gguf
from mute.models.texts import training_texts
from mute.store import artifacts
from mute.store.records import placeless

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MB = 10**6


def report(done: int, total: int) -> None:
    """Say how far a model is that is de-quantised."""
    if MB <= done < total:
        log.progress(done // MB, -(-total // MB), "de-quantised, MB")


with job(snakemake) as log:
    plan = snakemake.params.plan
    started = time.monotonic()
    copies.check_fetched(snakemake.input.fetched)
    folder = Path(snakemake.output.record).parent
    source, origin = pretrained.opened(
        plan["pretrained"],
        plan["revision"],
        folder.parents[1] / gguf.CACHE,
        plan["engine"]["dtype"],
        report,
    )
    model, words = loading.load(source, **plan["engine"]), tokenizer.load(source)
    encoder = tokenizer.Encoder(words)
    verify.check(model, plan["blocks"])
    tokenizer.check(encoder, model.get_input_embeddings().get_parameter("weight").shape[0])
    about = {"plan": placeless(plan), "code": snakemake.params.code, "versions": loading.versions()}
    record = {"producer": "adapt_model", **about, **origin}
    corpus = Corpus.load(Path(snakemake.input.corpus[0]).parent).taught(plan["training_seed"])
    if plan["adaptation"] is None and plan["known"] is None:
        log.say(f"{plan['pretrained']} is used as it is")
        loading.link(source, folder, record)
    elif plan["adaptation"] is None:
        table = knowing.ask(model, encoder, corpus, plan["languages"], **plan["known"])
        log.say(f"{plan['pretrained']} is used as it is; it knows {known.told(table)}")
        guesses = knowing.guesses(model, encoder, corpus, table)

        def beside(own: Path) -> None:
            artifacts.write_table(own / known.FILE, table)
            artifacts.write_table(own / known.GUESSES, guesses)

        loading.link(source, folder, record, beside)
    else:
        groups = pretrain.encode(training_texts(corpus, plan["languages"], plan["without"]), encoder)
        texts = [row for name in sorted(groups) for row in groups[name]]
        log.say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, {len(texts)} texts")
        model, losses = adapt.adapt(
            model,
            texts,
            **plan["adaptation"],
            seed=plan["seed"],
            recompute=snakemake.config.get("engine", {}).get("recompute", False),
            report=lambda step, steps, loss: log.progress(step, steps, f"loss {loss:.3f}, step"),
        )
        record["losses"] = [round(loss, 5) for loss in losses]
        record["seconds"] = {"compute": round(time.monotonic() - started, 1)}
        loading.save(model, words, folder, record)
