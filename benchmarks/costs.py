"""How far the plan of a study was from what the finished study took: seconds, memory and disk by rule.

    python benchmarks/costs.py results --json benchmarks/results/costs.json
    python benchmarks/costs.py results/smoke config/smoke.yaml --json benchmarks/results/costs.json

With --json the study's figures replace those of the same name in the file, which `make plan` shows. Seconds are those
of the jobs' own clocks, and memory is the largest that Snakemake saw. Ratios are planned / measured; for memory what a
job asks of a cluster is compared, not what it is planned to take.
"""

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute.jobs.job import SECONDS
from mute.plan.costs import RULES, Costs
from mute.store import artifacts
from mute.store.clock import PHASES
from mute.study.checks import read_study

# The study whose seconds the constants of `mute.plan.costs.work` were fitted to.
CALIBRATED_ON = "default"
# Folders whose size is planned, by the rules that fill them.
FOLDERS = {
    "models": ["pretrain_model", "adapt_model"],
    "cells": ["unlearn_shard"],
    "evaluations": ["evaluate_model", "evaluate_shard"],
    "attacks": ["attack_shard"],
    "analyses": ["analyse_shard"],
    "tables": ["make_tables"],
}


def compare(costs: Costs, results: Path) -> dict[str, Any]:
    """Planned beside measured: `seconds` of all rules, `rules`, and `disk` by folder; jobs that did not run are out."""
    rules = {}
    for rule, jobs in costs.jobs.items():
        found = {name: seen for name in jobs if (seen := _measured(results, rule, name))}
        if found:
            rules[rule] = {
                "jobs": len(found),
                **_pair(sum(jobs[name].seconds for name in found), sum(s for s, _ in found.values())),
                "asked_mb": max(_asked(costs, rule, name) for name in found),
                "max_rss_mb": max(memory for _, memory in found.values()),
            }
    sums = (sum(own[key] for own in rules.values()) for key in ("planned", "measured"))
    return {"seconds": _pair(*sums), "rules": rules, "disk": _disk(costs, results)}


def _measured(results: Path, rule: str, name: str) -> tuple[float, float] | None:
    """Seconds and megabytes of one job, or None if it was not run."""
    stem = rule if name == "all" else f"{rule}/{name}"
    seconds = results / "logs" / f"{stem}{SECONDS}"
    # The longest training has a rule of its own in name alone: its files are those of the others.
    benchmark = results / "benchmarks" / f"{stem}.jsonl"
    if not seconds.exists():
        return None
    spent = artifacts.read_json(seconds)
    lines = benchmark.read_text(encoding="utf-8").splitlines() if benchmark.exists() else []
    memory = max((float(json.loads(line).get("max_rss") or 0) for line in lines), default=0.0)
    return sum(spent[phase] for phase in PHASES), memory


def _asked(costs: Costs, rule: str, name: str) -> int:
    """Megabytes that a job asks for, or what it is planned to take where its rule asks for none."""
    if rule not in RULES:
        return round(costs.jobs[rule][name].memory / 1e6)
    keys = RULES[rule]
    values = [name] if len(keys) == 1 else name.rsplit(".", 1)
    return costs.memory(rule)(SimpleNamespace(**dict(zip(keys, values))), 1)


def _disk(costs: Costs, results: Path) -> dict[str, Any]:
    found = {}
    for folder, rules in FOLDERS.items():
        jobs = [job for rule in rules for job in costs.jobs.get(rule, {}).values()]
        planned = sum(job.disk for job in jobs)
        measured = sum(path.stat().st_size for path in (results / folder).rglob("*") if path.is_file())
        if measured:
            found[folder] = _pair(planned / 1e6, measured / 1e6)
    return found


def _pair(planned: float, measured: float) -> dict[str, float]:
    return {
        "planned": round(planned, 1),
        "measured": round(measured, 1),
        "ratio": round(planned / measured, 2) if measured else 0.0,
    }


def show(found: dict[str, Any]) -> None:
    print(f"{'':18}{'jobs':>5}{'planned s':>11}{'measured s':>12}{'ratio':>7}{'asks MB':>9}{'peak MB':>9}")
    for rule, own in found["rules"].items():
        print(
            f"{rule.replace('_', ' '):18}{own['jobs']:5}{own['planned']:11.0f}{own['measured']:12.0f}"
            f"{own['ratio']:7.2f}{own['asked_mb']:9.0f}{own['max_rss_mb']:9.0f}"
        )
    whole = found["seconds"]
    print(f"{'all':23}{whole['planned']:11.0f}{whole['measured']:12.0f}{whole['ratio']:7.2f}\n")
    print(f"{'':23}{'planned MB':>11}{'measured MB':>12}{'ratio':>7}")
    for folder, own in found["disk"].items():
        print(f"{folder:23}{own['planned']:11.1f}{own['measured']:12.1f}{own['ratio']:7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of a finished study's results")
    parser.add_argument("configfile", nargs="*", help="its config files over config/config.yaml")
    parser.add_argument("--json", type=Path, help="put the study's figures into this file")
    chosen = parser.parse_args()
    study = read_study("config/config.yaml", *chosen.configfile)
    found = compare(Costs(study), chosen.results)
    if not found["rules"]:
        raise SystemExit(f"no finished jobs in {chosen.results}/logs: run the study first")
    show(found)
    if chosen.json:
        kept = artifacts.read_json(chosen.json)["studies"] if chosen.json.exists() else {}
        studies = {**kept, study.config.study.name: found}
        artifacts.write_json(chosen.json, {"calibrated_on": CALIBRATED_ON, "studies": studies})


if __name__ == "__main__":
    main()
