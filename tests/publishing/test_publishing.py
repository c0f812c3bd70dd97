"""Publishing: runs made from made-up results, written for both trackers, and read back as they were."""

import json
import math
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from made_up import ABOUT, THE_PAPER, make_tables
from mute.config.problems import ConfigError
from mute.findings.results import Results
from mute.plan import notebook
from mute.plan.rules import Plans
from mute.plotting import layer_curves, trade_off
from mute.publishing import readback, trackers
from mute.publishing import runs as content
from mute.publishing.publish import publish, runs_of
from mute.publishing.trackers import wandb as wandb_tracker
from mute.store import artifacts
from mute.study.checks import checked_study

ROOT = Path(__file__).parents[2]
OPTIONS = {"wandb": {"mode": "offline", "project": "mute", "entity": None}, "tensorboard": {}}
# A third has no exact decimal, and a word may be in any script; long enough for several blocks of W&B's file.
SETTINGS = {"learning_rate": 1 / 3, "note": "हिन्दी", "path": "/data/someone/facts", "long": ["x" * 100] * 900}


class Said:
    """A job's log, as a list."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    note = say

    def progress(self, *_):
        pass


def write_results(folder):
    """A study's tables, records and one figure below `folder`; returns its runs."""
    tables = make_tables(THE_PAPER)
    cells = tables["cells"]
    cells["digest"] = [f"{place:020x}" for place in range(len(cells))]
    tables["cells"] = cells.assign(strength=math.nan, gate="passed")
    for name, table in tables.items():
        artifacts.write_table(folder / f"tables/{name}.csv", table)
    for cell in artifacts.rows(cells):
        key = {name: getattr(cell, name) for name in content.KEYS}
        curve = [{"step": 1, "loss": 2 / 3}, {"step": 2, "loss": None}, {"step": 4, "loss": -1e-9, "knowledge": 1.0}]
        outcome = {"status": "ok", "steps": 4, "knowledge": 0.1 + 0.2, "size": None}
        record = {"plan": {"cell": key, "settings": SETTINGS}, "curve": curve, "outcome": outcome, "seconds": {"a": 1}}
        artifacts.seal(folder / "cells" / cell.digest, record)
    artifacts.write_text(folder / "figures/depth.svg", "<svg/>")
    return read_runs(folder)


def read_runs(folder):
    tables = sorted(map(str, folder.glob("tables/*.csv")))
    return runs_of(folder, "made_up", {"corpora": SETTINGS}, tables, [str(folder / "figures/depth.svg")])


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results of a small study below the folder where the test runs, as a job finds them."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results")
    write_results(folder)
    return folder


def publish_to(tracker, folder, runs=None):
    said = Said()
    publish(runs or read_runs(folder), tracker, folder / "published" / tracker, OPTIONS[tracker], said)
    return next(line for line in said.lines if "published" in line)


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# What a run says


def test_a_run_per_cell_and_one_for_the_study(results):
    *cells, study = read_runs(results)
    table = artifacts.read_table(results / "tables/cells.csv")
    assert [run.config["cell"] for run in cells] == list(table["digest"])
    assert {(run.group, run.job_type) for run in cells} == {("llama", "rmu"), ("llama", "gradient_ascent")}
    assert cells[0].name == "llama.0.rmu.0.en-es.source.domain.matched.0"
    assert cells[0].tags == ("ok", "matched", "passed")
    assert cells[0].history == [{"step": 1, "loss": 2 / 3}, {"step": 4, "loss": -1e-9, "knowledge": 1.0}]
    assert study.files["tables"]["scores.csv"] == results / "tables/scores.csv"
    assert study.summary == {"cells": 4, "cells/ok": 4}
    assert len({run.id for run in (*cells, study)}) == 5


