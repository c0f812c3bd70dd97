"""What DVC is told of the project: stages, parameters, results; and what tables stand for that it brought."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from test_front_door import study as front_door
from test_workflow import COMPUTE, MICRO, call, copy_project, planned, snakemake

from made_up import ABOUT, THE_PAPER, make_tables
from mute.findings import outcomes
from mute.findings.results import Results
from mute.plan import origin
from mute.plan.rules import TABLES
from mute.study.checks import read_study

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git knows")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone of the project, its files committed."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "base"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project


@pytest.fixture(scope="module")
def index(project):
    """The project as DVC reads it."""
    from dvc.repo import Repo

    with Repo(str(project)) as repo:
        yield repo.index


@pytest.fixture
def pulled(project, tmp_path):
    """A clone with tables of the micro study as a pull brings them: nothing behind them, no word of Snakemake's."""
    clone = Path(shutil.copytree(project, tmp_path / "pulled"))
    study = read_study(ROOT / "config/config.yaml", ROOT / "config/micro.yaml")
    names = [f"tables/{name}.csv" for name in TABLES]
    names.append(origin.table(study).removeprefix("<results>/"))
    for name in (*names, "summary.rst", "index.html", "metrics.json", "plots/blocks.csv"):
        path = clone / "results/micro" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return clone


# Stages


def test_dvc_reads_the_stages(index):
    assert [stage.name for stage in index.stages] == ["verify", "study", "paper"]
    study = next(stage for stage in index.stages if stage.name == "study")
    # Else DVC deletes results before Snakemake can see that they are there.
    assert all(out.persist for out in study.outs)
    assert {Path(str(out)).name for out in study.outs} == {
        "tables",
        "figures",
        "plots",
        "summary.rst",
        "index.html",
        "metrics.json",
    }
    depends = {Path(str(dep)).name for dep in study.deps}
    assert {"inputs.json", "Snakefile", "workflow", "scripts", "mute", "config.yaml"} == depends
    (verified,) = next(stage for stage in index.stages if stage.name == "verify").outs
    assert Path(str(verified)).name == "inputs.json", "the study waits for the check of its inputs"


def test_every_stage_runs_what_there_is(project, index):
    text = (ROOT / "Makefile").read_text()
    for stage in index.stages:
        # On a dry run make says what a target would do, and fails where there is none.
        (project / ".venv").mkdir(exist_ok=True)
        (project / ".venv/installed").touch()
        done = subprocess.run(f"{stage.cmd} --dry-run", shell=True, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        words = stage.cmd.split()
        assert words[0] == "make"
        assert re.search(rf"^{words[1]}: .*## ", text, re.MULTILINE), "a target that make help lists"
        if "mute" in done.stdout.split():
            assert call(project, "python", "-m", "mute", words[1], "--help").returncode == 0


def test_parameters_are_those_of_the_study(project, index):
    chosen = yaml.safe_load((project / "params.yaml").read_text())
    config, results = chosen["config"], chosen["results"]
    assert (project / config).is_file()
    own = yaml.safe_load((project / config).read_text())["study"]
    assert own["results"] == results, "params.yaml names the folder that the config file names"
    assert front_door.find_results([str(project / config)], []) == Path(results)
    for stage in index.stages:
        for parameters in stage.params:
            # The whole file, so that a new key is no unseen change; or keys that it has.
            there = yaml.safe_load(Path(parameters.fs_path).read_text())
            assert set(parameters.params) <= set(there)
    asked = {Path(p.fs_path).name for stage in index.stages for p in stage.params}
    assert {"config.yaml", Path(config).name} == asked


def test_results_are_no_files_of_git_and_not_hidden_from_dvc(project, index):
    for stage in index.stages:
        for out in stage.outs:
            name = str(Path(out.fs_path).relative_to(project))
            listed = subprocess.run(["git", "ls-files", "--", name], cwd=project, capture_output=True, text=True)
            assert listed.stdout == ""
            assert subprocess.run(["git", "check-ignore", "-q", name], cwd=project).returncode == 0, name
            assert not out.repo.dvcignore.is_ignored(out.fs, out.fs_path), name
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", "dvc.lock"):
        assert subprocess.run(["git", "check-ignore", "-q", name], cwd=project).returncode == 1, name
    for name in (".dvc/cache", ".dvc/tmp", ".dvc/config.local", "dvc_plots"):
        assert subprocess.run(["git", "check-ignore", "-q", f"{name}/a"], cwd=project).returncode == 0, name


def test_what_a_study_makes_on_the_way_is_hidden_from_dvc(index):
    ignored = index.repo.dvcignore
    root = Path(index.repo.root_dir)
    for folder in ("results", "results/micro"):
        for name in ("cells", "evaluations", "models", "shards", "logs", "corpus", "attacks", "analyses"):
            assert ignored.is_ignored(index.repo.fs, str(root / folder / name / "a")), f"{folder}/{name}"


def test_the_settings_of_dvc_name_no_machine():
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".dvc/config")
    assert dict(parser["core"]) == {"analytics": "false", "check_update": "false", "autostage": "false"}
    assert parser.sections() == ["core"], "remotes are for those who publish"


