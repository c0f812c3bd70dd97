"""How a study is said to stand: on made-up folders, each state; what logs say; and that nothing damaged stops it."""

import base64
import fcntl
import json
import os
import random
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_front_door import study as front_door
from test_workflow import ROOT, snakemake

from mute.__main__ import main
from mute.bands import KEYS
from mute.plan.rules import Plans
from mute.status import command, logs, page, text
from mute.status import standing as status
from mute.status.plan import Jobs
from mute.store import seals
from mute.study.cells import Study
from mute.study.checks import checked_study, read_study
from mute.unlearn import own

CONFIGS = ["config/config.yaml", "config/micro.yaml"]
BEGAN = "2026-01-02T030405.000001"


@pytest.fixture
def micro(tmp_path, monkeypatch) -> Study:
    """The micro study, in an empty folder."""
    study = read_study(*(ROOT / name for name in CONFIGS))
    monkeypatch.chdir(tmp_path)
    return study


def job_of(study: Study, rule: str):
    return next(job for job in Jobs(study).whole if job.rule == rule)


def write(path: str | Path, content: str = "x") -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def finish(study: Study, *, but: tuple[str, ...] = ()) -> None:
    """Make every output and log of the study's jobs, but those of some rules."""
    for job in Jobs(study).whole:
        if job.rule not in but:
            for path in job.outputs:
                write(path)
            write(job.log, "     0.0 s  started\n     1.0 s  done\n")
    if "unlearn_shard" not in but:
        write_cells(study)


def write_cells(study: Study, **statuses: str) -> None:
    for shard, cells in study.shards.items():
        rows = [",".join((*KEYS, "digest", "status"))]
        rows += [
            ",".join([*map(str, c.key().values()), f"d{i}", statuses.get(c.algorithm, "ok")])
            for i, c in enumerate(cells)
        ]
        write(f"results/micro/shards/{shard}/cells.csv", "\n".join(rows) + "\n")


def fail(study: Study, rule: str, log: str, *, why: str = "returned non-zero exit status 1.", stopped: bool = False):
    """What a job that fails leaves: no output, its log, and what Snakemake says of it in the log of its run."""
    job = job_of(study, rule)
    for path in job.outputs:
        Path(path).unlink(missing_ok=True)
    write(job.log, log)
    said = ["Select jobs to execute...", "Execute 2 jobs...", "[now]"]
    said += ["Terminating processes on user request, this might take some time."] * stopped
    said += [
        "RuleException:",
        f"Command 'set -euo pipefail;  python {rule}.py' {why}",
        "[now]",
        f"Error in rule {rule}:",
    ]
    said += ["    jobid: 3", f"    output: {', '.join(job.outputs)}"]
    said += [f"    log: {job.log} (check log file(s) for error details)", f"Logfile {job.log}:", "====", log, "===="]
    write(f".snakemake/log/{BEGAN}.snakemake.log", "\n".join(said))
    return job


def standing(found: status.Status, rule: str) -> status.Standing:
    return next(s for s in found.jobs if s.job.rule == rule)


def mark(path: str) -> None:
    """Snakemake's mark on an output that is being made."""
    write(Path(".snakemake/incomplete", base64.urlsafe_b64encode(path.encode()).decode()))


# The jobs


def summary(project: Path, *arguments: str) -> set[tuple[str, str, str]]:
    """Rule, output and log of every file of the workflow; the log of a job that never ran is a dash."""
    done = snakemake(project, "--summary", "--configfile", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line][1:]
    return {(row[2].replace("pretrain_longest", "pretrain_model"), row[0], row[3]) for row in rows}


def agrees(listed: set[tuple[str, str, str]], jobs: list) -> bool:
    known = {path: (job.rule, job.log) for job in jobs for path in job.outputs}
    assert {path: rule for rule, path, _ in listed} == {path: rule for path, (rule, _) in known.items()}
    return all(log in ("-", known[path][1]) for _, path, log in listed)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["config", "reproduction", "paper"])