def test_the_summary_says_by_language_what_the_scores_say(results):
    run = read_runs(results)[1]
    scores = artifacts.read_table(results / "tables/scores.csv")
    own = scores[(scores["algorithm"] == "rmu") & (scores["band"] == "1")]

    def value(metric, language, facts, column="value", group="heldout"):
        rows = own[(own["metric"] == metric) & (own["group"] == group)]
        named = rows["language"].isna() if language is None else rows["language"] == language
        kind = rows["facts"].isna() if facts is None else rows["facts"] == facts
        return rows.loc[named & kind, column].item()

    assert run.summary["K/heldout/de"] == value("K", "de", "all")
    assert run.summary["K_transfer/heldout"] == value("K", None, "transfer")
    assert run.summary["K_low/heldout"] == value("K", None, "all", "low")
    assert run.summary["C/source/en"] == value("C", "en", None, group="source")
    assert run.summary["B_high/heldout"] == value("B", None, "all", "high")
    assert run.summary["knowledge"] == 0.1 + 0.2
    assert "size" not in run.summary
    assert not [name for name in run.summary if name.startswith(("chance", "C_reading", "B_base"))]


def test_what_is_missing_in_the_scores_is_left_out(results):
    scores = artifacts.read_table(results / "tables/scores.csv").assign(low=math.nan)
    scores.loc[scores["metric"] == "K", "value"] = math.nan
    found = content.summary(scores[scores["band"] == "1"])
    assert found
    assert not [name for name in found if name.startswith("K") or "_low" in name]


def test_an_id_is_that_of_a_cell_and_what_made_it(results):
    before = read_runs(results)
    table = artifacts.read_table(results / "tables/scores.csv")
    artifacts.write_table(results / "tables/scores.csv", table.assign(value=table["value"] / 2))
    after = read_runs(results)
    assert [run.id for run in after] == [run.id for run in before]
    assert all(a.content != b.content for a, b in zip(before[:3], after))
    cells = artifacts.read_table(results / "tables/cells.csv")
    (results / "cells" / cells["digest"][0]).rename(results / "cells/another")
    artifacts.write_table(results / "tables/cells.csv", cells.replace(cells["digest"][0], "another"))
    again = read_runs(results)
    assert [a.id == b.id for a, b in zip(after, again)] == [False, True, True, True, True]


@pytest.mark.parametrize("place", ["/data/someone/facts", "~/facts", "C:\\someone\\facts", "/srv/someone/facts/"])
def test_no_place_on_this_machine_is_published(place):
    given = {"a": [place, "results/facts"], "b": {"c": place, "d": 1}, "e": "a/b"}
    assert content.placeless(given) == {"a": ["facts", "results/facts"], "b": {"c": "facts", "d": 1}, "e": "a/b"}


def test_results_without_their_records_are_told(results):
    folder = results / "cells" / artifacts.read_table(results / "tables/cells.csv")["digest"][2]
    (folder / "record.json").unlink()
    with pytest.raises(ValueError, match=f"{folder}/record.json cannot be read: run the study here"):
        read_runs(results)


# Written and read back


@pytest.mark.parametrize("tracker", trackers.names())
def test_what_is_read_back_is_what_was_published(tracker, results):
    runs = read_runs(results)
    publish_to(tracker, results)
    found = {run.id: run for run in readback.published(results / "published", tracker)}
    assert found.keys() == {run.id for run in runs}
    for run in runs:
        assert found[run.id].text() == run.text()
        for kind, files in run.files.items():
            assert found[run.id].files[kind].keys() == files.keys()
            assert all(
                found[run.id].files[kind][name].read_bytes() == path.read_bytes() for name, path in files.items()
            )


@pytest.mark.parametrize("tracker", trackers.names())
def test_only_what_changed_is_published_again(tracker, results):
    folder = results / "published" / tracker
    assert "5 published, 0 there already" in publish_to(tracker, results)
    before = stamps(folder)
    assert "0 published, 5 there already" in publish_to(tracker, results)
    assert stamps(folder) == before

    table = artifacts.read_table(results / "tables/scores.csv")
    table.loc[(table["band"] == "1") & (table["metric"] == "C"), "value"] = 0.5
    artifacts.write_table(results / "tables/scores.csv", table)
    runs = read_runs(results)
    # The cell itself, and the run that holds the tables.
    assert "2 published, 3 there already" in publish_to(tracker, results)
    assert {run.id: run.text() for run in readback.published(results / "published", tracker)} == {
        run.id: run.text() for run in runs
    }

    # What the study no longer has goes; a file that was altered comes again.
    file = folder / json.loads((folder / "index.json").read_text())["runs"][runs[1].id]["file"]
    file.write_bytes(file.read_bytes()[:-1])
    assert "1 published, 3 there already" in publish_to(tracker, results, runs[1:])
    assert len(readback.published(results / "published", tracker)) == len(trackers.load(tracker).folders(folder)) == 4