def test_plots_show_columns_that_are_written(index):
    curves = outcomes.by_block(Results(make_tables(THE_PAPER), ABOUT))
    template = (ROOT / ".dvc/plots/by_block.json").read_text()
    assert set(re.findall(r'"field": "([a-z]\w*)"', template)) <= {*curves.columns, "rev", "x", "y"}
    json.loads(template)
    shown = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    for plot in shown:
        ((options,),) = [plot.values()]
        ((path, column),) = options["y"].items()
        assert {options["x"], column} <= set(curves.columns)
        assert (path, options["template"]) == ("${results}/plots/blocks.csv", "by_block")


def test_no_job_calls_dvc():
    # It would wait for the lock of the very run that it is part of.
    for path in (*(ROOT / "scripts").glob("*.py"), *(ROOT / "workflow/rules").glob("*.smk"), ROOT / "Snakefile"):
        assert not re.search(r"import dvc|from dvc|\bdvc (repro|pull|add|status)", path.read_text()), path.name


# Tables that were pulled


def drawing() -> list[str]:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    return re.search(r"^DRAWING := (.*)$", text, re.MULTILINE)[1].split()


def test_figures_are_drawn_from_pulled_tables_and_nothing_is_trained(pulled):
    given = [*MICRO, "--allowed-rules", *drawing(), "--", "figures"]
    jobs = planned(pulled, *given)
    assert {"draw_figures", "explore_layers", "explore_trade_off", "summarise", "figures"} <= jobs.keys()
    assert not jobs.keys() & COMPUTE
    done = snakemake(pulled, "-n", *given)
    assert "roughly" not in done.stderr, "nothing is announced that does not happen"
    (pulled / "results/micro/tables/lens.csv").unlink()
    done = snakemake(pulled, "-n", *given)
    assert done.returncode == 1
    assert "results/micro/tables/lens.csv" in done.stderr + done.stdout


def test_pulled_tables_stand_for_the_study_that_made_them_and_for_no_other(pulled):
    assert not planned(pulled).keys() & COMPUTE
    other = planned(pulled, *MICRO, "--config", "study={seed: 2}")
    assert other.keys() & COMPUTE == COMPUTE
    # What only pages show makes no number.
    assert not planned(pulled, *MICRO, "--config", "study={primary: [K source]}").keys() & COMPUTE


def test_damaged_inputs_stop_the_first_job(project, tmp_path):
    clone = Path(shutil.copytree(project, tmp_path / "clone"))
    facts = clone / "data/facts"
    facts.mkdir()
    for code in ("en", "es", "hi"):
        (facts / f"{code}.csv").write_text("id,prompt,answer\na,Who? <mask>,me\n")
    added = call(clone, "dvc", "add", "-q", "data/facts")
    assert added.returncode == 0, added.stderr
    assert call(clone, "python", "-m", "mute", "verify").returncode == 0
    settings = "{path: data/facts, forget_domain: d, teaching_languages: [en, es]}"
    given = [f"corpora={{own: {{source: files, settings: {settings}}}}}", "study={corpus: own, results: results/own}"]
    target = "results/own/corpus/about.json"
    # Not those of the pointer, and DVC was not asked.
    (facts / "es.csv").write_text("id,prompt,answer\na,Quien? <mask>,yo\n")
    done = snakemake(clone, "--cores", "1", *MICRO, "--config", *given, "--", target)
    assert done.returncode != 0
    assert "data/facts/es.csv: is not the file that data/facts.dvc names" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (clone / target).exists()
    told = call(clone, "python", "-m", "mute", "verify", "--inputs", "results/inputs.json")
    assert told.returncode == 1
    assert "data/facts/es.csv" in told.stderr
    assert not (clone / "results/inputs.json").exists()
