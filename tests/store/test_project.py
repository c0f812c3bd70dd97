"""Where the project's own files are, in the project and elsewhere, and that a wheel brings all of them."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from mute.store import project

ROOT = Path(__file__).parents[2]
# Of the folders that a study reads by their paths, what it does not: the set-up of a checkout's own environment.
LEFT_OUT = {"workflow/environment.py"}
READ = ("Snakefile", "workflow", "scripts", "config", "profiles", "envs", "paper", "docs/examples")


def test_in_the_project_names_are_short(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert project.is_here()
    assert project.root() == Path()
    assert project.path("paper/mute.typ") == "paper/mute.typ"
    assert project.base() == "config/config.yaml"
    assert project.over_base(["config/config.yaml", "a.yaml"]) == ["a.yaml"]
    assert project.over_base([]) == []


def test_elsewhere_they_are_found_and_the_folder_has_its_own_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not project.is_here()
    assert Path(project.path("paper/mute.typ")).is_file()
    assert Path(project.base()).is_absolute()
    # Results say nothing of where on this machine it lies.
    assert project.named(os.path.relpath(project.base())) == "config/config.yaml"
    assert project.named("config.yaml") == "config.yaml"
    assert project.own_config() == []
    (tmp_path / "config.yaml").touch()
    assert project.over_base([]) == ["config.yaml"]
    assert project.over_base(["other.yaml"]) == ["other.yaml"]


def test_what_was_installed_without_them_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "__file__", str(tmp_path / "lib/mute/store/project.py"))
    monkeypatch.setattr(project.metadata, "files", lambda name: [])
    monkeypatch.setattr(project.sys, "prefix", str(tmp_path))
    with pytest.raises(ValueError, match="came without share/mute"):
        project._elsewhere.__wrapped__()
    (tmp_path / "share/mute/config").mkdir(parents=True)
    (tmp_path / "share/mute/config/config.yaml").touch()
    assert project._elsewhere.__wrapped__() == tmp_path / "share/mute"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="asks git what there is")
def test_a_wheel_brings_all_that_a_study_reads():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    brought = {}
    for folder, patterns in listed.items():
        for pattern in patterns:
            for path in ROOT.glob(pattern):
                brought[path.relative_to(ROOT).as_posix()] = f"{folder}/{path.name}"
    # Each to where it lies in the project.
    assert {name: to.removeprefix("share/mute/") for name, to in brought.items()} == {name: name for name in brought}
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *READ]
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    there = {name for name in there if not name.startswith("paper/frozen/") and (ROOT / name).is_file()}
    assert there - brought.keys() == LEFT_OUT
    assert "benchmarks/results/costs.json" in brought
