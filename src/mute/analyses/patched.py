"""Probes the patches of a shard."""

from pathlib import Path
from typing import Any

import pandas as pd

from mute.analyses.lens import Prober
from mute.attacks import retraining
from mute.bands import KEYS, Band, Languages
from mute.engine import sections
from mute.engine.band import TextSet
from mute.engine.opening import Opener
from mute.evaluate.shards import Shard, Work, place
from mute.jobs.logs import Log
from mute.store import artifacts

STORE = "probes"


def probe_shard(
    cells: str, corpus: str, models: Opener, plan: dict[str, Any], code: str, output: str, log: Log
) -> None:
    """Lens of every patch, and what it answers when its blocks are bypassed (one-block bands) or it is retrained."""
    shard = Shard(cells, corpus, models)
    plan = dict(plan)
    chosen, how = {tuple(keys) for keys in plan.pop("retrained")}, plan.pop("retraining")

    def wanted(cell: Any) -> bool:
        return tuple(getattr(cell, key) for key in KEYS) in chosen

    def opener(model: Any, encoder: Any, first: Any) -> Work:
        prober = Prober(model, encoder, shard.corpus, plan["languages"][first.model], first.forget_set)
        retain: dict[str, TextSet] = {}

        def work(model: Any, band: Band, cell: Any, folder: Path) -> dict[str, Any]:
            more: dict[str, Any] = {}
            place(prober.texts, band)
            # Below its first block an edit changes nothing: the base's lens holds there.
            artifacts.write_table(folder / "lens.csv", prober.lens(band.start))
            if band.single:
                mixes = {"skipped": 0.0, "mixed": plan["mix"]}
                treated = [prober.bypass(band.blocks, mix).assign(treatment=name) for name, mix in mixes.items()]
                if wanted(cell):
                    if cell.sources not in retain:
                        source = list(Languages(cell.sources).codes)
                        retain[cell.sources] = retraining.texts(model, encoder, shard.corpus, source, cell.forget_set)
                    again, course = prober.retrained(retain[cell.sources], retraining.Retraining(**how))
                    more["retraining"] = {"status": course.status, **vars(course)}
                    if course.status != "ok":
                        log.say(f"cell {cell.digest}: retraining diverged at step {course.diverged_at}")
                    treated.append(again.assign(treatment="retrained"))
                artifacts.write_table(folder / "bypass.parquet", pd.concat(treated))
            if band.full:
                prober.texts.block = sections.depth(model) + 1
            return more

        return work

    shard.run(
        STORE,
        {**plan, "code": code},
        output,
        log,
        opener,
        lambda cell: {"retraining": how} if wanted(cell) else {},
    )