def test_the_jobs_and_their_outputs_are_those_of_the_workflow(config):
    listed = summary(ROOT, f"config/{config}.yaml")
    assert agrees(listed, Jobs(command.read_study([f"config/{config}.yaml"])).whole)
    assert len(listed) > 40


def test_what_a_configuration_adds_and_what_has_to_be_asked_for_is_known_as_well(tmp_path, monkeypatch):
    tasks = "tasks: [mute_facts], task_folder: tests/data/harness"
    more = f"exports: {{cells: [{{algorithm: rmu}}], {tasks}}}\npublishing: {{with_study: true}}"
    own = write(tmp_path / "more.yaml", more)
    monkeypatch.chdir(ROOT)
    jobs = Jobs(command.read_study(["config/micro.yaml", str(own)]))
    export = next(job for job in jobs.asked if job.rule == "export_model")
    listed = summary(ROOT, "config/micro.yaml", str(own), "--", "all", "paper", *export.outputs)
    exported = [job for job in jobs.asked if job.rule != "export_model"]
    assert agrees(listed, [*jobs.whole, *exported, export])
    assert {"run_harness", "collect_harness", "publish_results"} <= {job.rule for job in jobs.whole}


# States


def test_a_fresh_clone_is_pending_and_says_how_to_begin(micro):
    found = status.collect(micro, "make study CONFIG=config/micro.yaml")
    assert found.code == status.PENDING
    assert set(found.counts) == {"pending"}
    said = text.terminal(found)
    assert "0 of 18 jobs done, 18 pending" in said
    assert said.endswith("To begin:\n  make study CONFIG=config/micro.yaml\n")
    assert not list(Path().iterdir()), "to ask writes nothing"


def test_a_finished_study_is_complete_and_counts_what_its_cells_came_to(micro):
    finish(micro)
    write_cells(micro, slug="diverged", rmu="not_reached")
    write("results/micro/gates/llama-s0.csv", "measure,passed,trained\nrecall,False,llama-s0\n")
    found = status.collect(micro)
    assert found.code == status.COMPLETE
    columns, rows = text.cell_counts(found)
    assert columns == ["model", "algorithm", "cells", "ok", "not reached", "diverged", "below gate"]
    assert rows == [
        ["llama", "gradient_ascent", 1, 1, 0, 0, 1],
        ["llama", "rmu", 2, 0, 2, 0, 2],
        ["llama", "slug", 2, 0, 0, 2, 2],
    ]
    said = text.terminal(found)
    assert "complete. 18 of 18 jobs done." in said
    assert "make study" not in said


def test_a_diverged_cell_is_told_with_its_step_and_last_loss(micro):
    finish(micro)
    write_cells(micro, slug="diverged")
    (path,) = Path("results/micro/shards").glob("*/cells.csv")
    head, *rows = path.read_text().splitlines()
    first = next(i for i, row in enumerate(rows) if row.endswith("diverged"))
    rows = [f"{row},{'7.0,12.34567' if i == first else ','}" for i, row in enumerate(rows)]
    path.write_text("\n".join([f"{head},diverged_at,last_loss", *rows]) + "\n")
    told = text.diverged(status.collect(micro))
    assert told == [
        "llama.0.slug.0.en-es.source.domain.matched.0: step 7, last finite loss 12.35",
        "llama.0.slug.1.en-es.source.domain.matched.0",
    ]


def test_data_that_cannot_be_used_fail_with_the_message_of_the_job(micro):
    finish(micro, but=("make_tables", "draw_figures", "summarise"))
    trace = write("results/micro/logs/check_gates/llama-s0.traceback", "Traceback ...")
    reason = "the corpus files cannot be used:\n  - hi: no file\n  - en: no column"
    log = f"     0.0 s  started\n     1.0 s  stopped: {reason}\n     1.0 s  where in the code: {trace}\n"
    job = fail(micro, "check_gates", log)
    found = status.collect(micro)
    assert found.code == status.FAILED
    one = standing(found, "check_gates")
    assert one.reason == "the corpus files cannot be used: hi: no file (and 1 more line in the log)"
    assert (one.log, one.traceback) == (job.log, str(trace))
    assert found.counts == {"done": 14, "failed": 1, "pending": 3}
    said = text.terminal(found)
    assert f"check_gates llama-s0: {one.reason}\n    log:       {job.log}\n    traceback: {trace}\n" in said


