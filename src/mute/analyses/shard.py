"""Analyses of the cells of a shard, and of their base beside them, each in the store by what made it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mute import analyses
from mute.analyses.base import COLUMNS, DEPENDS, Analysis, Case, CellSettings
from mute.attacks.shard import Opened, in_order
from mute.bands import Languages
from mute.engine.opening import Opener
from mute.evaluate.shards import Placed, Shard, place
from mute.jobs import progress
from mute.jobs.logs import Log
from mute.store import artifacts, clock
from mute.store.records import Facts, Record

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
        """What a result depends on besides what is looked into: of the settings, not which cells are."""
        settings = self.analysis.settings
        which = set(CellSettings.model_fields) if isinstance(settings, CellSettings) else None
        return {"analysis": self.analysis.name, "settings": settings.model_dump(exclude=which), "code": self.code}


def analyse_shard(cells: str, corpus: str, models: Opener, placed: Placed, plan: Record, output: str, log: Log) -> None:
    """Every analysis of the plan, on every cell (unless its unit is the model) and once on each base.

    Writes one row per cell and analysis, and one per base with an empty `cell` and the keys of a cell that the analysis
    depends on: the digest of its entry in the store.
    """
    shard = Shard(cells, corpus, models, placed)
    opened = Opened(shard, plan)
    made = [Prepared.of(name, own) for name, own in plan["analyses"].items()]
    rows, computed = [], 0
    cases = {}
    for cell in shard.in_order():
        model = f"{cell.model}-s{cell.training_seed}"
        for each in made:
            if each.analysis.unit == "cell" and not each.analysis.applies(cell):
                continue
            for victim in ("base", "cell") if each.analysis.unit == "cell" else ("base",):
                # A base is one case for all of its cells, but for those keys that the analysis depends on.
                of_base = victim == "base"
                own = "" if of_base else cell.digest
                depends = tuple(str(getattr(cell, key)) if key in each.analysis.depends else "" for key in DEPENDS)
                case = (each.name, model, cell.forget_set, own, depends if of_base else ("",) * len(DEPENDS))
                cases.setdefault(case, (cell, each, victim))
    with progress.counting(len(cases), "analysis") as count:
        for (name, model, forget_set, own, depends), (cell, each, victim) in cases.items():
            keys = dict(zip(DEPENDS, depends))
            further: Record = {"depends": {key: keys[key] for key in each.analysis.depends}} if any(depends) else {}
            oracle = _oracle(plan, each, model, forget_set)
            if oracle:
                further["oracle"] = opened.about(cell, "oracle", oracle)
            digest = artifacts.digest({**each.key(), **opened.about(cell, victim, model), **further})
            work = partial(_record, opened, cell, victim, model, each)
            _, new = artifacts.stored(shard.results / STORE / digest, work)
            computed += new
            row = {"trained": model, "forget_set": forget_set, "cell": own, **keys, "analysis": name}
            rows.append({**row, "digest": digest})
            count() if new else count.skip()
    log.progress(len(rows), len(rows), f"{computed} computed, {len(rows) - computed} found, analysis")
    table = pd.DataFrame(rows, columns=["trained", "forget_set", "cell", *DEPENDS, "analysis", "digest"])
    order = in_order(table, shard.cells["digest"], "trained", "forget_set", "analysis")
    artifacts.write_table(output, order)


def _oracle(plan: Facts, each: Prepared, model: str, forget_set: str) -> str | None:
    """The oracle that an analysis of a trained model reads; None for one that reads none, or where there is none."""
    return plan.get("oracles", {}).get(f"{model}.{forget_set}") if each.analysis.reads_oracle() else None


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
        name = _oracle(opened.plan, each, model, cell.forget_set)
        case = Case(first, band, Languages(cell.sources).codes, opened.oracle(name) if name else None)
        with subject.installed():
            table = each.analysis.run(subject, asked, case)
    if missing := [column for column in COLUMNS if column not in table]:
        raise ValueError(
            f"analysis {each.analysis.name!r} gives no column {', '.join(missing)}: it has {', '.join(table.columns)}, "
            f"and must have {', '.join(COLUMNS)}"
        )
    artifacts.write_table(folder / "profile.parquet", table)
    seconds = clock.between(before, clock.seconds())
    return {"producer": STORE, "about": each.key(), "victim": victim, "seconds": seconds}
