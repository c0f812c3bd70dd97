"""Attacks on the cells of a shard, and on their base and oracle beside them, each in the store by what made it.

One more attack computes that attack alone: an entry's name covers the attack, its settings and code, and its victim.
What an attack on base and oracle does not depend on is no part of their names, so that cells share it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mute import attacks
from mute.attacks.base import Attack, Victim
from mute.bands import KEYS, Band, Languages
from mute.engine import sections
from mute.engine.opening import Opener
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Queries
from mute.evaluate.shards import Placed, Shard, identity, place
from mute.evaluate.subject import Subject
from mute.jobs.logs import Log
from mute.models import tokenizer
from mute.models.treatment import overrides
from mute.store import artifacts, clock

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
    def of(cls, name: str, plan: dict[str, Any]) -> "Prepared":
        method = attacks.load(plan["method"])
        return cls(name, method, method.Settings.model_validate(plan["settings"]), plan["seed"], plan["code"])

    def key(self) -> dict[str, Any]:
        """What a result depends on besides its victim."""
        settings = self.settings.model_dump()
        return {"attack": self.method.name, "settings": settings, "seed": self.seed, "code": self.code}


def attacked(
    asked: Asked, subject: Subject, band: Band, prepared: Prepared, sources: tuple[str, ...]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The token table after an attack, and how that went; no number in it where the attack has failed."""
    victim = Victim(
        asked.model, asked.encoder, asked.corpus, band, sources, asked.languages, asked.forget_set, prepared.seed
    )
    attack = prepared.method(prepared.settings, victim)
    treated = subject.with_(attack)
    rows = treated.questions(asked.queries.rows)
    same = rows is asked.queries.rows
    queries = asked.queries if same else Queries(rows, asked.encoder)
    shared = same and not overrides(attack, "weights")
    if shared:
        place(asked.texts, band)
    with treated.installed():
        table = treated.ask(queries, asked.texts if shared else None).tokens()
    outcome = attack.outcome()
    if outcome["status"] != "ok":
        # What came back before it failed is no measure of what would have.
        table = table.assign(logprob=float("nan"), rank=-1, hit=False)
    return table, outcome


def attack_shard(
    cells: str, corpus: str, models: Opener, placed: Placed, plan: dict[str, Any], output: str, log: Log
) -> None:
    """Every attack that the plan names for a cell, on the cell, on its base and on its oracle.

    Writes one row per cell, attack and victim: the digest of its entry in the store, or why there is none.
    """
    shard = Shard(cells, corpus, models, placed)
    opened = Opened(shard, plan["languages"])
    made = {name: Prepared.of(name, own) for name, own in plan["attacks"].items()}
    chosen = {tuple(keys): names for keys, names in plan["chosen"]}
    rows, computed = [], 0
    # One victim of all cells after the other: an oracle is opened when its base is done with.
    for victim in VICTIMS:
        for cell in shard.in_order():
            model = victim_model(cell, victim, plan["oracles"])
            for name in chosen[tuple(getattr(cell, key) for key in KEYS)]:
                attack = made[name]
                row = {"cell": cell.digest, "attack": name, "metric": attack.method.metric, "victim": victim}
                reason = attack.method.applies(attack.settings, str(cell.band), plan["intents"][cell.algorithm])
                if model is None or reason:
                    reason = reason or "the study has no oracle for it"
                    rows.append({**row, "digest": "", "status": "not_applicable", "reason": reason})
                    continue
                depends = {} if victim == "cell" else {k: str(getattr(cell, k)) for k in attack.method.depends}
                facts = {**attack.key(), **about(shard, cell, victim, model, plan), **depends}
                digest = artifacts.digest(facts)
                work = partial(_record, shard, opened, model, cell, victim, attack)
                record, new = artifacts.stored(shard.results / STORE / digest, work)
                computed += new
                status = record["outcome"]["status"]
                if new and status != "ok":
                    log.say(f"{name} on {victim} {model}, cell {cell.digest}: {record['outcome']}")
                rows.append({**row, "digest": digest, "status": status, "reason": ""})
        log.say(f"{victim}: {computed} computed, {len(rows) - computed} found or not applicable")
    columns = ["cell", "attack", "metric", "victim", "digest", "status", "reason"]
    table = pd.DataFrame(rows, columns=columns)
    order = {digest: place for place, digest in enumerate(shard.cells["digest"])}
    table["place"] = table["cell"].map(order)
    table = table.sort_values(["place", "attack", "victim"], kind="stable").drop(columns="place")
    artifacts.write_table(output, table)


def victim_model(cell: Any, victim: str, oracles: dict[str, str | None]) -> str | None:
    """The name of the trained model that is attacked; None where there is no oracle."""
    base = f"{cell.model}-s{cell.training_seed}"
    return oracles[f"{base}.{cell.forget_set}"] if victim == "oracle" else base


def about(shard: Shard, cell: Any, victim: str, model: str | None, plan: dict[str, Any]) -> dict[str, Any]:
    """What a victim is by content, and what is asked of it."""
    asked = {"forget_set": cell.forget_set, "languages": plan["languages"][cell.model], "engine": plan["engine"]}
    if victim == "cell":
        artifacts.checked(shard.results / "cells" / str(cell.digest))
        return {"cell": cell.digest, **asked}
    return {**identity(shard.results / "models" / str(model), shard.corpus_folder), **asked}


class Opened:
    """The model that is worked on, opened where something is computed of it, and one at a time."""

    def __init__(self, shard: Shard, languages: dict[str, list[str]]) -> None:
        self.shard, self.languages = shard, languages
        self._kept: tuple[Any, Asked] | None = None

    def asked(self, model: str, cell: Any) -> Asked:
        """The forget facts of a trained model, for cells of this model and forget set."""
        key = (model, cell.forget_set)
        if self._kept is None or self._kept[0] != key:
            folder = self.shard.results / "models" / model
            artifacts.checked(folder)
            self._kept = None  # Not two at once.
            encoder, languages = tokenizer.Encoder(tokenizer.load(folder)), self.languages[cell.model]
            opened = self.shard.models.open(folder)
            self._kept = (key, Asked(opened, encoder, self.shard.corpus, languages, cell.forget_set))
        return self._kept[1]


def _record(
    shard: Shard, opened: Opened, model: str, cell: Any, victim: str, attack: Prepared, folder: Path
) -> dict[str, Any]:
    """Run one attack into a folder and return its record."""
    before = clock.seconds()
    asked = opened.asked(model, cell)
    band = Band.named(str(cell.band), sections.depth(asked.model))
    sources = Languages(cell.sources).codes
    if victim == "cell":
        with shard.placed(asked.model, shard.results / "cells" / str(cell.digest)) as subject:
            table, outcome = attacked(asked, subject, band, attack, sources)
    else:
        table, outcome = attacked(asked, Subject(asked.model), band, attack, sources)
    if band.full:
        # States of changed embeddings serve nobody else.
        asked.texts.block = sections.depth(asked.model) + 1
    artifacts.write_table(folder / "tokens.parquet", table)
    seconds = clock.between(before, clock.seconds())
    return {"producer": STORE, "about": attack.key(), "victim": victim, "outcome": outcome, "seconds": seconds}
