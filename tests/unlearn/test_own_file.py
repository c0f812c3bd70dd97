"""A method in a user's own file: who may run it, what is said of one that cannot be used, and what depends on it."""

from pathlib import Path

import pytest
import yaml

from mute import unlearn
from mute.config.problems import ConfigError
from mute.plan.rules import Plans
from mute.registry import AdditionError
from mute.study.checks import read_study
from mute.unlearn import own

ROOT = Path(__file__).parents[2]
TEXT = '''
from mute.unlearn import base

class Settings(base.Settings):
    """Mine."""

class Mine(base.Descent):
    name = "mine"
    paper = "ours"
    family = "divergence"
    Settings = Settings

    def terms(self, task, batches):
        logprob, tokens = task.answer_logprobs(batches["forget"])
        return {"forget": logprob.sum() / tokens.sum()}
'''


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv(own.FLAG, "1")
    path = tmp_path / "mine.py"
    path.write_text(TEXT, encoding="utf-8")
    return path


def study(file, **settings):
    """A study with the file's method, as `our_name`."""
    told = {
        "algorithms": {"our_name": {"method": str(file), **settings}},
        "study": {"grids": ["of_ours"]},
        "grids": {"of_ours": {"algorithms": ["our_name"], "sources": [["en"]], "bands": ["0"]}},
    }
    path = file.parent / "ours.yaml"
    path.write_text(yaml.safe_dump(told))
    return read_study(ROOT / "config/config.yaml", ROOT / "config/micro.yaml", path)


def test_it_is_a_method_like_any_other(file):
    method = unlearn.make(str(file), {"steps": 7})
    assert (type(method).__name__, method.settings.steps) == ("Mine", 7)
    made = study(file)
    assert made.method("our_name") == str(file)
    assert made.settings("our_name")["batch_size"] == 24
    assert str(file) not in unlearn.names(), "nobody else has it"


def test_it_runs_where_somebody_said_so_alone(file, monkeypatch):
    file.write_text("raise SystemExit('it ran')")
    monkeypatch.delenv(own.FLAG)
    with pytest.raises(ConfigError, match=r"algorithms.our_name.method: .*OWN_CODE=1.*--own-code") as told:
        study(file)
    assert "it ran" not in str(told.value)
    monkeypatch.setenv(own.FLAG, "0")
    with pytest.raises(ConfigError, match="OWN_CODE=1"):
        study(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("divergence", "divergense"), r"Mine.family.*Did you mean 'divergence'\? \(line \d+\)"),
        (TEXT.replace('"mine"', '"other"'), "Mine.name is 'other', not 'mine' as the file is called"),
        ("import torch\n\n1 / 0", "line 3: ZeroDivisionError"),
        ("def f(:", "line 1: SyntaxError"),
        ("x = 1", "defines no subclass of Method"),
    ],
)
def test_one_that_cannot_be_used_is_one_clear_error(file, text, message):
    file.write_text(text)
    with pytest.raises(AdditionError, match=message):
        study(file)


def test_a_file_that_is_not_there_names_the_nearest(file):
    with pytest.raises(ConfigError, match=r"there is no file .*mime.py.*Did you mean .*mine.py"):
        study(file.with_name("mime.py"))


def test_its_settings_are_checked_before_anything_runs(file):
    with pytest.raises(ConfigError, match=r"algorithms.our_name.stepps.*Did you mean 'steps'"):
        study(file, stepps=3)


def test_its_text_is_part_of_what_cells_depend_on(file):
    def code(text):
        file.write_text(text)
        made = Plans(study(file))
        return made.cell(made.study.cells[0])["code"]

    first = code(TEXT)
    assert code(TEXT) == first
    assert code(TEXT.replace("tokens.sum()}", "tokens.sum() * 2}")) != first
