"""Evaluates and probes the patches of a shard, each into the store, from the input of its band's first block."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from mute import artifacts, clock
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.engine.band import Band, TextSet
from mute.engine.opening import Opener
from mute.evaluate.run import Evaluator
from mute.evaluate.scoring import Texts
from mute.logs import Log
from mute.models import patches, tokenizer
from mute.names import KEYS
from mute.probe import retraining
from mute.probe.run import Prober

EVALUATIONS, PROBES = "evaluations/cells", "probes"
# Fills a folder from (model, band, cell's row); the model has the patch in place.
Work = Callable[[Any, Band, Any, Path], None]


class _Shard:
    """The cells of a shard, with their models opened one at a time."""

    def __init__(self, cells: str, corpus: str, models: Opener) -> None:
        self.models = models
        self.cells = artifacts.read_table(cells)
        self.corpus_folder = Path(corpus).parent
        self.results = self.corpus_folder.parent
        self.corpus = Corpus.load(self.corpus_folder)

    def run(
        self,
        store: str,
        about: dict[str, Any],
        output: str,
        log: Log,
        opener: Callable[[Any, Any, Any], Work],
        own_about: Callable[[Any], dict[str, Any]] = lambda cell: {},
    ) -> None:
        """Compute what the store lacks. `opener` gets (model, encoder, first row) once per model and forget set.

        `own_about` says of a cell's row what its work depends on besides `about`.
        """
        rows, computed = [], 0
        opened: tuple[Any, Any, Any] | None = None

        def compute(folder: Path, cell: Any) -> dict[str, Any]:
            nonlocal opened
            key = (cell.model, cell.training_seed, cell.forget_set)
            if opened is None or opened[0] != key:
                source = self.results / "models" / f"{cell.model}-s{cell.training_seed}"
                artifacts.checked(source)
                model = self.models.open(source)
                opened = (key, model, opener(model, tokenizer.Encoder(tokenizer.load(source)), cell))
            model, work = opened[1:]
            before = clock.seconds()
            band = Band.named(str(cell.band), sections.depth(model))
            tensors = patches.load(self.results / "cells" / cell.digest)
            with patches.applied(model, tensors):
                work(model, band, cell, folder)
            seconds = clock.between(before, clock.seconds())
            return {"producer": store, "about": about, "cell": cell.digest, "seconds": seconds}

        for done, cell in enumerate(self._in_order(), 1):
            artifacts.checked(self.results / "cells" / str(cell.digest))
            own = {**about, **own_about(cell), "languages": about["languages"][cell.model], "cell": cell.digest}
            digest = artifacts.digest(own)
            _, new = artifacts.stored(self.results / store / digest, lambda folder, cell=cell: compute(folder, cell))
            computed += new
            rows.append({"cell": cell.digest, "digest": digest})
            log.progress(done, len(self.cells), f"{computed} computed, {done - computed} found, cell")
        artifacts.write_table(output, pd.DataFrame(rows).set_index("cell").loc[self.cells["digest"]].reset_index())

    def _in_order(self) -> list[Any]:
        """The cells by model, then by depth: cached states only move up, so that every block runs once for all."""

        def place(cell: Any) -> tuple:
            band = str(cell.band)
            first = int(band.split("-")[0]) if band[0].isdigit() else 0
            return cell.model, cell.training_seed, cell.forget_set, band == "full", first

        return sorted(self.cells.itertuples(), key=place)


def _place(texts: Texts, band: Band) -> None:
    """Bring cached states to the input of `band`, from below or, where they are past it or embeddings changed, anew."""
    if band.full or texts.block > band.start:
        texts.restart()
    texts.advance(band.start)


def evaluate_shard(
    cells: str, corpus: str, models: Opener, plan: dict[str, Any], code: str, output: str, log: Log
) -> None:
    """Token and answer tables of every patch of a shard."""
    shard = _Shard(cells, corpus, models)

    def opener(model: Any, encoder: Any, first: Any) -> Work:
        languages, forms = plan["languages"][first.model], shard.corpus.asked_forms
        evaluator = Evaluator(model, encoder, shard.corpus, languages, forms)

        def work(model: Any, band: Band, cell: Any, folder: Path) -> None:
            _place(evaluator.texts, band)
            tokens, answers = evaluator.evaluate()
            artifacts.write_table(folder / "tokens.parquet", tokens)
            artifacts.write_table(folder / "answers.parquet", answers)
            if band.full:
                evaluator.texts.block = sections.depth(model) + 1  # states of a changed embedding serve nobody else

        return work

    shard.run(EVALUATIONS, {**plan, "code": code}, output, log, opener)


def probe_shard(
    cells: str, corpus: str, models: Opener, plan: dict[str, Any], code: str, output: str, log: Log
) -> None:
    """Lens of every patch, and what it answers when its blocks are bypassed (one-block bands) or it is retrained."""
    shard = _Shard(cells, corpus, models)
    plan = dict(plan)
    chosen, how = {tuple(keys) for keys in plan.pop("retrained")}, plan.pop("retraining")

    def wanted(cell: Any) -> bool:
        return tuple(getattr(cell, key) for key in KEYS) in chosen

    def opener(model: Any, encoder: Any, first: Any) -> Work:
        prober = Prober(model, encoder, shard.corpus, plan["languages"][first.model], first.forget_set)
        retain: dict[str, TextSet] = {}

        def work(model: Any, band: Band, cell: Any, folder: Path) -> None:
            _place(prober.texts, band)
            # Below its first block an edit changes nothing: the base's lens holds there.
            artifacts.write_table(folder / "lens.csv", prober.lens(band.start))
            if len(band.blocks) == 1:
                mixes = {"skipped": 0.0, "mixed": plan["mix"]}
                treated = [prober.bypass(band.blocks, mix).assign(treatment=name) for name, mix in mixes.items()]
                if wanted(cell):
                    if cell.sources not in retain:
                        source = cell.sources.split("-")
                        retain[cell.sources] = retraining.texts(model, encoder, shard.corpus, source, cell.forget_set)
                    again = prober.retrained(retain[cell.sources], retraining.Retraining(**how))
                    treated.append(again.assign(treatment="retrained"))
                artifacts.write_table(folder / "bypass.parquet", pd.concat(treated))
            if band.full:
                prober.texts.block = sections.depth(model) + 1

        return work

    shard.run(
        PROBES,
        {**plan, "code": code},
        output,
        log,
        opener,
        lambda cell: {"retraining": how} if wanted(cell) else {},
    )
