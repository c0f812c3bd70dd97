"""The benchmarks run: at the shapes of published models too, made small. What they measure is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ["--pairs", "1", "--batch", "4", "--items", "8", "--item-tokens", "12", "--device", "cpu"]


@pytest.mark.parametrize(
    "model",
    ["bloom-7b1", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bloom", "llama-3.1-8b"))],
)
def test_the_engine_is_measured_against_the_plain_path(tmp_path, model):
    shrink = ["--shrink", "32"] if "-" in model else []
    command = [
        sys.executable,
        "benchmarks/engine.py",
        "--model",
        model,
        *shrink,
        *SMALL,
        "--json",
        tmp_path / "rows.json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    found = {(row["algorithm"], row["variant"]): row for row in rows}
    assert found.keys() >= {("rmu", "one_block"), ("rmu", "reference"), ("simnpo", "with_retain"), ("npo", "")}
    for row in rows:
        assert row["ratio_flops"] > 1, "the engine does less"
        assert row["ratio_time"] > 0
        assert row["machine"].keys() == {"device", "cores", "threads", "python", "torch", "transformers"}
    assert "evaluate a patch" in done.stdout


def test_writing_with_a_cache_is_measured_against_the_plain_path(tmp_path):
    small = [
        "--model",
        "bloom-7b1",
        "--shrink",
        "32",
        "--answers",
        "6",
        "--prompt",
        "5",
        "--tokens",
        "4",
        "--pairs",
        "1",
    ]
    command = [sys.executable, "benchmarks/writing.py", *small, "--device", "cpu", "--json", tmp_path / "found.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["same"] == found["answers"] == 6
    assert found["ratio"] > 0


@pytest.mark.slow
def test_planning_is_measured_beside_trivial_snakefiles(tmp_path):
    small = ["--small", "--pairs", "1", "--json", tmp_path / "planning.json"]
    command = [sys.executable, "benchmarks/planning.py", *small]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    few, many = json.loads((tmp_path / "planning.json").read_text())["rows"]
    assert few["cells"] == many["cells"] == 72
    assert few["jobs"] < 72 < 4 * 72 < many["jobs"]
    for row in (few, many):
        # As many jobs on both sides: else it stops. What is finished is planned, too, and found finished.
        assert row["beyond"].keys() == {"one_file", "same_files", "same_rules"}
        assert all(row[kind]["cpu"] > 0 for kind in ("study", "one_file", "same_files", "same_rules", "finished"))
    assert "all finished" in done.stdout
