"""A finished study in the trackers: W&B's real offline files, `wandb sync`, `wandb.Api`, TensorBoard, and notebooks.

What is expected is read from tables and records here, on a way of its own.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import wandb_server
from test_workflow import MICRO, copy_project, fork, planned, run, snakemake, stamps

from mute.bands import KEYS
from mute.publishing import readback, runs
from mute.store import artifacts

pytestmark = pytest.mark.integration

BOTH = ["--config", "publishing={to: [wandb, tensorboard]}"]
RESULTS = Path("results/micro")
KEY = "k" * 40
METRICS = ("K", "C", "B", "accuracy_strict", "B_retrained")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project whose micro study ran and was published to both trackers."""
    project = copy_project(tmp_path_factory.mktemp("published"))
    run(project, *BOTH, "--", "publish")
    return project


@pytest.fixture
def changed(finished, tmp_path):
    return fork(finished, tmp_path / "changed")


def published(project, tracker):
    """Runs by name, as they are read back."""
    return {run.name: run for run in readback.published(project / RESULTS / "published", tracker)}


def expected(project):
    """Rows of the table of cells, with what their records and the other tables say."""
    tables = {path.stem: artifacts.read_table(path) for path in (project / RESULTS / "tables").glob("*.csv")}
    for cell in artifacts.rows(tables["cells"]):
        record = artifacts.read_json(project / RESULTS / "cells" / cell.digest / "record.json")
        own = {}
        for name in ("scores", "curves"):
            same = pd.Series(True, index=tables[name].index)
            for key in KEYS:
                same &= tables[name][key] == getattr(cell, key)
            own[name] = tables[name][same]
        name = ".".join(str(getattr(cell, key)) for key in KEYS)
        yield name, cell, record, own["scores"], own["curves"]


@pytest.mark.parametrize("tracker", ["wandb", "tensorboard"])
def test_every_run_says_what_tables_and_records_say(finished, tracker):
    found = published(finished, tracker)
    cells = list(expected(finished))
    assert found.keys() == {"micro", *(name for name, *_ in cells)}
    compared = 0
    for name, cell, record, scores, curves in cells:
        one = found[name]
        assert (one.group, one.job_type) == (cell.model, cell.algorithm)
        assert one.tags == (cell.status, cell.protocol, cell.gate)
        for key in KEYS:
            assert one.config[key] == getattr(cell, key)
        for key in ("settings", "method", "bench", "engine", "trained", "code"):
            assert one.config[key] == record["plan"][key]
        assert one.config["cell"] == cell.digest
        # The curve of the record, all its digits; and, to the digits of a table, that of the table.
        assert one.history == [
            {key: value for key, value in row.items() if value is not None} for row in record["curve"]
        ]
        for point, row in zip(one.history, artifacts.rows(curves), strict=True):
            assert point["step"] == row.step
            for key in ("loss", "knowledge", "size"):
                value = getattr(row, key)
                assert float(f"{point[key]:.6g}") == value if key in point else math.isnan(value)
        assert one.summary["steps"] == cell.steps
        assert one.summary["status"] == cell.status
        for row in artifacts.rows(scores[scores["metric"].isin(METRICS)]):
            if row.facts in ("all", "taught", "transfer") or pd.isna(row.facts):
                if row.metric != "K" and row.facts in ("taught", "transfer"):
                    continue
                kind = f"_{row.facts}" if row.facts in ("taught", "transfer") else ""
                place = "/".join([row.group] + ([] if pd.isna(row.language) else [row.language]))
                given = one.summary.get(f"{row.metric}{kind}/{place}", math.nan)
                assert given == row.value or (math.isnan(given) and math.isnan(row.value))
                compared += not math.isnan(given)
                if pd.isna(row.language) and not math.isnan(row.low) and not math.isnan(row.value):
                    assert one.summary[f"{row.metric}{kind}_low/{place}"] == row.low
                    assert one.summary[f"{row.metric}{kind}_high/{place}"] == row.high
    assert compared > 20 * len(cells), "languages and groups were compared"


