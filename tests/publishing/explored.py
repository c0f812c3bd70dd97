"""A small study for the explorer's tests: its tables, a folder of results with answers, how a page's data are read."""

import json
from pathlib import Path

import pandas as pd

import made_up
from mute.findings.tables import TABLES
from mute.store import artifacts

# What would run, if text were taken for markup or for code; and languages that are not written in Latin letters.
HOSTILE = '</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'\\\u2028${window.hacked=1}'
ARABIC, JAPANESE = "ما لون المركب؟", "化合物の色は何ですか。"
SPOKEN = {"de": "ar", "xx": "ja"}


def taken(path: Path) -> object:
    """What a file of data hands to the page."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(", '")
    assert head.startswith("MUTE.take('")
    assert rest.endswith("');\n")
    return json.loads(rest.removesuffix("');\n").replace("\\'", "'").replace("\\\\", "\\"))


def tables() -> dict[str, pd.DataFrame]:
    """The made-up study with Arabic and Japanese held out."""
    found = made_up.make_tables(made_up.THE_PAPER)
    del found["profiles"]
    for name, table in found.items():
        own = table.assign(language=table["language"].replace(SPOKEN)) if "language" in table else table
        # Columns that the made-up study has no use for.
        found[name] = own.reindex(columns=[*own.columns, *(c for c in TABLES[name] if c not in own)])
    return found


def about() -> dict:
    return {
        **made_up.ABOUT,
        "models": {"llama": {**made_up.ABOUT["models"]["llama"], "languages": ["en", "es", "ar", "ja"]}},
        "algorithms": {
            "rmu": {"method": "rmu", "family": "representation", "paper": "Li et al. 2024", "intent": "removal"},
            "gradient_ascent": {"method": "gradient_ascent", "family": "divergence", "paper": "", "intent": "removal"},
        },
    }


def record(cell: dict, status: str = "ok") -> dict:
    """A cell's record, as far as pages show it."""
    curve = [{"step": step, "loss": 1 / step, "strength": 0.1} for step in (1, 2, 3)]
    curve[-1] |= {"knowledge": 0.1, "size": 0.02}
    outcome = {"status": status, "knowledge": 0.1, "size": 0.02, "steps": 3, "reason": ""}
    plan = {"cell": cell, "trained": "llama-s0", "settings": {"note": HOSTILE}}
    return {"plan": plan, "outcome": outcome, "curve": curve, "producer": "unlearn_shard"}


def results(folder: Path, *, complete: bool = True) -> Path:
    """A folder of results of that study: cells, corpus and answers; complete: tables, too."""
    made = tables()
    cells = made["cells"].assign(digest=[f"{i:020x}" for i in range(len(made["cells"]))])
    for cell in cells.to_dict("records"):
        keys = {key: cell[key] for key in ("model", "training_seed", "algorithm", "band", "sources", "retain")}
        keys |= {key: cell[key] for key in ("forget_set", "protocol", "seed")}
        artifacts.write_json(folder / "cells" / cell["digest"] / "record.json", record(keys))
    texts, said = [], []
    for item in ("one", "two"):
        for code, question in (("en", HOSTILE), ("es", "¿De qué color es?"), ("ar", ARABIC), ("ja", JAPANESE)):
            row = {"item": item, "language": code, "form": 0}
            texts.append({**row, "prefix": f"{question} ", "answer": "赤" if code == "ja" else "أحمر"})
            said.append({"set": "facts", **row, "text": "赤" if code == "ja" else "أحمر", "kind": "right"})
    facts = pd.DataFrame([{"item": item, "forget_sets": "domain|subject"} for item in ("one", "two")])
    artifacts.write_table(folder / "corpus" / "facts.csv", facts)
    artifacts.write_table(folder / "corpus" / "texts.parquet", pd.DataFrame(texts))
    artifacts.write_table(folder / "evaluations" / "llama-s0" / "answers.parquet", pd.DataFrame(said))
    after = pd.DataFrame(said).assign(text=HOSTILE, kind="neither")
    artifacts.write_table(folder / "evaluations" / "cells" / ("e" * 20) / "answers.parquet", after)
    evaluated = pd.DataFrame([{"cell": digest, "digest": "e" * 20} for digest in cells["digest"]])
    artifacts.write_table(folder / "shards" / "llama" / "evaluations.csv", evaluated)
    if complete:
        for name, table in {**made, "cells": cells}.items():
            artifacts.write_table(folder / "tables" / f"{name}.csv", table)
        artifacts.write_json(folder / "tables" / "about.json", about())
    else:
        scores = made["scores"]
        own = scores[(scores["algorithm"] == "rmu") & (scores["band"] == "1")]
        artifacts.write_table(folder / "shards" / "llama" / "scores.parquet", own)
        layers = made["layers"].drop(columns=["model", "training_seed"]).assign(trained="llama-s0")
        artifacts.write_table(folder / "layers" / "llama-s0.domain.csv", layers)
    return folder
