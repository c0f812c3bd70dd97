"""The two programs behind the Makefile: the set-up of .venv and the run of a study."""

import fcntl
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

WORKFLOW = Path(__file__).parents[2] / "workflow"


def load(name: str):
    """A program of workflow/, as a module."""
    spec = importlib.util.spec_from_file_location(f"workflow_{name}", WORKFLOW / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


environment = load("environment")
study = load("study")


def test_pips_settings_rank_as_pip_ranks_them():
    listing = "\n".join(
        [
            ":env:.find-links='/from/variable'",
            "download.find-links='/for/another/command'",
            "global.find-links='/from/global'",
            "global.index-url='https://one.example/simple'",
            "install.index-url='https://two.example/simple'",
        ]
    )
    settings = environment.parse_pip_config(listing)
    assert settings == {"find-links": "/from/variable", "index-url": "https://two.example/simple"}


def test_pips_settings_become_uvs():
    settings = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://a.example/simple\nhttps://b.example/simple",
        "find-links": "/wheels ~/more",
        "cert": "/certificates.pem",
        "timeout": "60",
    }
    assert environment.uv_variables(settings, {}) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"/wheels,{Path.home()}/more",
        "SSL_CERT_FILE": "/certificates.pem",
    }


@pytest.mark.parametrize(
    ("key", "variable"),
    [
        ("index-url", "UV_DEFAULT_INDEX"),
        ("index-url", "UV_INDEX_URL"),
        ("extra-index-url", "UV_INDEX"),
        ("extra-index-url", "UV_EXTRA_INDEX_URL"),
        ("find-links", "UV_FIND_LINKS"),
        ("cert", "SSL_CERT_FILE"),
    ],
)
def test_uvs_own_settings_win(key, variable):
    assert environment.uv_variables({key: "pip's"}, {variable: "uv's"}) == {}


def test_a_python_that_does_not_run_is_no_python(tmp_path):
    assert environment.is_new_enough(sys.executable)
    assert not environment.is_new_enough(str(tmp_path / "gone"))