@pytest.mark.parametrize("tracker", ["wandb", "tensorboard"])
def test_tables_and_figures_are_published_byte_for_byte(finished, tracker):
    study = published(finished, tracker)["micro"]
    for kind, ending in (("tables", "csv"), ("figures", "svg")):
        files = {path.name: path for path in (finished / RESULTS / kind).glob(f"*.{ending}")}
        assert study.files[kind].keys() == files.keys()
        for name, path in files.items():
            assert study.files[kind][name].read_bytes() == path.read_bytes()
            assert study.files[kind][name] != path
    assert study.config["config"]["models"]["llama"]["blocks"] == 2
    assert study.config["config"]["study"]["results"] == str(RESULTS)


def test_publishing_again_publishes_nothing(changed):
    before = stamps(changed / RESULTS / "published")
    assert "Nothing to be done" in run(changed, *BOTH, "--", "publish")
    (changed / RESULTS / "published.csv").unlink()
    said = run(changed, *BOTH, "--", "publish")
    assert said.count("0 published, 6 there already") == 2
    assert stamps(changed / RESULTS / "published") == before


def test_a_study_is_published_when_asked_only(finished):
    assert "publish_results" not in planned(finished)
    only = planned(finished, *MICRO, "--config", "publishing={to: [tensorboard], with_study: true}")
    # Summary and metrics are of the study, and were not asked for.
    assert only.keys() == {"publish_results", "summarise", "write_metrics", "all"}
    moved = planned(finished, *MICRO, "--config", "publishing={project: other}", "--", "publish")
    assert moved.keys() == {"publish_results", "publish"}


def test_nothing_is_written_outside_the_results(finished):
    top = {path.name for path in finished.iterdir()} - {".snakemake", ".pytest_cache", "results"}
    known = {path.name for path in Path(__file__).parents[2].iterdir()}
    assert top <= known - {"wandb"} | {"src"}


# W&B's own clients, against a stand-in for its server


