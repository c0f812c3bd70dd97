"""Where a finished study's time went, and what one more block, seed, algorithm or language would cost.

    python benchmarks/study.py results --wall-minutes 14.2 --json benchmarks/results/study.json
    python benchmarks/study.py results --before benchmarks/results/study.json

Everything is read from the records that the jobs wrote. Growth is the mean of what the study's own cells took, so it
costs no run; a language is what the models' trainings and evaluations took for each of theirs.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute.jobs import times
from mute.store import artifacts
from mute.store.clock import PHASES

WORK = PHASES[1:]  # the import belongs to the job, not to the cell


def cell_seconds(results: Path) -> dict[str, tuple[dict[str, Any], float]]:
    """Per cell: its keys, and the seconds that unlearning, evaluating and probing it took."""
    cells = {}
    for record in _records(results / "cells"):
        cells[record["_digest"]] = (record["plan"]["cell"], sum(record["seconds"][phase] for phase in WORK))
    for store in ("evaluations/cells", "attacks", "analyses"):
        for record in _records(results / store):
            if record["cell"] in cells:
                keys, spent = cells[record["cell"]]
                cells[record["cell"]] = keys, spent + sum(record["seconds"][phase] for phase in WORK)
    return cells


def _records(store: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(store.glob(f"*/{artifacts.RECORD}")):
        found.append({**artifacts.read_json(path), "_digest": path.parent.name})
    return found


def growth(results: Path) -> dict[str, float]:
    """Core-seconds that a finished study needs for one more of each."""
    cells = list(cell_seconds(results).values())
    kinds = sorted({(keys["model"], keys["algorithm"]) for keys, _ in cells})
    swept = {
        kind: [s for k, s in cells if (k["model"], k["algorithm"]) == kind and k["band"].isdigit()] for kind in kinds
    }
    swept = {kind: spent for kind, spent in swept.items() if spent}
    models = sorted({model for model, _ in swept})
    per_model = [sum(sum(s) for (m, _), s in swept.items() if m == model) for model in models]
    algorithms = sorted({algorithm for _, algorithm in swept})
    trained = {path.parent.name: artifacts.read_json(path) for path in sorted(results.glob("models/*/record.json"))}
    by_rule = times.by_rule(results)
    asked = sum(sum(by_rule[rule][p] for p in WORK) for rule in ("evaluate_model", "evaluate_shard") if rule in by_rule)
    languages = sum(len(record["plan"]["languages"]) for record in trained.values())
    training = sum(record["seconds"]["compute"] for record in trained.values())
    return {
        "one more block in every model": sum(mean(s) for s in swept.values()),
        "one more unlearning seed": sum(s for _, s in cells),
        "one more algorithm, every block of every model": sum(per_model) / max(len(algorithms), 1),
        "one more language in one model": (training + asked) / max(languages, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--wall-minutes", type=float, help="how long the study took, to be kept with the rest")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores that it had [all]")
    parser.add_argument("--before", type=Path, help="an earlier file of this command, to stand beside it")
    parser.add_argument("--json", type=Path, help="write all to this file")
    chosen = parser.parse_args()
    rules = times.by_rule(chosen.results)
    if not rules:
        raise SystemExit(f"no finished jobs in {chosen.results}/logs: run the study first")
    before = artifacts.read_json(chosen.before)["rules"] if chosen.before else {}
    print(times.terminal(chosen.results))
    if before:
        names = list(dict.fromkeys([*rules, *before]))
        print(f"{'seconds of jobs':24}{'before':>9}{'now':>9}")
        for name in names:
            then, now = (sum(r.get(name, {}).get(p, 0.0) for p in PHASES) for r in (before, rules))
            print(f"{name.replace('_', ' '):24}{then:9.0f}{now:9.0f}")
    more = growth(chosen.results)
    print("\nWhat more would cost, in seconds of one core:")
    for name, value in more.items():
        print(f"  {name:48}{value:8.0f}")
    if chosen.json:
        artifacts.write_json(
            chosen.json, {"rules": rules, "growth": more, "wall_minutes": chosen.wall_minutes, "cores": chosen.cores}
        )


if __name__ == "__main__":
    main()
