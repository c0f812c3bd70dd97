"""Large studies are planned in time that grows with their jobs: counted in steps, as no clock is steady enough."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import yaml

from mute.config.sections import Key, overlay, read_files
from mute.plan.costs import RULES, Costs
from mute.plan.exports import Exports
from mute.plan.rules import Plans
from mute.study.cells import Study
from mute.study.checks import checked_study

ROOT = Path(__file__).parents[2]
BASE = ROOT / "config" / "config.yaml"
# Methods of Plans that are called for every job of a shard.
OF_SHARDS = (
    "shard_inputs",
    "shard",
    "shard_code",
    "evaluations",
    "attack_inputs",
    "attacks",
    "analyses",
    "score_inputs",
    "scores",
)


def settings(seeds: int) -> dict:
    """A study of one job a cell, of which every cell is exported: 36 cells a seed."""
    every = {"algorithms": ["rmu", "slug", "simnpo"], "bands": [0, 1, 2], "sources": [["en"], ["es"]]}
    grid = {
        **every,
        "protocols": ["matched", "paper"],
        "seeds": list(range(seeds)),
        "attacks": ["bypass", "mix", "retraining"],
    }
    chosen = {"models": ["llama"], "grids": ["large"], "shard_by": list(get_args(Key))}
    return {"study": chosen, "grids": {"large": grid}, "exports": {"cells": [{"model": "llama"}]}}


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def counted(study: Study) -> Study:
    """The study, whose jobs have names that count."""
    study.__dict__["shards"] = {Counted(name): cells for name, cells in study.shards.items()}
    return study


def steps(planned: Study, call) -> int:
    """Calls of functions and comparisons of names that a call makes once it has been made before."""
    call()
    made, Counted.compared = 0, 0

    def count(frame, event, argument):
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return made + Counted.compared


def one_job(seeds: int) -> dict[str, int]:
    """Steps to plan one cell's jobs, by method; the last cell, which a search would find last."""
    study = counted(checked_study(overlay(read_files(BASE).values, settings(seeds))))
    told, exports = Plans(study), Exports(study)
    # The same cell in studies of all sizes: of the first seed.
    cell = replace(study.cells[-1], seed=0)
    shard = SimpleNamespace(shard=str(study.shard_of[cell]))
    found = {name: steps(study, lambda name=name: getattr(told, name)(shard)) for name in OF_SHARDS}
    for rule in ("unlearn_shard", "evaluate_shard", "attack_shard"):
        # A new one each time: what is kept is not counted.
        costs = Costs(study)
        len(costs.names)

        def cost(costs=costs, rule=rule):
            costs._found.clear()
            costs.cost(rule, shard.shard)

        found[f"cost of {rule}"] = steps(study, cost)
    exported = SimpleNamespace(cell=cell.name)
    found["export_inputs"] = steps(study, lambda: exports.export_inputs(exported))
    return found


def test_a_job_is_planned_in_as_many_steps_in_a_large_study_as_in_a_small_one():
    assert set(RULES) >= {"unlearn_shard", "evaluate_shard", "attack_shard"}
    assert one_job(2) == one_job(20)


# Snakemake compares files: this counts how often, beside how many jobs there are.
_COUNTING = """
import sys
import snakemake.io
from snakemake.cli import main

own, count = snakemake.io._IOFile.__hash__, 0

def counted(file):
    global count
    count += 1
    return own(file)

snakemake.io._IOFile.__hash__ = counted
try:
    main(["-n", "--quiet", "all", "--configfile", sys.argv[1]])
finally:
    print("hashed", count)
"""


def hashed(tmp_path: Path, seeds: int) -> float:
    """How often Snakemake looks a file up, for each job that it plans."""
    (tmp_path / "large.yaml").write_text(yaml.safe_dump({**settings(seeds), "exports": {"cells": []}}))
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", _COUNTING, str(tmp_path / "large.yaml")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert "hashed" in done.stdout, done.stderr
    lines = done.stdout.splitlines()
    jobs = next(int(line.split()[1]) for line in reversed(lines) if line.startswith("total "))
    return int(lines[-1].split()[1]) / jobs


def test_snakemake_looks_up_as_many_files_a_job_in_a_large_study_as_in_a_small_one(tmp_path):
    assert hashed(tmp_path, 8) == pytest.approx(hashed(tmp_path, 2), rel=0.15)
