"""The values of the paper's text: one mapping of every number and computed sentence that it prints."""

import math
from collections.abc import Sequence

import pandas as pd
import yaml

from mute.bands import Languages
from mute.findings import claims, findings, lead, limits, primary, regimes, trainings, transfer
from mute.findings.results import Number, Results
from mute.paper import figures, headline, layout
from mute.store.records import Facts, Record


def collect(
    results: Results, made: dict[str, pd.DataFrame], provenance: Facts, elsewhere: Sequence[Record] = ()
) -> Record:
    """Values of the text, from the study and its `tables`: builtins that JSON can hold, rounded as they are printed.

    provenance: where the tables came from, with `config` (of record) and `costs` (by rule) where they are known.
    elsewhere: what `mute.paper.elsewhere` read of other studies.
    """
    provenance = dict(provenance)
    config, costs = provenance.pop("config", {}), provenance.pop("costs", [])
    return {
        "study": _study(results),
        "answer": regimes.answer(made["regimes"]),
        "lead": [text for text in (lead.language_or_block(made["variance"]), lead.bands(results)) if text],
        "headline": headline.rows(results),
        "regimes": _regimes(made["regimes"]),
        "limits": list(limits.limits(results)),
        "how": findings.how(results),
        "claims": made["claims"].to_dict("records"),
        "means": _effects(made["means"]),
        "primary": _primary(made["primary"]),
        "variance": _variance(made["variance"]),
        "predictions": _rounded(made["predictions"]),
        "error_rates": _error_rates(made["error_rates"]),
        "transfer": _transfer(made["transfer"], made["kinship"]),
        "exhibits": layout.printed(made),
        "beyond": made["beyond"].to_dict("records"),
        "beside": _beside(made["beside"]),
        "checks": made["checks"].to_dict("records"),
        "counts": {
            "claims": _counts(_decisive(made["claims"])["verdict"]),
            "checks": _counts(made["checks"]["verdict"]),
        },
        "gates": _gates(results),
        "statuses": _statuses(results),
        "trained": len({(c.model, c.training_seed) for c in trainings.passed(results, trainings.main_cases(results))}),
        "elsewhere": list(elsewhere),
        "captions": {name: figures.load(name).CAPTION for name in figures.names() if figures.has(name, results)},
        "provenance": provenance,
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True, default_flow_style=None, width=60),
        "costs": costs,
    }


def _counts(verdicts: pd.Series) -> dict[str, int]:
    return {
        name: int((verdicts == name).sum()) for name in ("supports", "contradicts", "mixed", "not decided", "no band")
    }


def _decisive(rows: pd.DataFrame) -> pd.DataFrame:
    """Each claim under the protocol that decides it."""
    return rows[rows["decides"].astype(bool)]


def _number(value: float, low: float, high: float) -> str:
    return str(Number(float(value), float(low), float(high)))


def _study(results: Results) -> Record:
    models = results.about.get("models", {})
    cells = results.tables["cells"]
    return {
        "name": str(results.about.get("study", "")),
        "cells": len(cells),
        "models": [
            {"name": name, "blocks": about["blocks"], "languages": " ".join(about["languages"])}
            for name, about in models.items()
        ],
        "algorithms": sorted(set(cells["algorithm"])),
        "protocols": sorted(set(cells["protocol"])),
        "forget_sets": sorted(set(cells["forget_set"])),
        "main": Languages(results.main_setting[0]).words if results.main_setting else "",
        "primary": claims.declared(results.about.get("primary", [])),
    }


def _effects(rows: pd.DataFrame) -> list[Record]:
    """Rows with their effect and its interval as one text."""
    effects = [_number(*each) for each in zip(rows["effect"], rows["low"], rows["high"])]
    p = [_decimals(float(value)) for value in rows["p"]]
    return rows.assign(effect=effects, p=p).drop(columns=["low", "high"]).to_dict("records")


def _variance(rows: pd.DataFrame) -> list[Record]:
    """A row per algorithm and architecture, a column per term."""
    found: dict[tuple, Record] = {}
    for row in rows.to_dict("records"):
        key = (row["algorithm"], row["model"])
        entry = found.setdefault(key, {"algorithm": key[0], "model": key[1], "n": str(row["n"])})
        entry[row["term"]] = _number(row["share"], row["low"], row["high"])
    return list(found.values())


def _error_rates(rows: pd.DataFrame) -> list[Record]:
    """Shares of drawn studies that say what is so, and the contrary, with their intervals."""
    return [
        {
            **{key: str(row[key]) for key in ("claim", "world", "studies", "not decided", "mixed")},
            **{key: _number(row[key], row[f"{key}_low"], row[f"{key}_high"]) for key in ("right", "wrong")},
        }
        for row in rows.to_dict("records")
    ]


def _regimes(rows: pd.DataFrame) -> list[Record]:
    keys = ("protocol", "algorithm", "model", "regime", "words", "n", "shows", "fails", "open", "anywhere")
    return [
        {
            **{key: str(row[key]) for key in keys},
            "share": _number(row["shows"] / row["n"], row["low"], row["high"]) if row["n"] else "–",
        }
        for row in rows.to_dict("records")
    ]


def _primary(rows: pd.DataFrame) -> list[Record]:
    return [
        {
            **{key: str(row[key]) for key in ("outcome", "algorithm", "model", "protocol", "test", "unit", "n")},
            "value": str(primary.number(row)),
            **{key: _decimals(row[key]) for key in ("detectable", "p", "holm")},
            **{key: row[key] for key in ("verdict", "agreed")},
        }
        for row in rows.to_dict("records")
    ]


def _rounded(rows: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {k: _decimals(v) if isinstance(v, float) else str(v) for k, v in r.items()} for r in rows.to_dict("records")
    ]


def _decimals(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if 0 <= value < 0.001 else f"{value:.3f}".replace("-", "−")


def _transfer(matrix: pd.DataFrame, kinship: pd.DataFrame) -> Record:
    """The matrix in a few numbers, and what explains it."""
    itself, others = map(str, transfer.over_languages(matrix))
    known = {"languages": matrix["source"].nunique(), "itself": itself, "others": others}
    return {**known, "most": transfer.most_left(matrix), "terms": _rounded(kinship)}


def _beside(rows: pd.DataFrame) -> list[Record]:
    """A row per model, algorithm and view, a column per quantity and group."""
    names = ("origin", "model", "algorithm", "view", "block")
    found: dict[tuple, Record] = {}
    for row in rows.to_dict("records"):
        key = tuple(row[name] for name in names)
        entry = found.setdefault(key, dict(zip(names, key)))
        entry[f"{row['quantity']} {row['group']}"] = _number(row["value"], row["low"], row["high"])
    return list(found.values())


def _gates(results: Results) -> list[Record]:
    gates = results.tables["gates"]
    own = gates[(gates["oracle"] == "") & (gates["language"] == "")]
    each = zip(*(own[key] for key in ("model", "training_seed", "measure", "value", "passed")))
    keys = ("model", "seed", "measure", "value", "passed")
    return [dict(zip(keys, (m, str(s), measure, f"{value:.2f}", str(ok)))) for m, s, measure, value, ok in each]


def _statuses(results: Results) -> list[Record]:
    keys = ["model", "algorithm", "protocol", "status", "gate"]
    cells = results.tables["cells"].assign(cells=1)
    return cells.groupby(keys, as_index=False)["cells"].sum().to_dict("records")
