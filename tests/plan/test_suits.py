"""Cells that a method cannot run on are told with the plan, by the method itself and on the texts that it would get."""

from pathlib import Path

import pytest
import yaml

from mute import __main__ as terminal
from mute.plan import suits
from mute.study.checks import read_study
from mute.unlearn import own

ROOT = Path(__file__).parents[2]
TEXT = '''
from mute.unlearn import base

class Settings(base.Settings):
    """Choosy."""

class Choosy(base.Descent):
    name = "choosy"
    paper = "ours"
    family = "divergence"
    Settings = Settings

    def applies(self, view):
        return "Spanish has no word for it" if "es" in view.sources else ""

    def terms(self, task, batches):
        raise AssertionError("nothing runs")
'''


@pytest.fixture
def overlay(tmp_path, monkeypatch):
    monkeypatch.setenv(own.FLAG, "1")
    (tmp_path / "choosy.py").write_text(TEXT)
    grid = {"algorithms": ["choosy", "meow"], "bands": ["each"], "sources": [["en"], ["en", "es"]], "attacks": []}
    told = {
        "algorithms": {"choosy": {"method": str(tmp_path / "choosy.py")}},
        "study": {"grids": ["both"]},
        "grids": {"both": grid},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


def test_a_method_is_asked_on_the_texts_of_each_cell(overlay):
    study = read_study(ROOT / "config/config.yaml", ROOT / "config/micro.yaml", overlay)
    assert suits.not_applicable(study) == ["choosy, 2 cells: Spanish has no word for it"]


def test_the_plan_says_so_before_any_work(overlay, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert terminal.main(["plan", "config/micro.yaml", str(overlay)]) == 0
    said = capsys.readouterr().out
    assert "not_applicable:\n  choosy, 2 cells: Spanish has no word for it\n" in said
    assert "meow, " not in said


def test_a_corpus_that_cannot_be_made_yet_says_nothing(overlay, monkeypatch):
    study = read_study(ROOT / "config/config.yaml", ROOT / "config/micro.yaml", overlay)

    def build(*_):
        raise FileNotFoundError("not fetched")

    monkeypatch.setattr(suits.romanised, "build", build)
    assert suits.not_applicable(study) == []


def test_what_needs_oracles_or_trainings_that_are_not_there_is_told_with_the_plan(tmp_path, capsys, monkeypatch):
    told = {
        "study": {"analyses": ["lens", "depths"], "training_seeds": [0, 1]},
        "analyses": {"depths": {"method": "patching", "donors": ["oracle"]}},
        "evaluation": {"lira": True},
        "models": {"llama": {"oracles": []}},
    }
    path = tmp_path / "study.yaml"

    def lines():
        path.write_text(yaml.safe_dump(told))
        return suits.not_told(read_study(ROOT / "config/config.yaml", ROOT / "config/micro.yaml", path))

    depths, lira = lines()
    assert depths == "depths, of llama, forget set domain: it has no oracle to read (models.llama.oracles)"
    assert lira.endswith("forget set domain: it takes 3 trainings that have an oracle, and there are 0")
    monkeypatch.chdir(ROOT)
    assert terminal.main(["plan", "config/micro.yaml", str(path)]) == 0
    assert f"cannot be told here:\n  {depths}\n  {lira}\n" in capsys.readouterr().out
    told["models"]["llama"]["oracles"] = ["domain"]
    assert [line.split()[-1] for line in lines()] == ["2"]
    told["study"]["training_seeds"] = [0, 1, 2]
    assert lines() == []
