"""Which cells a study exports: selections, targets by name, and what is wrong with them."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from mute.config.problems import ConfigError, validated
from mute.config.sections import Config, overlay, read_files
from mute.plan.exports import Exports
from mute.study.checks import checked_study, read_study

ROOT = Path(__file__).parents[2]
MICRO = read_files("config/config.yaml", "config/micro.yaml").values
GATE = {"grids": {"words": {"algorithms": ["word_filter"], "bands": ["full"], "sources": [["en", "es"]]}}}
GATE |= {"study": {"grids": ["blocks", "ascent", "words"]}}
RMU = "llama.0.rmu.1.en-es.source.domain.matched.0"


def exports(*changes: dict, **section) -> Exports:
    config = MICRO
    for change in (*changes, {"exports": section}):
        config = overlay(config, change)
    return Exports(checked_study(config))


def wild(**values) -> SimpleNamespace:
    return SimpleNamespace(**values)


def names(made: Exports) -> list[str]:
    return [cell.name for cell in made.selected]


def test_nothing_is_exported_unless_it_is_asked_for():
    assert exports().targets() == []
    assert len(exports().names()) == 5


def test_a_selection_agrees_in_all_its_keys_and_a_list_allows_several_values():
    assert names(exports(cells=[{"algorithm": "rmu", "band": 1}])) == [RMU]
    assert names(exports(cells=[{"algorithm": "rmu", "band": "1", "seed": 0, "sources": "en-es"}])) == [RMU]
    both = exports(cells=[{"algorithm": ["rmu", "slug"], "band": [0, "1"]}, {"band": "full"}])
    assert len(names(both)) == 5
    assert names(both) == [cell.name for cell in both.study.cells], "each once, in the study's order"
    assert len(names(exports(cells=[{"model": "llama"}]))) == 5


def test_what_is_selected_is_part_of_the_whole_study():
    made = exports(cells=[{"algorithm": "rmu"}], tasks=["mute_facts"])
    records = [f"<results>/exports/llama.0.rmu.{b}.en-es.source.domain.matched.0/record.json" for b in (0, 1)]
    assert made.targets() == [*records, "<results>/tables/harness.csv"]
    results = [f"<results>/harness/llama.0.rmu.{b}.en-es.source.domain.matched.0.json" for b in (0, 1)]
    assert made.harness_results() == ["<results>/harness/llama-s0.json", *results]
    assert made.harness_input(wild(evaluated="llama-s0")) == "<results>/models/llama-s0/record.json"
    assert made.harness_input(wild(evaluated=RMU)) == records[1]


def test_any_cell_can_be_exported_by_its_name():
    made = exports()
    assert made.target(RMU) == f"results/micro/exports/{RMU}/record.json"
    found = made.export_inputs(wild(cell=RMU))
    assert found == {"cells": "<results>/shards/llama/cells.csv", "base": "<results>/models/llama-s0/record.json"}
    assert made.export(wild(cell=RMU))["cell"]["band"] == "1"
    with pytest.raises(ValueError, match=r"unknown cell 'llama\.0\.rum.*there are .*Did you mean 'llama\.0\.rmu\.1"):
        made.export_inputs(wild(cell=RMU.replace("rmu", "rum")))


def test_a_guard_is_exported_and_the_harness_is_not_asked_of_it():
    chain = {"algorithms": {"kept": {"method": "chain", "chain": ["slug", "ksd"]}}}
    chain |= {"grids": {"kept": {"algorithms": ["kept"], "bands": [1], "sources": [["en", "es"]]}}}
    chain |= {"study": {"grids": ["blocks", "ascent", "words", "kept"]}}
    made = exports(GATE, chain, cells=[{"band": "full"}, {"algorithm": "kept"}], tasks=["mute_facts"])
    assert {cell.algorithm for cell in made.selected} == {"gradient_ascent", "word_filter", "kept"}
    assert {own["algorithm"] for own in made.evaluated().values()} == {"base", "gradient_ascent"}
    gate = next(cell.name for cell in made.study.cells if cell.algorithm == "word_filter")
    assert made.export(wild(cell=gate))["cell"]["algorithm"] == "word_filter"
    assert gate in made.names()
    with pytest.raises(ConfigError, match=r"exports\.tasks: the harness asks models without a guard, and word_filter"):
        exports(GATE, cells=[{"algorithm": "word_filter"}], tasks=["mute_facts"])
    assert names(exports(GATE, cells=[{"algorithm": "word_filter"}])) == [gate]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"cells": [{"algorithm": "rum"}]}, r"exports\.cells\[0\]\.algorithm: no cell .* has 'rum'.* mean 'rmu'"),
        ({"cells": [{"band": [0, 9]}]}, r"exports\.cells\[0\]\.band: no cell of the study has 9; they have 0, 1, full"),
        ({"cells": [{"algoritm": "rmu"}]}, r"exports\.cells\[0\]\.algoritm: unknown key .* mean 'algorithm'"),
        ({"cells": [{"algorithm": "rmu", "band": "full"}]}, r"exports\.cells\[0\]: no cell .* has all of these"),
        ({"tasks": ["xnli_hi"]}, r"exports\.tasks: tasks are asked of exported cells"),
        ({"task_folder": "nowhere"}, r"exports\.task_folder: 'nowhere' is no folder"),
        ({"limit": 0}, r"exports\.limit: must be at least 1"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(section, message):
    with pytest.raises(ConfigError, match=message):
        exports(**section)


def test_the_documented_sections_are_right():
    """But for the folder of one's own, and tasks that are asked of what a longer study has."""
    text = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    assert len(blocks) == 3
    for block in blocks:
        assert validated(Config, block).problems == []


def test_a_problem_names_file_and_line(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("exports:\n  cells:\n    - {algorithm: rmu}\n    - {algorithm: slag}\n")
    with pytest.raises(ConfigError, match=r"cells\[1\]\.algorithm: no cell .* mean 'slug'\? \[.*my\.yaml:4\]"):
        read_study("config/config.yaml", "config/micro.yaml", path)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 0, RMU),
        (["--cell", RMU], 0, f"results/micro/exports/{RMU}/record.json"),
        (["--cell", ""], 1, "give the name of a cell, as in CELL=NAME; there are llama.0."),
        (["--cell", RMU + "1"], 1, f"Did you mean '{RMU}'?"),
    ],
)
def test_the_terminal_names_cells_and_targets(arguments, status, said):
    command = [sys.executable, "-m", "mute", "exports", "config/micro.yaml", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status
    assert said in (done.stderr if status else done.stdout)
    assert "Traceback" not in done.stderr
