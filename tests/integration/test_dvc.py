"""DVC from end to end, against a real S3 interface: publish, fetch, draw, verify, compare, experiment."""

import logging
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from test_workflow import COMPUTE, copy_project, stamps

from mute.publishing.explorer import pages
from mute.store import artifacts, pointers

pytestmark = pytest.mark.integration

RESULTS = "results/micro"
DRAWN = {"draw_figures", "explore_layers", "explore_trade_off", "summarise", "write_metrics"}


@pytest.fixture(scope="module")
def store():
    """The address of an S3 on this machine, with an empty bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line per request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="mute")
    yield address
    server.stop()


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """The environment of a user: keys of the store, a name for git, and no settings of this machine's."""
    home = tmp_path_factory.mktemp("home")
    own = ("PYTEST", "PYTHON", "COV", "DVC", "AWS", "GIT", "MAKE")
    found = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    people = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    folders = {f"DVC_{name}_DIR": str(home / name) for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")}
    path = os.pathsep.join([str(Path(sys.executable).parent), found["PATH"]])
    none = {name: str(home / name) for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "GIT_CONFIG_GLOBAL")}
    for name in none:
        (home / name).touch()
    return {**found, **people, **keys, **folders, **none, "PATH": path, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}


class Clone:
    """A clone of the project, in which commands are run as a user would."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, {**environ, "PYTHONPATH": str(folder / "src")}
        # `make` finds its environment set up: the one that runs this test, under another name.
        if not (folder / ".venv").exists():
            (folder / ".venv").mkdir()
            for part in ("bin", "lib", "include", "pyvenv.cfg"):
                (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
        (folder / ".venv/installed").touch()

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def call(self, command: str) -> subprocess.CompletedProcess:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.run(command, shell=True, cwd=self.folder, env=self.environ, **options)

    def run(self, command: str) -> str:
        """What a command says, which must succeed."""
        done = self.call(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def fork(self, to: Path) -> "Clone":
        """A copy, to change without changing it."""
        copied = Path(shutil.copytree(self.folder, to, symlinks=True))
        (copied / ".venv/installed").touch()
        return Clone(copied, self.environ)


def jobs(said: str) -> set[str]:
    """The rules whose jobs were planned in what a command said."""
    tables = re.findall(r"^job +count\n-[- ]+\n(.*?)^total", said, re.MULTILINE | re.DOTALL)
    names = {name for table in tables for name in re.findall(r"^(\w+) +\d+$", table, re.MULTILINE)}
    return {name.replace("longest", "model") for name in names} - {"all", "figures", "paper"}


@pytest.fixture(scope="module")
def published(tmp_path_factory, store, environ):
    """A project whose study DVC has run and published, and what was said on the way."""
    project = Clone(copy_project(tmp_path_factory.mktemp("published")), environ)
    (project / "params.yaml").write_text(f"config: config/micro.yaml\nresults: {RESULTS}\n")
    project.run("git init -q && git add -A && git commit -q -m micro")
    project.said = project.run("dvc repro")
    project.run("dvc remote add -d store s3://mute/results")
    project.run(f"dvc remote modify --local store endpointurl {store}")
    project.pushed = project.run("dvc push")
    project.run("git add -A && git commit -q -m published")
    return project


@pytest.fixture(scope="module")
def cloned(published, tmp_path_factory, store, environ):
    """A fresh clone that has pulled. Tests that change it work on a fork."""
    folder = tmp_path_factory.mktemp("cloned") / "clone"
    subprocess.run(["git", "clone", "-q", published.folder, folder], check=True)
    clone = Clone(folder, environ)
    clone.run(f"dvc remote modify --local store endpointurl {store}")
    clone.run("dvc pull")
    return clone


def flip(clone: Clone, name: str) -> Path:
    """Flip one bit in DVC's copy of a file, as a disk would: DVC holds the copy for written once and for ever."""
    md5 = pointers.md5(clone / name)
    kept = clone / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.chmod(0o644)
    kept.write_bytes(content)
    kept.chmod(stat.S_IREAD | stat.S_IRGRP | stat.S_IROTH)
    return kept


