"""One study, run under other circumstances, gives the same bytes; and takes nothing from the machine that it runs on.

Three runs share all comparisons: two cores; one core elsewhere, in an environment full of secrets; and targets one by
one in an order that was drawn. The study has cells that diverge, exports one of them, and is published.
"""

import base64
import io
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from test_workflow import copy_project

from mute.findings.results import Results
from mute.store import artifacts

pytestmark = pytest.mark.slow

NAME = "hard"
RESULTS = Path("results") / NAME
CONFIG = f"config/{NAME}.yaml"
# Two edits of single blocks diverge, and one of the whole model; so does every retraining.
STUDY = f"""
study: {{name: {NAME}, results: {RESULTS}, grids: [blocks, hot]}}
algorithms:
  hot: {{method: gradient_ascent, learning_rate: 1.0e+30, steps: 4, batch_size: 4, strengths: [1.0e+30]}}
attacks: {{retrain_1: {{learning_rate: 1.0e+30, steps: 2}}, retrain_5: {{learning_rate: 1.0e+30}}}}
grids:
  hot: {{algorithms: [hot], bands: [each, full], sources: [[en, es]], protocols: [paper]}}
publishing: {{to: [wandb, tensorboard], with_study: true}}
exports: {{cells: [{{algorithm: hot, band: 0}}, {{algorithm: rmu, band: 1}}]}}
"""
# Different from run to run, each for a reason: how long jobs took, W&B's own clock, the cache of a machine,
# and the pages that `make study` adds, which name times.
APART = ("logs", "benchmarks", "cache", "published", "records", "published.csv")
APART += ("report.html", "report.log", "status.html", "explorer")
# Of a record, what tells of the run and not of the result; its own digest covers that, too.
OF_THE_RUN = {"seconds", "threads", "digest"}
SECRET = "CANARY7q3Zx0Vw"
NAMES = ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "MY_CANARY", "GITHUB_TOKEN")
PEOPLE = ("USER", "LOGNAME", "USERNAME", "EMAIL", "HOSTNAME")


