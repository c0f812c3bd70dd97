"""Analyses of the cells of a shard, and of their base beside them, each in the store by what made it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mute import analyses
from mute.analyses.base import COLUMNS, Analysis
from mute.attacks.shard import Opened, in_order
from mute.engine.opening import Opener
from mute.evaluate.shards import Placed, Shard, place
from mute.jobs.logs import Log
from mute.store import artifacts, clock
from mute.store.records import Record

STORE = "analyses"


@dataclass(frozen=True)
class Prepared:
    """An analysis of the study, checked: its name there, itself with its settings, and the digest of its code."""

    name: str
    analysis: Analysis
    code: str

    @classmethod
    def of(cls, name: str, plan: Record) -> "Prepared":
        kind = analyses.load(plan["method"])
        return cls(name, kind(kind.Settings.model_validate(plan["settings"])), plan["code"])

    def key(self) -> Record:
        """What a result depends on besides what is looked into."""
        return {"analysis": self.analysis.name, "settings": self.analysis.settings.model_dump(), "code": self.code}


def analyse_shard(cells: str, corpus: str, models: Opener, placed: Placed, plan: Record, output: str, log: Log) -> None:
    """Every analysis of the plan, on every cell (unless its unit is the model) and once on each base.

    Writes one row per cell and analysis, and one per base with an empty `cell`: the digest of its entry in the store.
    """
    shard = Shard(cells, corpus, models, placed)
    opened = Opened(shard, plan)
    made = [Prepared.of(name, own) for name, own in plan["analyses"].items()]
    rows, computed = [], 0
    cases = {}
    for cell in shard.in_order():
        model = f"{cell.model}-s{cell.training_seed}"
        for each in made:
            for victim in ("base", "cell") if each.analysis.unit == "cell" else ("base",):
                own = cell.digest if victim == "cell" else ""
                # A base is one case for all of its cells.
                cases.setdefault((each.name, model, cell.forget_set, own), (cell, each, victim))
    for (name, model, forget_set, own), (cell, each, victim) in cases.items():
        digest = artifacts.digest({**each.key(), **opened.about(cell, victim, model)})
        work = partial(_record, opened, cell, victim, model, each)
        _, new = artifacts.stored(shard.results / STORE / digest, work)
        computed += new
        keys = {"trained": model, "forget_set": forget_set, "cell": own, "analysis": name}
        rows.append({**keys, "digest": digest})
        log.progress(len(rows), len(cases), f"{computed} computed, {len(rows) - computed} found, analysis")
    table = pd.DataFrame(rows, columns=["trained", "forget_set", "cell", "analysis", "digest"])
    artifacts.write_table(output, in_order(table, shard.cells["digest"], "trained", "forget_set", "analysis"))


def _record(opened: Opened, cell: Any, victim: str, model: str, each: Prepared, folder: Path) -> Record:
    """Run one analysis into a folder and return its record."""
    before = clock.seconds()
    with opened.placed(cell, victim, model) as (asked, subject, band):
        # Below its first block an edit changes nothing: the base's profile holds there.
        first = band.start if victim == "cell" else 0
        if victim == "cell":
            # With the patch in place: where embeddings changed, texts begin from what they are now.
            place(asked.texts, band)
        else:
            asked.texts.restart()
        with subject.installed():
            table = each.analysis.run(subject, asked, first)
    if missing := [column for column in COLUMNS if column not in table]:
        raise ValueError(
            f"analysis {each.analysis.name!r} gives no column {', '.join(missing)}: it has {', '.join(table.columns)}, "
            f"and must have {', '.join(COLUMNS)}"
        )
    artifacts.write_table(folder / "profile.parquet", table)
    seconds = clock.between(before, clock.seconds())
    return {"producer": STORE, "about": each.key(), "victim": victim, "seconds": seconds}