def test_a_second_run_is_refused_while_the_first_holds_the_lock(tmp_path):
    result = tmp_path / "results" / "a.csv"
    result.parent.mkdir()
    result.touch()
    command = [sys.executable, WORKFLOW / "study.py", "clean"]
    with (tmp_path / ".study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == study.REFUSED
    assert "Another run is under way" in refused.stderr
    assert result.exists()
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    assert not result.exists()


def test_clean_keeps_what_is_not_a_result(tmp_path):
    disk, project = tmp_path / "disk", tmp_path / "project"
    kept = [project / "data", project / ".venv", project / ".snakemake" / "conda", project / ".dvc" / "cache"]
    gone = [project / ".snakemake" / "slurm_logs" / "rule_a", project / ".snakemake" / "log", project / "dvc_plots"]
    for folder in (disk / "cells", *kept, *gone):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (project / "results").symlink_to(disk)
    subprocess.run([sys.executable, WORKFLOW / "study.py", "clean"], cwd=project, check=True, capture_output=True)
    left = {str(path.relative_to(project)) for path in project.rglob("file")}
    assert left == {"data/file", ".venv/file", ".snakemake/conda/file", ".dvc/cache/file"}
    assert list((project / "results").iterdir()) == []


def test_the_last_config_that_names_a_results_folder_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study.find_results(["config/config.yaml"], []) == Path("results")
    for name, text in {"config": "study: {results: one}", "a": "study: {results: two}", "b": "study: {}"}.items():
        Path("config").mkdir(exist_ok=True)
        Path(f"config/{name}.yaml").write_text(text)
    assert study.find_results(["config/b.yaml"], []) == Path("one")
    assert study.find_results(["config/a.yaml", "config/b.yaml"], []) == Path("two")


def test_a_results_folder_among_the_arguments_is_the_studys(tmp_path, monkeypatch):
    """Else damage would be sought, and the page of what was found be shown, in another study's folder."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("study: {results: results/mine}")
    for words in (["--config", "study={results: results/other}"], ["-C", "study={results: results/other}", "-n"]):
        assert study.find_results(["mine.yaml"], words) == Path("results/other")
    assert study.find_results(["mine.yaml"], ["--config", "study={seed: 7}"]) == Path("results/mine")
    assert study.find_results(["mine.yaml"], ["--", "--config", "study={results: x}"]) == Path("results/mine")


@pytest.mark.parametrize("word", ["--configfile", "--configfile=b.yaml", "--directory", "-d"])
def test_config_files_and_folder_are_no_arguments_for_snakemake(tmp_path, monkeypatch, capsys, word):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("study: {results: results/mine}")
    assert study.run("1", ["mine.yaml"], [word, "b.yaml"]) == 1
    assert f"{word} cannot stand in ARGS: name config files by CONFIG=" in capsys.readouterr().err
    assert os.listdir() == ["mine.yaml"]


@pytest.mark.parametrize(
    ("arguments", "none"),
    [
        *((["-n"], True), (["-np"], True), (["--dry-run"], True), (["-p", "--dag=mermaid-js"], True), (["-v"], True)),
        *((["--nolock"], False), (["-p", "all"], False), (["-p", "--", "--dag"], False), ([], False)),
    ],
)
def test_a_call_that_runs_no_job_is_known_by_its_arguments(arguments, none):
    assert study.runs_no_job(arguments) is none


def test_options_with_which_snakemake_runs_no_job_are_options_of_snakemake():
    said = subprocess.run([study.BIN / "snakemake", "--help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"(?<![\w-])--?[a-z]+[\w-]*", said, re.IGNORECASE)) | {"--dryrun"} >= study.TELLING


def test_what_a_call_of_make_was_given_is_for_that_call(tmp_path):
    """Tests that call make must not get the arguments of pytest."""
    (tmp_path / "show.mk").write_text("show: ; @env\n")
    words = ["make", "-f", "Makefile", "-f", tmp_path / "show.mk", "show", "ARGS=-v", "CONFIG=other.yaml", "CHAOS=part"]
    said = subprocess.run(words, cwd=WORKFLOW.parent, capture_output=True, text=True, check=True).stdout
    assert "CHAOS=part" in said.splitlines()
    assert not [line for line in said.splitlines() if line.startswith(("ARGS=", "CONFIG=", "CORES="))]
    assert "ARGS=-v" not in said


def test_the_environment_of_jobs_finds_the_tools_and_keeps_bytecode(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environ = study.job_environment()
    assert "PYTHONDONTWRITEBYTECODE" not in environ
    assert environ["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_targets_stand_apart_from_the_files_of_the_configuration(tmp_path, monkeypatch):
    from snakemake.cli import parse_args

    calls = []
    monkeypatch.setattr(study, "run_snakemake", lambda arguments, *_, **__: calls.append(arguments) or 1)
    configured = ["--configfile", "a.yaml", "b.yaml", "--", "paper", "all"]
    study.make_report(tmp_path, configured, None)
    _, parsed = parse_args(calls[0])
    assert [str(path) for path in parsed.configfile] == ["a.yaml", "b.yaml"]
    assert parsed.targets == ["paper", "all"]
    assert parsed.report == tmp_path / "report.partial.html"


def test_only_what_the_report_shows_makes_it_old(tmp_path):
    def touch(name: str, time: float) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (time, time))
        return path

    assert study.newest_change(tmp_path / "none", tmp_path / "report.html") == 0
    report = touch("report.html", 90)
    touch("tables/a.csv", 10)
    touch("smoke/summary.rst", 50)  # another study's folder
    touch("smoke/tables/a.csv", 50)
    assert study.newest_change(tmp_path, report) == 10


@pytest.mark.parametrize("there", [False, True])
def test_weights_that_were_not_fetched_are_told_before_anything_runs(there, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("{}", encoding="utf-8")
    model = "models: {own: {pretrained: ./data/weights/smollm2-135m, blocks: 30}, other: {pretrained: a/b}}"
    (tmp_path / "own.yaml").write_text(f"study: {{models: [own, other]}}\n{model}\n", encoding="utf-8")
    if there:
        (tmp_path / "data/weights/smollm2-135m").mkdir(parents=True)
    assert study.have_weights(["own.yaml"], []) is there
    assert ("`make weights NAMES=smollm2-135m` fetches it" in capsys.readouterr().err) is not there