def call(project: Path, *command: str, **environ: str) -> str:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "COV", "WANDB"))}
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)])
    own |= {"PYTHONPATH": str(project / "src"), **environ}
    done = subprocess.run(command, cwd=project, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def prepared(to: Path) -> Path:
    project = copy_project(to)
    (project / CONFIG).write_text(STUDY, encoding="utf-8")
    return project


def snakemake(project: Path, *arguments: str, **environ: str) -> str:
    given = ["--configfile", "config/micro.yaml", CONFIG]
    return call(project, "snakemake", "--cores", *arguments[:1], *given, *arguments[1:], **environ)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two cores, an ordinary folder."""
    project = prepared(tmp_path_factory.mktemp("plain"))
    snakemake(project, "2", "--", "all", "paper")
    return project


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """One core, a folder with a long name that is not ASCII, other hashes, another time zone and language; secrets.

    `make study` runs it as well as its report and summary, and DVC is asked what changed.
    """
    home = tmp_path_factory.mktemp("homes") / f"home-of-{SECRET}"
    home.mkdir()
    (home / ".netrc").write_text(f"machine api.wandb.ai login user password {SECRET}\n")
    # Python asks these for the machine's name.
    (home / "sitecustomize.py").write_text(
        f"import os, platform, socket\nplatform.node = socket.gethostname = lambda: 'host-{SECRET}'\n"
        f"socket.getfqdn = lambda *_: 'host-{SECRET}'\n"
    )
    project = prepared(tmp_path_factory.mktemp("elsewhere") / "a longer path, with spaces" / "भाषा-語-ñ" / "project")
    environ = dict.fromkeys(NAMES, SECRET) | {name: f"{name.lower()}-{SECRET}" for name in PEOPLE}
    environ |= {"WANDB_API_KEY": SECRET + "0" * (40 - len(SECRET)), "HOME": str(home), "OPENAI_API_KEY": f"sk-{SECRET}"}
    environ |= {"WANDB_NOTES": SECRET, "GIT_AUTHOR_NAME": SECRET, "XDG_CONFIG_HOME": str(home / "config")}
    environ |= {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "LC_ALL": "C.UTF-8"}
    environ["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(home)])
    study = ["workflow/study.py", "run", "--cores", "1", "--configfile", "config/micro.yaml", CONFIG]
    said = call(project, sys.executable, *study, "--", "--", "all", "paper", **environ)
    assert SECRET not in said
    call(project, "git", "init", "-q", **environ)
    call(project, "dvc", "status", **environ)
    return project


@pytest.fixture(scope="module")
def in_another_order(tmp_path_factory):
    """Targets on the way one by one, in an order that was drawn, by the other scheduler; then the rest."""
    project = prepared(tmp_path_factory.mktemp("ordered"))
    targets = [
        f"{RESULTS}/{name}"
        for name in (
            "shards/llama/attacks.csv",
            "shards/llama/cells.csv",
            "evaluations/llama-s0/tokens.parquet",
            "exports/llama.0.rmu.1.en-es.source.domain.matched.0/record.json",
        )
    ]
    random.Random(6).shuffle(targets)
    for target in targets:
        snakemake(project, "2", "--scheduler", "greedy", "--", target)
    snakemake(project, "2", "--scheduler", "greedy", "--", "all", "paper")
    return project


def files(project: Path) -> dict[str, Path]:
    """Every file of the results that must be the same, by its place in them."""
    results = project / RESULTS
    found = {path.relative_to(results): path for path in sorted(results.rglob("*")) if path.is_file()}
    return {str(name): path for name, path in found.items() if name.parts[0] not in APART and path.name != ".lock"}


def content(path: Path) -> bytes:
    if path.suffix == ".json":
        return json.dumps(_of_the_result(artifacts.read_json(path)), sort_keys=True).encode()
    return path.read_bytes()


def _of_the_result(value):
    if isinstance(value, dict):
        return {key: _of_the_result(inner) for key, inner in value.items() if key not in OF_THE_RUN}
    return [_of_the_result(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("other", ["elsewhere", "in_another_order"])
def test_every_file_is_the_same(plain, other, request):
    here, there = files(plain), files(request.getfixturevalue(other))
    assert here.keys() == there.keys()
    endings = {Path(name).suffix for name in here}
    assert endings >= {".csv", ".parquet", ".safetensors", ".svg", ".pdf", ".html", ".json", ".rst"}
    assert len(here) > 100
    different = [name for name in here if content(here[name]) != content(there[name])]
    assert different == []


def test_the_same_bytes_again_in_the_same_place(plain, tmp_path):
    """Without its tables and what follows, from the same cells: nothing of a run stays for the next to see."""
    again = Path(shutil.copytree(plain, tmp_path / "again", symlinks=True))
    for name in ("tables", "figures", "shards", "cells", "layers"):
        shutil.rmtree(again / RESULTS / name)
    snakemake(again, "2")
    for name, path in files(plain).items():
        other = again / RESULTS / name
        assert content(other) == content(path), name


# Divergence from end to end


def test_cells_that_diverged_stand_in_every_table_without_a_score(plain):
    tables = {path.stem: artifacts.read_table(path) for path in (plain / RESULTS / "tables").glob("*.csv")}
    cells = tables["cells"]
    lost = cells[cells["status"] == "diverged"]
    assert set(lost["algorithm"]) == {"hot"}
    assert len(lost) == 3
    assert (lost["diverged_at"] == 2).all()
    assert (lost["steps"] == 1).all()
    assert lost["last_loss"].notna().all()
    assert lost[["knowledge", "retained"]].isna().all().all()
    assert cells.loc[cells["status"] != "diverged", "diverged_at"].isna().all()
    scores = tables["scores"]
    own = scores[scores["algorithm"] == "hot"]
    assert set(own["status"]) == {"diverged"}
    valued = set(own.loc[own["value"].notna(), "metric"])
    assert valued
    assert all(metric in ("chance", "majority") or metric.endswith("_base") for metric in valued), valued
    # Every retraining diverged too, the base's as well: nothing came back, and nothing stayed away.
    again = scores[scores["metric"].isin(["R", "R_base"])]
    assert len(again)
    assert again["value"].isna().all()
    assert scores.loc[(scores["algorithm"] == "rmu") & (scores["metric"] == "K"), "value"].notna().any()


def test_summary_pages_figures_and_exports_say_that_cells_diverged(plain):
    results = plain / RESULTS
    said = call(plain, sys.executable, "-m", "mute", "summary", str(RESULTS))
    assert "3 diverged" in said
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "3 diverged" in page
    assert "<h3>Diverged</h3>" in page
    record = artifacts.sealed(results / "exports/llama.0.hot.0.en-es.source.domain.paper.0")
    assert record
    assert record["outcome"]["status"] == "diverged"
    made = [artifacts.read_json(path) for path in (results / "attacks").glob("*/record.json")]
    again = [record["outcome"]["status"] for record in made if record["about"]["attack"] == "retraining"]
    assert set(again) == {"diverged"}
    loaded = Results.read((results / "tables").glob("*.csv"))
    assert len(loaded.divergences()) == 3
    runs = [path.read_bytes() for path in (results / "published/tensorboard").rglob("events*")]
    assert sum(b"diverged" in run for run in runs) == 4, "three cells, and the study that counts them"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def test_no_json_holds_a_number_that_json_has_not(plain):
    read = 0
    for path in plain.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".ipynb") and path.is_file() and ".venv" not in path.parts:
            text = path.read_text(encoding="utf-8")
            for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
                json.loads(part, parse_constant=_no_constant)
                read += 1
    assert read > 50


# What a study takes from the machine


def decoded(path: Path) -> list[bytes]:
    """A file's bytes, and what it holds compressed: members of an archive, columns of text of a Parquet file."""
    data = path.read_bytes()
    found = [data]
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        found.append("\n".join(table.astype(str).to_csv(index=False).splitlines()).encode())
        import pyarrow.parquet as parquet

        found.append(str(parquet.read_schema(path).metadata).encode())
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found += [archive.read(name) for name in archive.namelist()]
    return found


def encodings(word: str) -> list[bytes]:
    """A word as it stands, and in the three ways in which base64 cuts it."""
    found = [word.encode(), word.encode("utf-16-le"), word.encode().hex().encode()]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + word.encode())
        # Letters at the ends hang on what stands beside.
        found.append(whole[math.ceil(shift * 4 / 3) + (shift > 0) : -4])
    return found