def environment(server, tmp_path):
    """The user's: with a key, which only the client reads."""
    own = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_ERROR_REPORTING": "false"}
    own["WANDB_PROGRAM"] = "mute"  # as docs/publishing.md has it: else the client sends where it lies itself
    return {**os.environ, **own, "WANDB_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path / "cache")}


def sync(project, server, tmp_path, *arguments):
    command = [sys.executable, "-m", "wandb", "sync", *arguments, str(RESULTS / "published/wandb")]
    environ = environment(server, tmp_path)
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def check_sent(project, server):
    """What the server holds is what the tables and records say."""
    found = {own["displayName"]: own for own in server.runs.values()}
    assert len(found) == 6
    for name, cell, record, scores, _ in expected(project):
        own = found[name]
        assert (own["groupName"], own["jobType"], own["project"]) == (cell.model, cell.algorithm, "mute")
        assert own["tags"] == [cell.status, cell.protocol, cell.gate]
        config = json.loads(own["config"])
        assert config["settings"]["value"] == record["plan"]["settings"]
        curve = [
            {key.removeprefix("curve/"): value for key, value in row.items() if key.startswith("curve/")}
            | {"step": row["_step"]}
            for _, row in sorted(own["history"].items())
        ]
        assert curve == [{key: value for key, value in row.items() if value is not None} for row in record["curve"]]
        rows = scores[(scores["metric"] == "accuracy_strict") & (scores["facts"] == "all") & scores["language"].notna()]
        assert len(rows) == 3
        for row in artifacts.rows(rows):
            assert own["summary"][f"accuracy_strict/{row.group}/{row.language}"] == row.value
    sent = {artifact["type"]: artifact for artifact in server.artifacts.values()}
    assert sent.keys() == {"tables", "figures"}
    for kind, artifact in sent.items():
        assert artifact["committed"]
        files = {path.name: path.read_bytes() for path in (project / RESULTS / kind).iterdir()}
        assert artifact["files"] == files
    # The key is sent as the client sends it, and stands in nothing else; no run has a host, a place or a commit.
    assert not [path for method, path, body in server.requests if KEY.encode() in body]
    assert not [own for own in server.runs.values() if own.get("host") or own.get("repo") or own.get("commit")]
    assert {own["program"] for own in server.runs.values()} == {"mute"}
    assert not [path for _, path, body in server.requests if str(Path(sys.prefix)).encode() in body]


def test_wandb_sync_sends_what_was_published(changed, tmp_path):
    with wandb_server.running() as server:
        assert "Would sync 6 run(s)" in sync(changed, server, tmp_path, "--dry-run")
        assert server.runs == {}
        sync(changed, server, tmp_path)
        check_sent(changed, server)
        asked = len(server.requests)
        assert "No runs to sync" in sync(changed, server, tmp_path)
        assert len(server.requests) == asked
    # That they were sent changes nothing for the next call.
    (changed / RESULTS / "published.csv").unlink()
    assert run(changed, *BOTH, "--", "publish").count("0 published, 6 there already") == 2


def drawn(project, source, **environ):
    """Both notebooks' figures drawn anew by their rules, from published runs, without the tables."""
    names = ("layer_curves", "trade_off")
    for name in names:
        (project / RESULTS / f"figures/{name}.svg").unlink(missing_ok=True)
    figures = [str(RESULTS / f"figures/{name}.svg") for name in names]
    mode = "online" if source == "wandb_api" else "offline"
    config = f"publishing={{to: [wandb, tensorboard], notebooks: {source}, mode: {mode}}}"
    old = dict(os.environ)
    os.environ.update(environ)
    try:
        said = run(project, "--config", config, "--", *figures)
    finally:
        os.environ.clear()
        os.environ.update(old)
    return said, [(project / path).read_bytes() for path in figures]


@pytest.mark.parametrize("source", ["wandb", "tensorboard", "wandb_api"])
def test_notebooks_draw_the_same_figures_from_published_runs(finished, changed, source, tmp_path):
    wanted = [(finished / RESULTS / f"figures/{name}.svg").read_bytes() for name in ("layer_curves", "trade_off")]
    with wandb_server.running() as server:
        given = environment(server, tmp_path)
        own = {name: value for name, value in given.items() if name.startswith("WANDB")}
        said, found = drawn(changed, source, **own)
        assert found == wanted
        if source == "wandb_api":
            assert "wandb: 6 runs sent" in said
            asked = [body for _, path, body in server.requests if path == "/graphql"]
            assert [body for body in asked if b"FetchArtifactManifest" in body], "the notebooks asked the server"
        else:
            assert server.requests == []
    executed = json.loads((changed / RESULTS / "logs/notebooks/trade_off.ipynb").read_text())
    assert not [o for cell in executed["cells"] for o in cell.get("outputs", []) if o["output_type"] == "error"]


def test_the_api_gives_the_run_with_its_tables(changed, tmp_path, monkeypatch):
    with wandb_server.running() as server:
        sync(changed, server, tmp_path)
        code = (
            "import sys, json; from pathlib import Path; from mute.publishing import readback\n"
            "given = {'study': sys.argv[1], 'project': 'mute', 'entity': None}\n"
            "run = readback.from_api(given, Path(sys.argv[2]))\n"
            "print(json.dumps([run.id, run.name, run.config['study'], run.summary]))"
        )

        def ask(study, **more):
            command = [sys.executable, "-c", code, study, str(tmp_path / "down")]
            environ = {**environment(server, tmp_path), "PYTHONPATH": str(changed / "src"), **more}
            return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)

        done = ask("micro")
        assert done.returncode == 0, done.stderr
        cells = pd.read_csv(changed / RESULTS / "tables/cells.csv")
        counts = {f"cells/{status}": int(n) for status, n in cells["status"].value_counts().items()}
        assert json.loads(done.stdout.splitlines()[-1]) == [
            runs.study_id("micro"),
            "micro",
            "micro",
            {"cells": len(cells), **counts},
        ]
        for path in (changed / RESULTS / "tables").iterdir():
            assert (tmp_path / "down/tables" / path.name).read_bytes() == path.read_bytes()
        assert "W&B does not give run mute/" in ask("another").stderr
        refused = ask("micro", WANDB_API_KEY="short").stderr
        assert "Log in with `wandb login`" in refused


def test_without_a_key_the_study_succeeds_and_says_how_to_send(changed, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    shutil.rmtree(changed / RESULTS / "published")
    (changed / RESULTS / "published.csv").unlink()
    old = dict(os.environ)
    os.environ["HOME"] = str(home)
    try:
        done = snakemake(changed, "--cores", "1", *MICRO, "--config", "publishing={mode: online, with_study: true}")
    finally:
        os.environ.clear()
        os.environ.update(old)
    assert done.returncode == 0, done.stderr
    assert "6 of 6 runs could not be sent (Error: No API key configured." in done.stderr
    assert f"send them with `WANDB_PROGRAM=mute wandb sync {RESULTS}/published/wandb`" in done.stderr
    assert len(published(changed, "wandb")) == 6