def test_a_bug_fails_with_its_exception(micro):
    finish(micro)
    fail(micro, "score_layers", "     0.0 s  started\n     3.1 s  failed: KeyError: 'nothing'\n")
    assert standing(status.collect(micro), "score_layers").reason == "KeyError: 'nothing'"


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("died with <Signals.SIGKILL: 9>.", "killed (SIGKILL), as happens when memory runs out"),
        ("died with <Signals.SIGSEGV: 11>.", "killed (SIGSEGV)"),
        ("returned non-zero exit status 1.", "exit status 1; its log does not say why"),
    ],
)
def test_a_job_that_was_killed_fails_with_what_snakemake_saw(micro, why, reason):
    finish(micro)
    fail(micro, "attack_shard", "     0.0 s  started\n", why=why)
    assert standing(status.collect(micro), "attack_shard").state == "failed"
    assert standing(status.collect(micro), "attack_shard").reason == reason


def test_a_job_that_left_no_log_is_told_with_that_of_snakemake(micro):
    finish(micro)
    job = fail(micro, "attack_shard", "")
    Path(job.log).unlink()
    assert standing(status.collect(micro), "attack_shard").log == f".snakemake/log/{BEGAN}.snakemake.log"


def test_a_notebook_that_failed_tells_its_exception(micro):
    finish(micro)
    cells = [{"outputs": [{"output_type": "error", "ename": "KeyError", "evalue": "'K'"}]}]
    fail(micro, "explore_layers", json.dumps({"cells": [{"cell_type": "markdown"}, *cells]}))
    assert standing(status.collect(micro), "explore_layers").reason == "KeyError: 'K'"


def test_what_a_run_took_down_with_it_has_not_failed(micro):
    """Ctrl-C: Snakemake calls its jobs failed; kill -9: it says nothing."""
    finish(micro)
    job = fail(micro, "evaluate_shard", "     0.0 s  started\n", stopped=True)
    assert standing(status.collect(micro), "evaluate_shard").state == "stopped"
    write(f".snakemake/log/{BEGAN}.snakemake.log", "Execute 1 jobs...\n")
    mark(job.outputs[0])
    found = status.collect(micro)
    assert standing(found, "evaluate_shard").state == "stopped"
    assert found.code == status.PENDING
    assert "Stopped together with their run, and no failures:\n  evaluate_shard llama\n" in text.terminal(found)


def test_an_output_that_snakemake_marked_is_not_done(micro):
    finish(micro)
    mark(job_of(micro, "make_tables").outputs[0])
    assert standing(status.collect(micro), "make_tables").state == "stopped"