@pytest.mark.parametrize("tracker", trackers.names())
def test_a_killed_call_leaves_nothing_behind(tracker, results):
    publish_to(tracker, results)
    (results / "published" / tracker / "index.json").write_text('{"schema": 1, "runs": {"a": ')
    assert "5 published, 0 there already" in publish_to(tracker, results)
    assert len(trackers.load(tracker).folders(results / "published" / tracker)) == 5


def test_another_project_is_another_place(results):
    publish_to("wandb", results)
    said = Said()
    options = {**OPTIONS["wandb"], "project": "other"}
    publish(read_runs(results), "wandb", results / "published/wandb", options, said)
    assert "5 published" in said.lines[0]


def test_event_files_are_the_same_bytes_each_time(results):
    publish_to("tensorboard", results)
    folder = results / "published/tensorboard"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "index.json").unlink()
    assert "5 published" in publish_to("tensorboard", results)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not [path for path in before if socket.gethostname() in path.name]


def test_tensorboard_itself_reads_the_event_files(results):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.util.tensor_util import make_ndarray

    publish_to("tensorboard", results)
    found = EventMultiplexer().AddRunsFromDirectory(str(results / "published/tensorboard")).Reload()
    name = "llama.0.rmu.1.en-es.source.domain.matched.0"
    assert len(found.Runs()) == 5
    points = found.Tensors(name, "curve/loss")
    assert [(point.step, make_ndarray(point.tensor_proto).item()) for point in points] == [(1, 2 / 3), (4, -1e-9)]
    assert found.SummaryMetadata(name, "summary/K/heldout").plugin_data.plugin_name == "scalars"
    assert "_hparams_/session_start_info" in found.PluginRunToTagToContent("hparams")[name]


@pytest.mark.parametrize("tracker", trackers.names())
def test_a_published_run_that_was_altered_or_cut_is_told(tracker, results):
    publish_to(tracker, results)
    folder = results / "published" / tracker
    index = json.loads((folder / "index.json").read_text())
    file = folder / index["runs"][content.study_id("made_up")]["file"]
    for path in (file, file.with_name("run.json")):
        whole = path.read_bytes()
        for altered in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:]):
            path.write_bytes(altered)
            with pytest.raises(ValueError, match=f"{path.name} is missing or not what was published: publish again"):
                readback.published(results / "published", tracker)
        path.write_bytes(whole)
    assert len(readback.published(results / "published", tracker)) == 5


@pytest.mark.parametrize("tracker", trackers.names())
def test_a_published_table_that_was_altered_or_lost_is_told(tracker, results):
    publish_to(tracker, results)
    where = {"source": tracker, "folder": str(results / "published"), "study": "made_up"}
    table = next((results / "published" / tracker).rglob("cells.csv"))
    table.write_bytes(table.read_bytes().replace(b"ok", b"no"))
    with pytest.raises(ValueError, match=r"not what was published: publish again"):
        readback.tables(where)
    table.unlink()
    with pytest.raises(ValueError, match=r"missing"):
        readback.tables(where)
    with pytest.raises(FileNotFoundError, match=r"this study is not published in .*: run make publish"):
        readback.tables({**where, "study": "another"})
    with pytest.raises(FileNotFoundError, match=r"nothing of .* is published in nowhere"):
        readback.tables({**where, "folder": "nowhere"})


# What leaves this machine, and what does not


PUBLISH = """
import platform, socket
from pathlib import Path
platform.node = socket.gethostname = lambda: "canary-host"
from test_publishing import Said, OPTIONS, read_runs
from mute.publishing.publish import publish
publish(read_runs(Path("results")), "wandb", Path("results/published/wandb"), OPTIONS["wandb"], Said())
"""