def test_repro_runs_the_study_and_is_a_no_op_afterwards(published):
    assert COMPUTE | DRAWN | {"write_values", "compile_paper"} <= jobs(published.said)
    for name in ("tables/cells.csv", "figures/depth.svg", "index.html", "metrics.json", "paper/mute.pdf"):
        assert (published / f"{RESULTS}/{name}").is_file(), name
    assert re.search(r"\d+ files pushed", published.pushed)
    before = stamps(published / "results")
    said = published.run("dvc repro")
    assert [line.split("'")[1] for line in said.splitlines() if "didn't change, skipping" in line] == [
        "verify",
        "study",
        "paper",
    ]
    assert "Data and pipelines are up to date." in said
    # Nor is there anything to do for those who do not use DVC, and none of it is done twice.
    assert "Nothing to be done" in published.run("make study CONFIG=config/micro.yaml CORES=1")
    after = stamps(published / "results")
    # Snakemake's page of its runs, for those of the paper came after it; how the study stands; and that the explorer is
    # that of these tables, which DVC has put into their places anew.
    told = {f"micro/{name}" for name in ("report.html", "status.html", f"explorer/{pages.DATA}/{pages.INDEX}")}
    assert {name for name in after if after[name] != before.get(name)} <= told
    assert "Nothing to be done" in published.run("dvc repro --force --single-item study")
    assert published.run("git status --porcelain") == ""


def test_a_fresh_clone_draws_its_figures_from_pulled_results_without_training(cloned, published, tmp_path):
    clone = cloned.fork(tmp_path / "clone")
    for folder in ("tables", "figures", "paper"):
        listed = {path.name for path in (clone / f"{RESULTS}/{folder}").iterdir()}
        assert listed == {path.name for path in (published / f"{RESULTS}/{folder}").iterdir()}
    shutil.rmtree(clone / f"{RESULTS}/figures")
    said = clone.run("make figures CONFIG=config/micro.yaml CORES=2")
    assert {"draw_figures", "explore_layers", "explore_trade_off"} <= jobs(said) <= DRAWN
    drawn = sorted((clone / f"{RESULTS}/figures").iterdir())
    assert len(drawn) > 8
    for path in drawn:
        assert path.read_bytes() == (published / f"{RESULTS}/figures/{path.name}").read_bytes(), path.name
    assert not (clone / f"{RESULTS}/models").exists()
    # Then all is quiet: for Snakemake, and for DVC, which finds the same bytes.
    assert "Nothing to be done" in clone.run("snakemake -n --configfile config/micro.yaml")
    assert "Data and pipelines are up to date." in clone.run("dvc repro")


def test_a_damaged_object_of_the_cache_is_caught_before_figures_are_drawn(cloned, tmp_path):
    clone = cloned.fork(tmp_path / "clone")
    name = f"{RESULTS}/tables/scores.csv"
    kept = flip(clone, name)
    whole = (clone / name).read_bytes()
    shutil.rmtree(clone / RESULTS)
    clone.run("dvc checkout")
    assert (clone / name).read_bytes() != whole, "DVC delivers it without a word"
    micro = "config/micro.yaml"
    for command in ("make verify", f"make figures CONFIG={micro}", f"snakemake -n --configfile {micro}"):
        done = clone.call(command)
        assert done.returncode != 0, command
        assert f"{name}: is damaged, and so is DVC's copy of it." in done.stdout, command
        assert "Traceback" not in done.stdout
    # What the message says mends it.
    mend = done.stdout.split("To fetch it again: ")[1].splitlines()[0]
    assert str(kept.relative_to(clone.folder)) in mend
    clone.run(mend)
    assert (clone / name).read_bytes() == whole
    assert "8 of 8 are here, and as DVC's checksums say" in clone.run("make verify")


