"""A study in a folder of its own: what is written, what is refused, and that it plans as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mute import __main__ as command
from mute import attacks, unlearn
from mute.status.command import go_on
from mute.store import project
from mute.study import beginning
from mute.study.checks import read_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A new study, and it is where one is."""
    monkeypatch.chdir(tmp_path)
    beginning.begin(Path("my-study"))
    monkeypatch.chdir("my-study")
    return tmp_path / "my-study"


def test_what_is_written_is_a_study_with_all_choices_beside_it(folder):
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert written == [".gitignore", "README.md", "Snakefile", "config.yaml", "profiles/default/profile.v9+.yaml"]
    study = read_study(project.base(), *project.own_config())
    assert (study.config.study.name, study.config.study.results) == ("my-study", "results")
    assert {cell.algorithm for cell in study.cells} == {"rmu", "simnpo", "gradient_ascent"}
    text = Path("config.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", text))
    assert named >= {*unlearn.names(), *attacks.names()}
    assert max(map(len, text.splitlines())) <= 120
    assert "$" not in text
    # Nothing that is written says where on this machine anything lies.
    for path in written:
        assert str(ROOT) not in Path(path).read_text(encoding="utf-8"), path


def test_what_is_written_is_the_small_study(folder):
    """Its numbers are those of config/smoke.yaml, whose times are known."""
    mine, smoke = (
        yaml.safe_load(Path(path).read_text()) for path in ("config.yaml", project.path("config/smoke.yaml"))
    )
    for section in ("corpora", "pretraining", "gates", "matching", "evaluation", "algorithms"):
        assert mine[section] == smoke[section], section
    assert mine["models"]["llama"] == {"family": "llama", **smoke["models"]["llama"]}


@pytest.mark.parametrize("like", ["micro", "gemma"])
def test_a_study_begins_as_one_of_ours(tmp_path, monkeypatch, like):
    monkeypatch.chdir(tmp_path)
    beginning.begin(Path("other"), like)
    text = Path("other/config.yaml").read_text(encoding="utf-8")
    ours = Path(project.path(f"config/{like}.yaml")).read_text(encoding="utf-8")
    changed = [(a, b) for a, b in zip(ours.splitlines(), text.splitlines(), strict=True) if a != b]
    assert changed == [(f"  name: {like}", "  name: other"), (f"  results: results/{like}", "  results: results")]


def test_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    assert command.main(["init", "full"]) == 1
    assert "full is there and not empty: nothing was written" in capsys.readouterr().err
    assert os.listdir("full") == ["mine"]
    (tmp_path / "empty").mkdir()
    assert command.main(["init", "empty"]) == 0
    (tmp_path / "file").touch()
    assert command.main(["init", "file"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "my study"], "the study's name, which is its folder's, 'my study' is not allowed"),
        (["init", "new", "--like", "smok"], "unknown configuration to begin with 'smok'; .* Did you mean 'smoke'"),
        (["run"], "there is no study in .*: `mute init my-study` begins one"),
    ],
)
def test_what_cannot_be_begun_or_run_is_told(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert command.main(words) == 1
    assert re.search(said, capsys.readouterr().err)
    assert os.listdir() == []


def test_without_snakemake_one_is_told_what_to_install(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "snakemake", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command.main(["run"]) == 1
    assert "pip install 'mute[workflow]'" in capsys.readouterr().err


def test_run_hands_over_what_it_was_given(folder, monkeypatch):
    called = []
    monkeypatch.setattr(os, "execv", lambda *words: called.append(words))
    with pytest.raises(SystemExit):
        sys.exit(command.main(["run", "--cores", "2", "-n", "--", "paper", "all"]))
    ((program, words),) = called
    assert program == sys.executable
    assert words[1] == project.path("workflow/study.py")
    assert words[2:] == [
        *("run", "--cores", "2", "--configfile", "config.yaml", "--"),
        *("--dry-run", "paper", "all"),
    ]


def test_the_command_that_goes_on_is_that_of_the_folder(folder):
    assert go_on([]) == go_on(["config.yaml"]) == "mute run"
    assert go_on(["a b.yaml"], ["-k"], "2") == "mute run 'a b.yaml' --cores 2 -- -k"


def test_a_new_study_runs_whole_by_the_workflow_as_a_module(folder):
    """Every job is there, the paper's inputs too, and nothing but Snakemake's own records and the lock is written."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-m", "mute", "run", "--cores", "1", "--dry-run", "--", "all", "paper"]
    done = subprocess.run(words, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    assert {"make_corpus", "unlearn_shard", "make_tables", "summarise", "compile_paper", "all"} <= jobs.keys()
    assert not Path("results/tables").exists()
