"""Every number and computed sentence of the paper's text, in one mapping: the text itself holds none."""

from collections import Counter
from typing import Any

import pandas as pd

from mute.paper import beside, claims
from mute.paper.published import Published, checks
from mute.plotting import findings, limits
from mute.plotting.results import Number, Results


def tables(results: Results, published: Published) -> dict[str, pd.DataFrame]:
    """The paper's tables by name (docs/tables.md)."""
    tested = claims.table(results)
    return {
        "claims": claims.overall(tested),
        "tested": tested,
        "beside": beside.table(results, published),
        "checks": pd.DataFrame([vars(check) for check in checks(published)]),
        "published": published.summary(),
    }


def collect(results: Results, made: dict[str, pd.DataFrame], provenance: dict[str, str]) -> dict[str, Any]:
    """Values of the text, from the study and its `tables`: builtins that JSON can hold, rounded as they are printed."""
    return {
        "study": _study(results),
        "answer": [{"heading": heading, "text": text} for heading, text in findings.answer(results)],
        "limits": list(limits.limits(results)),
        "how": findings.HOW,
        "claims": _claims(made["claims"]),
        "tested": _tested(made["tested"]),
        "beside": _beside(made["beside"]),
        "checks": made["checks"].to_dict("records"),
        "counts": {name: _counts(made[name]["verdict"]) for name in ("claims", "checks")},
        "gates": _gates(results),
        "statuses": _statuses(results),
        "provenance": provenance,
    }


def _counts(verdicts: pd.Series) -> dict[str, int]:
    return {name: int((verdicts == name).sum()) for name in ("supports", "contradicts", "mixed", "not decided")}


def _number(value: float, low: float, high: float) -> str:
    return str(Number(float(value), float(low), float(high)))


def _study(results: Results) -> dict[str, Any]:
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
        "sources": sorted(set(cells["sources"])),
        "primary": claims.declared(results.about.get("primary", [])),
    }


def _claims(rows: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for row in rows.to_dict("records"):
        spread = _number(row.pop("median"), row.pop("lowest"), row.pop("highest"))
        found.append({**row, "spread": spread})
    return found


def _tested(rows: pd.DataFrame) -> list[dict[str, Any]]:
    keys = ("name", "where", "algorithm", "block", "n", "verdict", "sentence")
    return [
        {**{key: row[key] for key in keys}, "effect": _number(row["effect"], row["low"], row["high"])}
        for row in rows.to_dict("records")
    ]


def _beside(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per model, algorithm and view, a column per quantity and group."""
    names = ("origin", "model", "algorithm", "view", "block")
    found: dict[tuple, dict[str, Any]] = {}
    for row in rows.to_dict("records"):
        key = tuple(row[name] for name in names)
        entry = found.setdefault(key, dict(zip(names, key)))
        entry[f"{row['quantity']} {row['group']}"] = _number(row["value"], row["low"], row["high"])
    return list(found.values())


def _gates(results: Results) -> list[dict[str, Any]]:
    gates = results.tables["gates"]
    own = gates[(gates["oracle"] == "") & (gates["language"] == "")]
    return [
        {"model": r["model"], "measure": r["measure"], "value": f"{r['value']:.2f}", "passed": str(r["passed"])}
        for r in own.to_dict("records")
    ]


def _statuses(results: Results) -> list[dict[str, Any]]:
    cells = results.tables["cells"]
    keys = ("model", "algorithm", "status", "gate")
    counted = Counter(zip(*(cells[key] for key in keys)))
    return [{**dict(zip(keys, key)), "cells": count} for key, count in sorted(counted.items())]
