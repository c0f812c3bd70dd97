"""Cells in a content-addressed store: a shard computes those that are not there yet, one after the other.

A cell lives in <results>/cells/<digest>/; the digest covers the model's weights, the corpus, settings, code and
resolved blocks. A killed shard resumes at its next cell; one more block, seed or algorithm computes only what is new.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from mute.bands import Band
from mute.corpus.known import GUESSES
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.engine.opening import Opener
from mute.evaluate.subject import Subject
from mute.jobs import progress
from mute.jobs.logs import Log
from mute.models import patches, tokenizer
from mute.models.anatomy import Model
from mute.models.identity import identity
from mute.store import artifacts, clock
from mute.store.records import Record
from mute.unlearn import Guard, make
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import number, unlearn

CELLS = "cells"


class Opened:
    """The inputs of a job, each opened once and kept: corpus, models, oracles' answers, workbenches."""

    def __init__(self, records: Iterable[str], oracles: Iterable[str], corpus: str, opener: Opener) -> None:
        self.folders = {Path(path).parent.name: Path(path).parent for path in records}
        self.oracles = {Path(path).parent.name: Path(path) for path in oracles}
        self.corpus_folder, self.opener = Path(corpus).parent, opener
        self._kept: Record = {}

    def _once(self, key: str, make: Any) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    @property
    def corpus(self) -> Corpus:
        return self._once("corpus", lambda: Corpus.load(self.corpus_folder))

    def identity(self, trained: str) -> Record:
        """What a result depends on by content: weights and tokenizer of the model, and the corpus."""

        return self._once(f"identity {trained}", lambda: identity(self.folders[trained], self.corpus_folder))

    def model(self, trained: str) -> Model:
        return self._once(f"model {trained}", lambda: self.opener.open(self.folders[trained]))

    def encoder(self, trained: str) -> tokenizer.Encoder:
        return self._once(f"encoder {trained}", lambda: tokenizer.Encoder(tokenizer.load(self.folders[trained])))

    def oracle(self, name: str | None) -> pd.DataFrame | None:
        return None if name is None else self._once(name, lambda: artifacts.read_table(self.oracles[name]))

    def guesses(self, trained: str) -> pd.DataFrame | None:
        path = self.folders[trained] / GUESSES
        return artifacts.read_table(path) if path.exists() else None

    def bench(self, plan: Record) -> Workbench:
        """The workbench of a cell's plan, made anew when another was in use: one is kept at a time."""
        key = artifacts.digest([plan["trained"], plan["oracle"], plan["bench"]])
        if self._kept.get("bench key") != key:
            settings: Record = {**plan["bench"], "matching": Matching(**plan["bench"]["matching"])}
            trained = plan["trained"]
            corpus = self.corpus.of(plan["cell"]["training_seed"], self.folders[trained])
            self._kept["bench"] = Workbench(
                self.model(trained),
                self.encoder(trained),
                corpus,
                oracle=self.oracle(plan["oracle"]),
                guesses=self.guesses(trained),
                **settings,
            )
            self._kept["bench key"] = key
        return self._kept["bench"]


def run_shard(opened: Opened, plans: list[Record], output: str, log: Log) -> None:
    """Compute the cells that the store lacks, and write the table of all."""
    store = opened.corpus_folder.parent / CELLS
    rows, computed, lost = [], 0, 0
    with progress.counting(len(plans), "cell") as count:
        for plan in plans:
            oracle = plan["oracle"] and artifacts.sha256(opened.oracles[plan["oracle"]])
            digest = artifacts.digest({**plan, **opened.identity(plan["trained"]), "oracle": oracle})
            record, new = artifacts.stored(store / digest, lambda folder, plan=plan: _run(opened, plan, folder))
            computed += new
            rows.append({**plan["cell"], "digest": digest, **record["outcome"]})
            if record["outcome"]["status"] == "diverged":
                lost += 1
                log.note(f"cell {digest} diverged at step {record['outcome']['diverged_at']}")
            if new and record["outcome"]["reason"]:
                log.say(f"{plan['cell']['algorithm']} cannot run here: {record['outcome']['reason']}")
            count() if new else count.skip()
    log.progress(len(rows), len(rows), f"{computed} computed, {len(rows) - computed} found, cell")
    if lost:
        log.say(f"{lost} of {len(plans)} cells diverged: they stand in every table, without a score")
    artifacts.write_table(output, pd.DataFrame(rows))


def _run(opened: Opened, plan: Record, folder: Path) -> Record:
    """Unlearn one cell into `folder` and return its record."""
    before = clock.seconds()
    algorithm = make(plan["method"], plan["settings"])
    model = opened.model(plan["trained"])
    bench = opened.bench(plan)
    band = Band.named(plan["cell"]["band"], sections.depth(model))
    if band.start < bench.forget.texts.block:
        bench.restart()
    result = unlearn(bench, algorithm, band, protocol=plan["cell"]["protocol"], seed=plan["draw"])
    patches.save(folder, result.tensors, patches.FITTED if isinstance(algorithm, Guard) else patches.PATCH)
    if result.fitted:
        patches.save(folder, result.fitted, patches.FITTED)
    told = ("status", "strength", "steps", "step_size", "size", "knowledge", "retained", "damage")
    return {
        "producer": "unlearn_shard",
        "plan": {key: value for key, value in plan.items() if key != "draw"},
        "seed": plan["draw"],
        "inputs": opened.identity(plan["trained"]),
        "outcome": result.told(*told, "diverged_at", "last_loss", "reason"),
        "curve": [{key: number(value) for key, value in row.items()} for row in result.curve],
        "floor": number(bench.floor),
        "base": {key: number(value) for key, value in bench.base.items()},
        # Timings stay in the record; no table has them, so tables are the same from run to run.
        "seconds": clock.between(before, clock.seconds()),
    }


@contextmanager
def placed(model: Model, folder: Path) -> Generator[Subject]:
    """What a cell's folder makes of its model: its patch is in place, or its guard stands ready to be installed."""
    record = artifacts.read_json(folder / "record.json")
    plan = record["plan"]
    method = make(plan["method"], plan["settings"])
    if isinstance(method, Guard) and record["outcome"]["status"] != "not_applicable":
        yield Subject(model, [method.treatment(patches.load(folder, patches.FITTED))])
    else:
        # Of a method that could not run there is a file with nothing in it.
        tensors = {} if isinstance(method, Guard) else patches.load(folder)
        chained = method.guard if (folder / patches.FITTED).is_file() and tensors else None
        treatments = [chained.treatment(patches.load(folder, patches.FITTED))] if chained else []
        with patches.kept(model, tensors) as base:
            patches.put(model, tensors)
            yield Subject(model, treatments, base)
