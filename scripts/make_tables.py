"""Joins shards, layers, gates, attacks and analyses into the study's tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mute.jobs.job import job
from mute.corpus.schema import Corpus
from mute.evaluate import tables
from mute.findings import views
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def joined(paths, column=None):
    """Tables one under the other; `column` is filled with the name that each file or folder bears."""
    read = [(Path(path), artifacts.read_table(path)) for path in paths]
    return pd.concat([t if column is None else t.assign(**{column: column_of(p)}) for p, t in read], ignore_index=True)


def column_of(path):
    return path.parent.name if path.name == "lens.csv" else path.name.removesuffix(".csv").split(".")[0]


def named(table, trained):
    """Columns model, training_seed and oracle in place of the name of a trained model."""
    parts = [trained[name] for name in table.pop("trained")]
    for place, key in enumerate(("model", "training_seed", "oracle")):
        table.insert(place, key, [part[place] or ("" if key == "oracle" else part[place]) for part in parts])
    return table


# What the name of a tuning's file is made of.
TUNING = ("trained", "algorithm", "forget_set", "sources", "retain")

with job(snakemake, torch=False) as log:
    plan, given = snakemake.params.plan, snakemake.input
    corpus_folder = Path(given.corpus[0]).parent
    references = tables.References(given.tokens)
    cells = joined(given.cells)
    gates = named(joined(given.gates), plan["trained"])
    layers = pd.concat(
        [
            named(
                artifacts.read_table(p).assign(
                    trained=Path(p).name.split(".")[0], forget_set=Path(p).name.split(".")[1]
                ),
                plan["trained"],
            )
            for p in given.layers
        ]
    ).drop(columns="oracle")
    regions, bands = views.region_tables(layers, plan)
    analysed = joined(given.analyses).fillna({"cell": ""}).drop_duplicates(["digest", "cell"])
    analysed["table"] = analysed["analysis"].map(plan["tables"])
    profile = {
        name: tables.profile_table(cells, tables.profiles(analysed, corpus_folder.parent, name), plan["trained"])
        for name in ("lens", "profiles")
    }
    scores = pd.concat([tables.score_references(Corpus.load(corpus_folder), references, plan), joined(given.scores)])
    tunings = [artifacts.read_json(path) for path in given.tunings]
    trials = [
        {
            **dict(zip(TUNING, Path(path).name.removesuffix(".json").split("."))),
            "setting": t["setting"],
            "chosen": t["strength"],
            **trial,
        }
        for path, t in zip(given.tunings, tunings)
        for trial in t["trials"]
    ]
    columns = [
        *TUNING,
        "setting",
        "chosen",
        "strength",
        "band",
        "status",
        "steps",
        "diverged_at",
        "knowledge",
        "retained",
    ]
    curves = [
        {**{key: getattr(cell, key) for key in tables.KEYS}, **row}
        for cell in cells.itertuples()
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
        "profiles": profile["profiles"],
        "attacks": cells[[*tables.KEYS, "digest"]].merge(
            joined(given.attacks).rename(columns={"cell": "digest", "digest": "entry", "status": "ended"}), on="digest"
        )[[*tables.KEYS, "attack", "victim", "ended", "reason"]],
        "tuning": named(pd.DataFrame(trials, columns=columns), plan["trained"]),
        "languages": pd.concat(
            [
                pd.DataFrame(columns=["model"]),
                *(artifacts.read_table(path).assign(model=Path(path).parent.name) for path in given.languages),
            ]
        ),
        "curves": pd.DataFrame(curves, columns=[*tables.KEYS, "step", "loss", "knowledge", "size"]),
    }
    for path in snakemake.output.tables:
        artifacts.write_table(path, tables.mark_gates(made[Path(path).stem], gates))
    made_with = pd.DataFrame(snakemake.params.made_with.items(), columns=["key", "value"])
    for old in Path(snakemake.output.study).parent.glob("study.*.csv"):
        old.unlink()
    artifacts.write_table(snakemake.output.study, made_with)
