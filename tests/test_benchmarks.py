"""The benchmarks run: at the shapes of published models too, made small. What they measure is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = ["--pairs", "1", "--batch", "4", "--items", "8", "--item-tokens", "12", "--device", "cpu"]


@pytest.mark.parametrize("model", ["bloom", "llama-3.1-8b", "bloom-7b1"])
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