def test_a_damaged_input_is_caught_before_it_is_used(cloned, tmp_path):
    clone = cloned.fork(tmp_path / "clone")
    facts = clone / "data/facts"
    facts.mkdir()
    for code in ("en", "es", "hi"):
        (facts / f"{code}.csv").write_text(f"id,prompt,answer\na,{code}: who? <mask>,me\n")
    clone.run("dvc add data/facts && git add -A && git commit -q -m facts")
    assert "make verify" in clone.run("dvc repro verify")
    assert "data/facts" in (clone / f"{RESULTS}/inputs.json").read_text()
    flip(clone, "data/facts/hi.csv")
    shutil.rmtree(facts)
    clone.run("dvc checkout data/facts.dvc")
    done = clone.call("dvc repro --force --single-item verify")
    assert done.returncode != 0
    assert "data/facts/hi.csv: is damaged, and so is DVC's copy of it." in done.stdout
    settings = "{path: data/facts, forget_domain: d, teaching_languages: [en, es]}"
    given = f"'corpora={{own: {{source: files, settings: {settings}}}}}' 'study={{corpus: own, results: results/own}}'"
    done = clone.call(f"snakemake --cores 1 --configfile config/micro.yaml --config {given}")
    assert done.returncode != 0
    assert "[make corpus] stopped: inputs that are not what their pointers say" in done.stdout
    assert "data/facts/hi.csv: is damaged" in done.stdout
    assert not (clone / "results/own/corpus/facts.csv").exists()


def test_plots_are_a_page_with_the_curves_of_the_study(cloned, tmp_path):
    said = cloned.run(f"dvc plots show -o {tmp_path}/plots")
    assert "index.html" in said
    page = (tmp_path / "plots/index.html").read_text(encoding="utf-8")
    for title in ("knowledge kept, held-out languages", "capability kept, held-out languages"):
        assert title in page
    cells = artifacts.read_table(cloned / f"{RESULTS}/plots/blocks.csv")
    assert page.count('"algorithm": "rmu"') >= 3 * (cells["algorithm"] == "rmu").sum() > 0


def test_an_experiment_reruns_what_depends_on_the_value_and_metrics_tell(published, tmp_path):
    project = published.fork(tmp_path / "project")
    said = project.run("dvc exp run -S config/micro.yaml:gates.recall=0.5 study")
    assert jobs(said) == {"check_gates", "make_tables"} | DRAWN
    diff = project.run("dvc metrics diff --md")
    assert re.search(rf"\| {RESULTS}/metrics.json +\| gates.passed +\| \d+ +\| \d+ +\| -\d+", diff), diff
    assert "gates.recall" in project.run("dvc params diff")
    assert "gates.recall" in project.run("dvc exp show --md") or "recall" in project.run("dvc exp show --csv")
    # And back: what the cache has is not computed again.
    project.run("git checkout -q . && dvc checkout")
    assert "Data and pipelines are up to date." in project.run("dvc repro study")


def test_an_experiment_in_a_fresh_clone_computes_all_that_pulled_tables_cannot_stand_for(cloned, tmp_path):
    clone = cloned.fork(tmp_path / "clone")
    said = clone.run("dvc exp run -S config/config.yaml:study.seed=2 study")
    assert jobs(said) == COMPUTE | DRAWN
    assert (clone / f"{RESULTS}/models/llama-s0/record.json").is_file()
    diff = clone.run("dvc metrics diff --md")
    assert re.search(rf"\| {RESULTS}/metrics.json +\| outcomes.llama\w*.(rmu|slug)", diff), diff
    page = clone.run("dvc plots diff HEAD")
    assert "index.html" in page
    html = (clone / "dvc_plots/index.html").read_text(encoding="utf-8")
    for revision in ("HEAD", "workspace"):
        assert f'"rev": "{revision}"' in html