def test_offline_files_hold_nothing_of_environment_user_or_machine_and_nothing_is_sent(results, tmp_path):
    """In a process whose environment is full of secrets, whose proxy counts connections, whose home is empty."""
    connections = []
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()

        def count():
            while True:
                try:
                    connections.append(proxy.accept())
                except OSError:
                    return

        threading.Thread(target=count, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        home = tmp_path / "home-of-canary"
        home.mkdir()
        (home / ".netrc").write_text("machine api.wandb.ai login user password canary-netrc-0123456789\n")
        secrets = {
            "WANDB_API_KEY": "canary" + "0" * 34,
            "WANDB_NOTES": "canary notes",
            "WANDB_TAGS": "canary-tag",
            "WANDB_MODE": "online",
            "WANDB_BASE_URL": address,
            "HF_TOKEN": "canary-token",
            "SECRET": "canary-secret",
            "USER": "canary-user",
            "HOME": str(home),
        }
        proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), address)
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), str(Path(__file__).parent)])
        environ = {**os.environ, **secrets, **proxies, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", PUBLISH], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "canary" not in done.stdout + done.stderr
        assert connections == []
        proxy.shutdown(socket.SHUT_RDWR)
    written = [path for path in (tmp_path / "results/published").rglob("*") if path.is_file()]
    assert len([path for path in written if path.suffix == ".wandb"]) == 5
    words = [b"canary", str(tmp_path).encode(), str(ROOT).encode(), b"someone"]
    # A short name would be found by chance among random letters.
    words += [name.encode() for name in (socket.gethostname(), Path.home().name) if len(name) > 5]
    for path in written:
        text = path.read_bytes()
        assert not [word for word in words if word in text], path
    names = {path.name for path in written}
    assert not names & {"wandb-metadata.json", "requirements.txt", "output.log", "debug.log", "debug-internal.log"}
    # Neither the project nor the user's home got anything.
    assert {path.name for path in tmp_path.iterdir()} == {"results", "home-of-canary"}
    assert not [path for path in home.rglob("*") if "wandb" in path.name]


def test_what_cannot_be_sent_fails_nothing_and_is_kept(results, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(wandb_tracker, "PATIENCE", 2.0)
    said, folder = Said(), results / "published/wandb"
    rows = publish(read_runs(results), "wandb", folder, {**OPTIONS["wandb"], "mode": "online"}, said)
    assert len(rows) == 5
    assert "5 of 5 runs could not be sent (W&B took none for 2 s" in said.lines[-1]
    assert said.lines[-1].endswith(f"send them with `WANDB_PROGRAM=mute wandb sync {folder}`")
    monkeypatch.setenv("WANDB_API_KEY", "short")
    wandb_tracker.send(folder, said)
    assert "(Error: WANDB_API_KEY invalid" in said.lines[-1]
    assert not Path("wandb").exists()


# The notebooks, and the configuration


def configured(**publishing):
    return {"study": {"results": "results", "name": "made_up"}, "publishing": publishing}


class Named(list):
    """A list some of whose entries have names, as Snakemake gives them."""

    def __init__(self, *entries, **names):
        super().__init__(entries)
        vars(self).update(names)

    def items(self):
        return vars(self).items()


def figures_of(plan, tables):
    """Bytes of both notebooks' figures, as a job draws them."""

    job = SimpleNamespace(
        rule="explore",
        config={},
        threads=1,
        input=Named(*tables, tables=tables),
        params=Named(plan=plan),
        output=["figure.svg"],
    )
    found = []
    for module in (layer_curves, trade_off):
        given = notebook.opened(job)
        given.show(module.draw(given.results, given.results.about), save=True)
        found.append(Path("figure.svg").read_bytes())
    return found


@pytest.mark.parametrize("source", trackers.names())
def test_notebooks_draw_the_same_bytes_from_published_runs(source, results):
    publish_to(source, results)
    plan = Plans(checked_study(configured(to=[source], notebooks=source))).notebooks()
    assert plan["published"]["source"] == source
    tables = sorted(map(str, results.glob("tables/*.csv")))
    from_tables = figures_of(ABOUT, tables)
    for path in tables:
        Path(path).unlink()
    from_runs = figures_of({**ABOUT, "published": plan["published"]}, tables)
    assert from_runs == from_tables
    assert all(len(figure) > 20_000 for figure in from_tables)


def test_a_notebook_opened_by_hand_reads_published_runs(results, tmp_path):
    publish_to("tensorboard", results)
    (tmp_path / "config").mkdir()
    config = configured(to=["tensorboard"], notebooks="tensorboard")
    (tmp_path / "config/config.yaml").write_text(json.dumps(config))
    tables = {path.stem: artifacts.read_table(path) for path in results.glob("tables/*.csv")}
    for path in results.glob("tables/*.csv"):
        path.unlink()
    given = notebook.opened()
    assert given.output is None
    for name, table in Results(tables).tables.items():
        pd.testing.assert_frame_equal(given.results.tables[name], table)
    assert "published" not in given.results.about


def problems(**publishing):
    with pytest.raises(ConfigError) as raised:
        checked_study(configured(**publishing))
    return raised.value.problems


def test_wrong_settings_of_publishing_are_told_at_once():
    found = problems(to=["wandb", "tensorbord"], notebooks="wandb-api", mode="onlin", project="a/b")
    assert found == [
        "publishing.mode: unknown value 'onlin'; allowed: disabled, offline, online. Did you mean 'online'?",
        "publishing.to[1]: unknown tracker 'tensorbord'; allowed: tensorboard, wandb. Did you mean 'tensorboard'?",
        "publishing.project: name 'a/b' is not allowed: use 1 to 64 letters, digits, '_', '-' or '.', starting with a "
        "letter or digit, without '..'",
        "publishing.notebooks: unknown source of notebooks 'wandb-api'; "
        "allowed: tables, tensorboard, wandb, wandb_api. Did you mean 'wandb_api'?",
    ]
    assert problems(notebooks="tensorboard") == [
        "publishing.notebooks: tensorboard needs runs that nobody publishes: put tensorboard into publishing.to"
    ]
    assert "publishing.mode must not be disabled" in problems(notebooks="wandb_api", mode="disabled")[0]
    assert problems(to=["wandb", "wandb"]) == ["publishing.to: wandb stands more than once"]


def test_what_is_published_where_is_one_setting():
    def trackers_of(**publishing):
        return list(Plans(checked_study(configured(**publishing))).publishing()["trackers"])

    assert trackers_of() == ["wandb"]
    assert trackers_of(to=["wandb", "tensorboard"]) == ["tensorboard", "wandb"]
    assert trackers_of(to=[]) == trackers_of(mode="disabled") == []
    assert trackers_of(to=["tensorboard", "wandb"], mode="disabled") == ["tensorboard"]


def test_where_results_are_shown_changes_no_result():
    plain, shown = (
        Plans(checked_study(configured(**given))) for given in ({}, {"to": ["tensorboard"], "with_study": True})
    )
    assert plain.paper() == shown.paper()
    assert plain.figures() == shown.figures() == shown.notebooks()
    assert (plain.published_with_study(), shown.published_with_study()) == ([], ["<results>/published.csv"])
    # No circle: what the notebooks draw from published runs is not published.
    circle = Plans(checked_study(configured(notebooks="wandb")))
    assert "<results>/figures/trade_off.svg" in plain.published_figures()
    assert "<results>/figures/trade_off.svg" not in circle.published_figures()


def test_the_workflow_is_read_without_any_tracker():
    code = "import sys, mute.plan.rules; print([m for m in ('wandb', 'tensorboard', 'torch') if m in sys.modules])"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True).stdout == "[]\n"


def test_a_runs_summary_is_of_the_cell_as_it_was_left():
    """Scores of the attacked model stand in the tables, and so do details."""
    scores = make_tables(THE_PAPER)["scores"]
    own = scores[(scores["algorithm"] == "rmu") & (scores["band"] == "1") & (scores["attack"] == "")]
    under = own[own["metric"] == "K"].assign(metric="R", attack="rtn4", value=0.77)
    attacked = pd.concat([own.assign(attack=""), under])
    found = content.summary(attacked)
    assert found == content.summary(own)
    assert found["K/heldout"] == pytest.approx(0.1)
    assert not any(name.startswith(("C_sentences", "B_base", "chance")) for name in found)
