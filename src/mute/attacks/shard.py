"""Attacks on the cells of a shard, and on their base and oracle beside them, each in the store by what made it.

One more attack computes that attack alone: an entry's name covers the attack, its settings and code, and its victim.
What an attack on base and oracle does not depend on is no part of their names, so that cells share it.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mute import attacks
from mute.attacks.base import Attack, Victim
from mute.bands import KEYS, Band, Languages
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.engine.opening import Opener
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Answers, Queries
from mute.evaluate.shards import CellRow, Placed, Shard, place
from mute.evaluate.subject import Subject
from mute.jobs import progress
from mute.jobs.logs import Log
from mute.models import tokenizer
from mute.models.anatomy import Model
from mute.models.identity import identity
from mute.models.treatment import overrides
from mute.store import artifacts, clock
from mute.store.records import Facts, Record

STORE = "attacks"
VICTIMS = ("cell", "base", "oracle")


@dataclass(frozen=True)
class Prepared:
    """An attack of the study, checked: its name there, its class, settings, seed and the digest of its code."""

    name: str
    method: type[Attack]
    settings: Any
    seed: int
    code: str

    @classmethod
    def of(cls, name: str, plan: Record) -> "Prepared":
        method = attacks.load(plan["method"])
        return cls(name, method, method.Settings.model_validate(plan["settings"]), plan["seed"], plan["code"])

    def lacking(self, corpus: Corpus, languages: Iterable[str]) -> dict[str, str]:
        """The languages in which it cannot be tried, and what each lacks."""
        found = ((code, self.method.lacks(self.settings, corpus, code)) for code in languages)
        return {code: reason for code, reason in found if reason}

    def key(self) -> Record:
        """What a result depends on besides its victim."""
        settings = self.settings.model_dump()
        return {"attack": self.method.name, "settings": settings, "seed": self.seed, "code": self.code}


def attacked(
    asked: Asked,
    subject: Subject,
    band: Band,
    prepared: Prepared,
    sources: tuple[str, ...],
    found: str | None = None,
) -> tuple[pd.DataFrame, Record]:
    """The token table after an attack, and how that went; no number in it where the attack has failed.

    Of the questions that it is tried on alone; where there is none, an empty table and the status `not_applicable`.
    found: what it has chosen on the cell, where base and oracle are asked alike.
    """
    victim = Victim(
        asked.model,
        asked.encoder,
        asked.corpus,
        band,
        sources,
        asked.languages,
        asked.forget_set,
        prepared.seed,
        guards=subject.treatments,
        found=found,
    )
    attack = prepared.method(prepared.settings, victim)
    lacking = prepared.lacking(asked.corpus, asked.languages)
    every = asked.queries.rows
    tried = every[~every["language"].isin(lacking)]
    reason = attack.why_not()
    tried = tried.iloc[:0] if reason else tried[attack.asks(tried)]
    if tried.empty:
        reason = reason or "; ".join(dict.fromkeys(lacking.values())) or "it can be tried on no question"
        return Answers(asked.queries).tokens().iloc[:0], {"status": "not_applicable", "reason": reason}
    treated = subject.with_(attack)
    rows = treated.questions(every if len(tried) == len(every) else tried.reset_index(drop=True))
    same = rows is every
    queries = asked.queries if same else Queries(rows, asked.encoder)
    shared = same and not overrides(attack, "weights")
    if shared:
        place(asked.texts, band)
    with treated.installed():
        table = treated.ask(queries, asked.texts if shared else None).tokens()
    if "guess" in rows:
        table = _of_each_question(table, "guess", rows["guess"].astype(float))
    if not same:
        # What was asked, by which it is told how far it is from what unlearning read.
        table = _of_each_question(table, "asked", rows["prefix"] + rows["answer"] + rows["suffix"])
    outcome = attack.outcome()
    if outcome["status"] == "ok" and table["logprob"].isna().any():
        outcome = {**outcome, "status": "diverged"}
    if outcome["status"] != "ok":
        # What came back before it failed is no measure of what would have.
        table = table.assign(logprob=float("nan"), rank=-1, hit=False)
    return table, {**outcome, "lacking": lacking} if lacking else outcome


def _of_each_question(tokens: pd.DataFrame, name: str, values: pd.Series) -> pd.DataFrame:
    """The token table with a column of its questions, which stands beside the first token of each answer."""
    first = tokens["position"] == 0
    return tokens.assign(**{name: pd.Series(values.to_numpy(), tokens.index[first]).reindex(tokens.index)})


def attack_shard(cells: str, corpus: str, models: Opener, placed: Placed, plan: Record, output: str, log: Log) -> None:
    """Every attack that the plan names for a cell, on the cell, on its base and on its oracle.

    On the base alone where the attack gives the same of the cell (`Attack.of_base`). Writes one row per cell, attack
    and victim: the digest of its entry in the store, or why there is none.
    """
    shard = Shard(cells, corpus, models, placed)
    opened = Opened(shard, plan)
    made = {name: Prepared.of(name, own) for name, own in plan["attacks"].items()}
    chosen = {tuple(keys): names for keys, names in plan["chosen"]}
    rows, computed = [], 0
    on_cell: dict[tuple[str, str], Record] = {}
    # One victim of all cells after the other: an oracle is opened when its base is done with.
    for victim in progress.each(VICTIMS, "victim"):
        for cell in progress.each(shard.in_order(), "cell"):
            model = f"{cell.model}-s{cell.training_seed}"
            if victim == "oracle":
                model = plan["oracles"][f"{model}.{cell.forget_set}"]
            for name in chosen[tuple(getattr(cell, key) for key in KEYS)]:
                attack = made[name]
                once = attack.method.of_base(attack.settings, str(cell.band))
                if once and victim != "base":
                    continue
                metric = attack.method.name if once else attack.method.metric
                row = {"cell": cell.digest, "attack": name, "metric": metric, "victim": victim}
                reason = attack.method.applies(attack.settings, str(cell.band), plan["intents"][cell.algorithm])
                told = on_cell.get((str(cell.digest), name), {}) if attack.method.as_cell else {}
                reason = reason or told.get("reason", "")
                if model is None or reason:
                    reason = reason or "the study has no oracle for it"
                    rows.append({**row, "digest": "", "status": "not_applicable", "reason": reason})
                    continue
                stands_on = () if victim == "cell" else attack.method.stands_on(attack.settings)
                depends = {key: str(getattr(cell, key)) for key in stands_on}
                about: Record = {**attack.key(), **opened.about(cell, victim, model), "depends": depends}
                # Of most attacks nothing is chosen, and their names are what they were.
                found = told.get("chosen")
                digest = artifacts.digest(about if found is None else {**about, "found": found})
                work = partial(_record, opened, cell, victim, model, attack, found)
                record, new = artifacts.stored(shard.results / STORE / digest, work)
                computed += new
                if victim == "cell":
                    on_cell[str(cell.digest), name] = record["outcome"]
                status = record["outcome"]["status"]
                if new and status != "ok":
                    log.say(f"{name} on {victim} {model}, cell {cell.digest}: {record['outcome']}")
                reason = record["outcome"].get("reason", "") if status == "not_applicable" else ""
                rows.append({**row, "digest": digest, "status": status, "reason": reason})
        log.say(f"{victim}: {computed} computed, {len(rows) - computed} found or not applicable")
    table = pd.DataFrame(rows, columns=["cell", "attack", "metric", "victim", "digest", "status", "reason"])
    artifacts.write_table(output, in_order(table, shard.cells["digest"], "attack", "victim"))


class Opened:
    """The model that is worked on, opened where something is computed of it, and one at a time."""

    def __init__(self, shard: Shard, plan: Facts) -> None:
        self.shard, self.plan = shard, plan
        self._kept: tuple[tuple[str, str], Asked] | None = None
        self._oracle: tuple[str, Model] | None = None

    def about(self, cell: CellRow, victim: str, model: str) -> Record:
        """What a victim is by content, and what is asked of it."""
        languages = self.plan["languages"][cell.model]
        asked = {"forget_set": cell.forget_set, "languages": languages, "engine": self.plan["engine"]}
        if victim == "cell":
            artifacts.checked(self.shard.results / "cells" / str(cell.digest))
            return {"cell": cell.digest, **asked}
        return {**identity(self.shard.results / "models" / model, self.shard.corpus_folder), **asked}

    def oracle(self, name: str) -> Model:
        """An oracle, opened beside the model that is worked on."""
        if self._oracle is None or self._oracle[0] != name:
            folder = self.shard.results / "models" / name
            artifacts.checked(folder)
            self._oracle = None  # Not two at once.
            self._oracle = (name, self.shard.models.open(folder))
        return self._oracle[1]

    @contextmanager
    def placed(self, cell: CellRow, victim: str, model: str) -> Generator[tuple[Asked, Subject, Band]]:
        """A victim in its place, the forget facts that it is asked, and the cell's band."""
        key = (model, cell.forget_set)
        if self._kept is None or self._kept[0] != key:
            folder = self.shard.results / "models" / model
            artifacts.checked(folder)
            self._kept = None  # Not two at once.
            encoder, languages = tokenizer.Encoder(tokenizer.load(folder)), self.plan["languages"][cell.model]
            opened, corpus = self.shard.models.open(folder), self.shard.corpus.of(cell.training_seed, folder)
            self._kept = (key, Asked(opened, encoder, corpus, languages, cell.forget_set))
        asked = self._kept[1]
        depth = sections.depth(asked.model)
        band = Band.named(str(cell.band), depth)
        if victim == "cell":
            with self.shard.placed(asked.model, self.shard.results / "cells" / str(cell.digest)) as subject:
                yield asked, subject, band
        else:
            yield asked, Subject(asked.model), band
        if band.full:
            # States of changed embeddings serve nobody else.
            asked.texts.block = depth + 1


def in_order(table: pd.DataFrame, cells: Iterable[str], *keys: str) -> pd.DataFrame:
    """Rows in the order of a shard's cells, those of no cell first, and by other keys."""
    place = {digest: place for place, digest in enumerate(["", *cells])}
    by = ["cell", *keys]
    return table.sort_values(by, kind="stable", key=lambda own: own.map(place) if own.name == "cell" else own)


def _record(
    opened: Opened, cell: CellRow, victim: str, model: str, attack: Prepared, found: str | None, folder: Path
) -> Record:
    """Run one attack into a folder and return its record."""
    before = clock.seconds()
    with opened.placed(cell, victim, model) as (asked, subject, band):
        table, outcome = attacked(asked, subject, band, attack, Languages(cell.sources).codes, found)
    artifacts.write_table(folder / "tokens.parquet", table)
    seconds = clock.between(before, clock.seconds())
    return {"producer": STORE, "about": attack.key(), "victim": victim, "outcome": outcome, "seconds": seconds}
