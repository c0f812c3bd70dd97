"""The files around the code: front door, lock, profile, licence, citation, and what git is told to leave out."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TARGETS = ["help", "study", "smoke", "reproduction", "real", "weights", "fetch", "plan", "status", "board", "explore"]
TARGETS += ["figures", "publish", "paper", "frozen", "docs", "export", "verify", "test", "integration", "chaos"]
TARGETS += ["lint", "lock", "clean"]
MADE_BY_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARGS", "CELL", "CONFIG", "CORES", "NAMES", "PYTHON", "TARGETS")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command: str) -> str:
    """Standard output of a command that must succeed, run in the root of the project."""
    # A test may itself have been started by make, whose flags and variables are not for this one.
    environ = {name: value for name, value in os.environ.items() if name not in MADE_BY_MAKE}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_make_alone_lists_every_target():
    listing = run("make")
    assert listing == run("make", "help")
    assert re.findall(r"^  make (\w+) ", listing, re.MULTILINE) == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target):
    run("make", "-n", target)


def test_study_and_smoke_take_the_users_choices():
    assert "run --cores 3 --configfile a.yaml b.yaml -- -n" in run(
        "make", "-n", "study", "CORES=3", "CONFIG=a.yaml b.yaml", "ARGS=-n"
    )
    assert "--configfile config/config.yaml " in run("make", "-n", "study")
    assert "--configfile config/smoke.yaml " in run("make", "-n", "smoke")


@pytest.mark.parametrize(
    ("target", "made"),
    [("figures", "figures"), ("publish", "publish"), ("paper", "paper"), ("reproduction", "paper all")],
)
def test_options_that_take_several_values_do_not_swallow_the_target(target, made):
    """As --config and --configfile do with all that follows them up to `--`."""
    assert run("make", "-n", target, "ARGS=--config a=b").rstrip().endswith(f" --config a=b -- {made}")


def test_the_paper_is_drawn_by_the_rules_that_train_nothing():
    command = run("make", "-n", "figures", "TARGETS=paper")
    assert "--allowed-rules figures paper " in command
    assert command.rstrip().endswith(" -- paper")


def test_export_without_a_cell_lists_every_cell(monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    listed = run("make", "-s", "-o", ".venv/installed", "export").splitlines()
    assert len(listed) > 8
    assert "llama.0.rmu.3.en-es-pt.source.domain.matched.0" in listed


@pytest.mark.parametrize("target", ["study", "smoke", "test", "lint"])
def test_the_set_up_comes_first_and_once(target):
    commands = run("make", "-n", "-W", "requirements.lock", target).splitlines()
    assert commands[0].endswith("workflow/environment.py install")
    assert sum("environment.py" in command for command in commands) == 1
    assert "environment.py" not in run("make", "-n", "-o", ".venv/installed", target)


def test_recipes_run_with_bytecode(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "show.mk").write_text('show:\n\t@echo "[$$PYTHONDONTWRITEBYTECODE]"\n')
    assert run("make", "-f", "Makefile", "-f", str(tmp_path / "show.mk"), "show") == "[]\n"


def test_the_lock_is_the_same_for_everybody():
    pins = [line for line in read("requirements.lock").splitlines() if line and not line.lstrip().startswith("#")]
    assert "#    make lock\n" in read("requirements.lock")
    assert all(re.fullmatch(r"[\w.-]+==[\w.!]+( ; .+)?", pin) for pin in pins)  # so: no address, path or local build


@needs_git
def test_no_file_names_a_place_on_somebodys_machine():
    places = re.compile(r"(?<![\w.}])/(?:work|root|home|Users|opt|mnt)/\w|file:/{2}")
    named = []
    for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        path = ROOT / name
        if path.is_file() and path != Path(__file__) and b"\0" not in (content := path.read_bytes()):
            named += [f"{name}: {place}" for place in places.findall(content.decode("utf-8", "replace"))]
    assert not named


@needs_git
def test_git_leaves_out_what_is_made_and_keeps_what_is_published():
    made = ["results/a.csv", ".snakemake/x", ".venv/x", ".study.lock", "src/mute/__pycache__/a.pyc", "wandb/x"]
    kept = ["paper/frozen/a.csv", "paper/published/a.csv", "src/mute/results/a.py", "data/a.dvc", ".dvc/config"]
    command = ["git", "check-ignore", "--no-index", *made, *kept]
    assert run(*command).split() == made


@needs_git
def test_no_compiled_file_is_in_git():
    assert run("git", "ls-files", "*.pyc") == ""


def test_every_profile_has_the_name_that_snakemake_looks_for():
    profiles = [path for path in (ROOT / "profiles").iterdir() if path.is_dir()]
    assert ROOT / "profiles" / "default" in profiles
    assert all((profile / "profile.v9+.yaml").is_file() for profile in profiles)


def test_the_default_profile_resumes_and_shows_what_fails():
    profile = yaml.safe_load(read("profiles/default/profile.v9+.yaml"))
    assert profile["rerun-incomplete"] is True
    assert profile["keep-going"] is True
    assert profile["show-failed-logs"] is True
    # The Makefile names the cores; quiet rules, or all, would hide failed jobs and their logs.
    assert not {"cores", "jobs"} & set(profile)
    assert not {"rules", "progress", "all"} & set(profile["quiet"])


def test_ci_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    run("bash", "-n", ".ci/run")


def test_the_licence_is_the_one_that_pyproject_names():
    licence = read("LICENSE")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "Copyright 2026 The MUTE maintainers" in licence
    assert PYPROJECT["project"]["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "Apache-2.0"


def test_the_citation_names_software_and_paper():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert paper["identifiers"][0]["value"] == "arXiv:2602.22562"


def test_the_version_is_the_same_everywhere():
    version = PYPROJECT["project"]["version"]
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    changelog = read("CHANGELOG.md")
    released = re.findall(r"^## \[(\d\S*)\]", changelog, re.MULTILINE)
    assert released[:1] == [version] or version in changelog.split("## [Unreleased]")[1]