@pytest.mark.parametrize("shift", range(3))
def test_a_word_within_base64_is_found(shift):
    """Else the next test could not fail."""
    text = base64.b64encode(b"x" * shift + SECRET.encode() + b"tail of the line")
    assert any(word in text for word in encodings(SECRET))


def test_no_file_of_the_project_has_anything_of_the_environment(elsewhere):
    """Keys, user, host and home; in results, Snakemake's records, W&B's binary files, logs, report and DVC's files."""
    words = encodings(SECRET)
    read, found, kinds = 0, [], set()
    for path in elsewhere.rglob("*"):
        assert SECRET not in path.name
        if path.is_file() and path.relative_to(elsewhere).as_posix() != "tests/workflow/test_same_bytes.py":
            read += 1
            kinds.add(path.suffix)
            if any(word in part for part in decoded(path) for word in words):
                found.append(str(path.relative_to(elsewhere)))
    assert found == []
    assert read > 500
    assert kinds >= {".wandb", ".parquet", ".json", ".log", ".html", ".pdf", ".ipynb", ".safetensors", ".csv"}
    assert (elsewhere / RESULTS / "report.html").is_file()
    assert list((elsewhere / ".snakemake/metadata").iterdir())


def test_no_result_has_a_place_on_this_machine(elsewhere):
    """Neither the project's folder, nor where Python and its packages lie."""
    places = [str(elsewhere), str(Path(sys.prefix)), str(Path.home())]
    words = [place.encode() for place in places if len(place) > 6]
    results = elsewhere / RESULTS
    kept = [p for p in results.rglob("*") if p.is_file() and p.relative_to(results).parts[0] not in ("logs", "cache")]
    found = [str(p.relative_to(results)) for p in kept if any(w in part for part in decoded(p) for w in words)]
    assert found == []


def packages() -> set[str]:
    """Those that the project says it needs: what else lies on the machine is nobody's business."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    return set(re.findall(r'^    "([a-z-]+)(?:\[\w+\])?[>=]', text, re.MULTILINE))


def test_every_key_of_a_record_is_in_the_documented_list(plain):
    text = (Path(__file__).parents[2] / "docs/records.md").read_text(encoding="utf-8")
    table = text.split("## What a record holds")[1].split("##")[0]
    listed = set(re.findall(r"`(\w+)`", table))
    results = plain / RESULTS
    paths = [*results.rglob("record.json"), *(results / "records").rglob("*.json")]
    found = {key for path in paths for key in artifacts.read_json(path)}
    assert len(paths) > 20
    assert found - listed == set()
    assert found >= {"producer", "seconds", "outcome", "files", "victim"}
    machine = {"made_with": set(), "versions": set()}
    for record in map(artifacts.read_json, paths):
        machine["made_with"] |= record.get("made_with", {}).keys()
        machine["versions"] |= (
            record.get("versions", {}).keys() | record.get("made_with", {}).get("versions", {}).keys()
        )
    assert machine["made_with"] == {"versions", "device", "dtype", "threads"} <= listed
    assert machine["versions"] <= {"python", "mute", *packages()}