def test_a_run_under_way_is_seen_by_its_lock(micro):
    finish(micro, but=("evaluate_shard", "attack_shard", "score_shard", "make_tables"))
    for rule, log in (("evaluate_shard", "     0.0 s  started\n"), ("attack_shard", "     2.0 s  stopped: bad\n")):
        write(job_of(micro, rule).log, log)
    mark(job_of(micro, "evaluate_shard").outputs[0])
    write(f".snakemake/log/{BEGAN}.snakemake.log", "x\nExecute 1 jobs...\n")
    with Path(".study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = status.collect(micro)
    assert found.under_way
    states = {rule: standing(found, rule).state for rule in ("evaluate_shard", "attack_shard", "score_shard")}
    assert states == {"evaluate_shard": "running", "attack_shard": "failed", "score_shard": "pending"}
    assert "a run is under way" in text.terminal(found)
    assert not status.is_under_way()


def test_what_failed_before_the_run_that_is_under_way_waits_for_it(micro):
    finish(micro)
    job = fail(micro, "attack_shard", "     2.0 s  stopped: bad\n")
    then = time.time() - 3600
    os.utime(job.log, (then, then))
    now = time.strftime("%Y-%m-%dT%H%M%S")
    write(f".snakemake/log/{now}.000000.snakemake.log", "x\nExecute 1 jobs...\n")
    assert standing(status.collect(micro, under_way=True), "attack_shard").state == "pending"
    assert standing(status.collect(micro), "attack_shard").state == "failed"


def test_to_ask_does_not_keep_a_run_from_starting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Path(".study.lock").open("w") as other, Path(".study.lock").open("w") as lock:
        fcntl.flock(other, fcntl.LOCK_SH)
        monkeypatch.setattr(front_door.time, "sleep", lambda _: fcntl.flock(other, fcntl.LOCK_UN))
        front_door.take(lock)
        with Path(".study.lock").open() as third, pytest.raises(BlockingIOError):
            fcntl.flock(third, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_cells_of_a_shard_that_is_not_done_are_found_in_the_store(micro):
    finish(micro, but=("unlearn_shard", "evaluate_shard", "attack_shard", "score_shard", "make_tables", "summarise"))
    (shard,) = micro.shards
    first, second, third, *_ = Plans(micro).shard(type("W", (), {"shard": shard}))["cells"]
    for name, plan, word in (("a", first, "ok"), ("b", second, "diverged"), ("c", {**third, "code": "older"}, "ok")):
        kept = {key: value for key, value in plan.items() if key != "draw"}
        write(f"results/micro/cells/{name}/record.json", json.dumps({"plan": kept, "outcome": {"status": word}}))
    found = status.collect(micro)
    assert [one.status for one in found.cells] == ["ok", "diverged", "", "", ""]
    assert text.cell_counts(found)[0][3:] == ["ok", "diverged", "pending"]


def test_tables_that_other_settings_made_do_not_make_a_study_complete(micro):
    finish(micro)
    tables = job_of(micro, "make_tables")
    Path(tables.outputs[-1]).unlink()
    found = status.collect(micro)
    assert found.code == status.PENDING
    assert "other settings or other code" in found.notes[0]


def test_a_study_whose_tables_were_pulled_needs_no_jobs_before_them(micro):
    """As after `dvc pull` and `make figures`."""
    made_here = ("make_tables", "draw_figures", "explore_layers", "explore_trade_off", "write_metrics", "summarise")
    finish(micro, but=tuple({job.rule for job in Jobs(micro).whole} - set(made_here)))
    found = status.collect(micro)
    assert (found.code, found.counts.total()) == (status.COMPLETE, 6)


def test_what_is_shorter_than_its_seal_says_is_made_again(micro):
    finish(micro)
    path = Path(job_of(micro, "score_shard").outputs[0])
    write(path, "whole")
    seals.write(Path("results/micro"), [path], {})
    assert status.collect(micro).code == status.COMPLETE
    write(path, "who")
    found = status.collect(micro)
    assert standing(found, "score_shard").state == "pending"
    assert f"{path} has not the size that it was written with" in found.notes[0]


def test_the_paper_counts_once_it_was_asked_for(micro):
    finish(micro)
    job = next(job for job in Jobs(micro).asked if job.rule == "compile_paper")
    write(job.log, "     1.0 s  stopped: no font\n")
    found = status.collect(micro)
    assert (found.code, standing(found, "compile_paper").reason) == (status.FAILED, "no font")


# Damage


def damages(path: Path, rng: random.Random):
    """Ways in which a file can be broken."""
    content = path.read_bytes()
    yield lambda: path.write_bytes(b"")
    yield lambda: path.write_bytes(content[: rng.randrange(len(content) + 1)])
    yield lambda: path.write_bytes(rng.randbytes(300))
    yield lambda: path.write_bytes(b"\xff\xfe{[\x00" + content)
    yield lambda: path.write_text('{"outcome": [1], "plan": {"cell": 3}, "cells": {"a": 1}}')
    yield lambda: path.write_text("[" * 100_000)
    yield lambda: (path.unlink(), path.mkdir())
    yield lambda: (path.rmdir(), path.symlink_to("nowhere"))


def test_nothing_that_is_damaged_stops_it(micro):
    finish(micro, but=("make_tables",))
    fail(micro, "check_gates", "     0.0 s  started\n     1.0 s  stopped: x\n")
    fail(micro, "explore_layers", json.dumps({"cells": []}))
    write("results/micro/cells/d0/record.json", json.dumps({"plan": {}, "outcome": {}}))
    write_cells(micro, rmu="diverged")
    mark("results/micro/summary.rst")
    seals.write(Path("results/micro"), [Path("results/micro/corpus/facts.csv")], {})
    rng, tried = random.Random(1), 0
    files = [path for path in Path().rglob("*") if path.is_file()]
    read = (".snakemake", "logs", "cells", "cells.csv", "gates", "notebooks", "records")
    for path in files:
        if set(path.parts) & set(read):
            for damage in damages(path, rng):
                damage()
                found = status.collect(micro)
                assert text.terminal(found)
                page.write(found)
                tried += 1
    assert tried > 100


def test_a_configuration_that_is_wrong_is_told_and_no_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (tmp_path / "my.yaml").write_text("study: {seeed: 1}")
    assert main(["status", str(tmp_path / "my.yaml")]) == os.EX_CONFIG
    assert "study.seeed" in capsys.readouterr().err


# What is said


@pytest.mark.parametrize(
    ("configs", "arguments", "cores", "said"),
    [
        ([], [], "all", "make study"),
        (["config/config.yaml"], [], "all", "make study"),
        (
            ["config/smoke.yaml", "my study.yaml"],
            [],
            "2",
            "make study CONFIG='config/smoke.yaml my study.yaml' CORES=2",
        ),
        (["a.yaml"], ["--", "paper", "all"], "all", "make study CONFIG=a.yaml ARGS='-- paper all'"),
    ],
)
def test_the_command_that_goes_on_is_the_one_that_was_typed(configs, arguments, cores, said):
    assert command.go_on(configs, arguments, cores) == said


def test_the_command_says_again_that_own_code_may_run(monkeypatch):
    monkeypatch.setenv(own.FLAG, "1")
    assert command.go_on(["a.yaml"]) == "make study CONFIG=a.yaml OWN_CODE=1"
    monkeypatch.setattr(command.project, "is_here", lambda: False)
    assert command.go_on(["a.yaml"]) == "mute run a.yaml --own-code"


def test_the_command_says_to_make_what_was_said_to_it():
    """Through make and the shell come the same arguments."""
    arguments = ["--config", "study={seed: 2}", "a='$x y'", "--", "all"]
    typed = command.go_on(["a.yaml", "b.yaml"], arguments, "3")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = [*shlex.split(typed), "-n", "-o", ".venv/installed"]
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert shlex.split(done.stdout)[2:] == ["run", "--cores", "3", "--configfile", "a.yaml", "b.yaml", "--", *arguments]


def test_settings_of_the_command_line_are_part_of_the_study(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = command.read_study(["config/micro.yaml"], ["--config", "study={results: results/x, seed: 7}", "--", "all"])
    assert (study.config.study.results, study.config.study.seed, study.models) == ("results/x", 7, ["llama"])


def test_many_failures_are_listed_in_part_and_all_are_on_the_page(micro):
    finish(micro)
    found = status.collect(micro)
    job = job_of(micro, "score_shard")
    found.jobs = [status.Standing(job, "failed", f"reason {i}.", job.log) for i in range(50)]
    said = text.terminal(found)
    assert said.count("reason ") == 20
    assert "Failed: 50 jobs" in said
    assert "and 30 more" in said
    assert page.write(found).read_text(encoding="utf-8").count("reason ") == 50


def test_the_page_links_to_logs_by_their_way_from_it(micro):
    finish(micro)
    trace = write("results/micro/logs/check_gates/llama-s0.traceback", "Traceback")
    log = f"     0.0 s  started\n     1.0 s  stopped: <b>&\n     1.0 s  where in the code: {trace}\n"
    fail(micro, "check_gates", log)
    found = status.collect(micro, "make study CONFIG=config/micro.yaml")
    path = page.write(found)
    written = path.read_text(encoding="utf-8")
    assert path == Path("results/micro/status.html")
    links = re.findall(r'href="([^"#]+)"', written)
    assert {"logs/check_gates/llama-s0.log", "logs/check_gates/llama-s0.traceback"} <= set(links)
    assert all((path.parent / target).is_file() for target in links)
    assert "&lt;b&gt;&amp;" in written
    assert "<b>" not in written
    assert "make study CONFIG=config/micro.yaml" in written
    assert "<script src" not in written


def test_the_page_does_not_make_the_report_old(tmp_path):
    for name, when in (("report.html", 90), ("tables/a.csv", 10), ("status.html", 95), ("smoke/status.html", 95)):
        path = write(tmp_path / name)
        os.utime(path, (when, when))
    assert front_door.newest_change(tmp_path, tmp_path / "report.html") == 10


# What jobs leave


BODY = """
import sys, types
from mute.jobs.logs import Log
log = Log(__import__("pathlib").Path("logs/a.log"), "a")
log.note("started")
"""


@pytest.mark.parametrize(
    ("body", "reason", "traced"),
    [
        ("{}['nothing']", "KeyError: 'nothing'", True),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one (and 1 more line in the log)", True),
        ("raise KeyboardInterrupt", "", False),
        ("log.note('done')", "", False),
    ],
)
def test_a_bug_leaves_its_exception_and_traceback_beside_the_log(tmp_path, body, reason, traced):
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", BODY + body], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert ("Traceback" in done.stderr) == (done.returncode != 0), "it is told at the terminal as well"
    end = logs.ended(tmp_path / "logs/a.log")
    assert (end.reason, bool(end.traceback), end.done) == (reason, traced, done.returncode == 0)
    if traced:
        assert "Traceback" in (tmp_path / end.traceback).read_text()


# How long it takes


def test_it_is_quick_and_needs_no_torch(tmp_path):
    code = (
        "import sys, time; started = time.process_time(); from mute.__main__ import main; code = main(['status']);"
        "loaded = [m for m in ('torch', 'transformers', 'datasets', 'wandb', 'matplotlib') if m in sys.modules];"
        "print(code, loaded, time.process_time() - started, file=sys.stderr)"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    *_, last = done.stderr.splitlines()
    print(last)
    assert re.match(r"[012] \[\] ", last), done.stderr
    assert float(last.split()[-1]) < 2


@pytest.mark.slow
def test_five_thousand_cells_are_no_trouble(tmp_path, monkeypatch):
    """As many jobs of each kind, all but one done."""
    given = read_study(*(ROOT / name for name in CONFIGS)).config.model_dump()
    given["study"] |= {"shard_by": ["algorithm", "band", "seed"], "grids": ["blocks"]}
    given["grids"]["blocks"] |= {"seeds": list(range(1250))}
    study = checked_study(given)
    assert len(study.cells) == len(study.shards) == 5000
    monkeypatch.chdir(tmp_path)
    finish(study)
    for rule in ("unlearn_shard", "make_tables"):
        Path(job_of(study, rule).outputs[0]).unlink()
    started = time.process_time()
    found = status.collect(study)
    said = text.terminal(found)
    spent = time.process_time() - started
    print(f"{spent:.1f} s of a core for {len(found.cells)} cells and {found.counts.total()} jobs")
    assert (found.counts["done"], found.code) == (found.counts.total() - 2, status.PENDING)
    assert f"{found.counts.total()} jobs done, 2 pending" in said
    assert spent < 10
