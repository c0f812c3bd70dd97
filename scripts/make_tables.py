"""Joins shards, layers, gates, attacks and analyses into the study's tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mute.jobs.job import job
from mute.bands import KEYS
from mute.corpus.schema import Corpus
from mute.evaluate import profile_knowledge, tables
from mute.findings import views
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CURVE = ("strength", "step", "loss", "knowledge", "damage", "size", "share")


def joined(paths):
    """Tables one under the other: what they are about stands in them, whatever their files are called."""
    return pd.concat([artifacts.read_table(path) for path in paths], ignore_index=True)


def named(table, trained):
    """Columns model, training_seed and oracle in place of the name of a trained model."""
    parts = [trained[name] for name in table.pop("trained")]
    for place, key in enumerate(("model", "training_seed", "oracle")):
        table.insert(place, key, [part[place] or ("" if key == "oracle" else part[place]) for part in parts])
    return table


with job(snakemake, torch=False) as log:
    plan, given = snakemake.params.plan, snakemake.input
    corpus_folder = Path(given.corpus[0]).parent
    references = tables.References(given.tokens, Corpus.load(corpus_folder))
    cells = joined(given.cells)
    gates = named(joined(given.gates), plan["trained"])
    layers = named(joined(given.layers), plan["trained"]).drop(columns="oracle")
    regions, bands = views.region_tables(layers, plan)
    analysed = joined(given.analyses).drop_duplicates(["digest", "cell"])
    # Of a base they are empty, and a column may have nothing else.
    own = ["cell", "band", "sources"]
    analysed[own] = analysed[own].astype(object).fillna("")
    analysed["table"] = analysed["analysis"].map(plan["tables"])
    profile = {
        name: tables.profile_table(cells, analysed[analysed["table"] == name], corpus_folder.parent, plan["trained"])
        for name in ("lens", "profiles")
    }
    scores = pd.concat([tables.score_references(references, plan), joined(given.scores)], ignore_index=True)
    cells, scores = tables.with_statuses(cells, scores)
    curves = [
        {**{key: getattr(cell, key) for key in KEYS}, **row}
        for cell in artifacts.rows(cells)
        for row in artifacts.read_json(corpus_folder.parent / "cells" / str(cell.digest) / "record.json")["curve"]
    ]
    made = {
        "cells": cells,
        "scores": scores,
        "layers": layers,
        "regions": regions,
        "bands": bands,
        # `gate` says of every table whether its model passed; here the number to reach stands beside.
        "gates": gates.rename(columns={"gate": "threshold"}),
        "lens": tables.lens_table(profile["lens"]),
        "profiles": profile_knowledge.with_knowledge(profile["profiles"], scores),
        "attacks": cells[[*tables.KEYS, "digest"]].merge(
            joined(given.attacks).rename(columns={"cell": "digest", "digest": "entry", "status": "ended"}), on="digest"
        )[[*tables.KEYS, "attack", "victim", "ended", "reason"]],
        "languages": joined(given.languages),
        "properties": joined(given.properties),
        "curves": pd.DataFrame(curves, columns=[*KEYS, *CURVE]),
    }
    for path in snakemake.output.tables:
        artifacts.write_table(path, tables.mark_gates(made[Path(path).stem], gates))
    made_with = pd.DataFrame(snakemake.params.made_with.items(), columns=["key", "value"])
    for old in Path(snakemake.output.study).parent.glob("study.*.csv"):
        old.unlink()
    artifacts.write_table(snakemake.output.study, made_with)
