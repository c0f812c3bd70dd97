"""The study on a real one-node SLURM: through sbatch, retried with more time and memory, resumed after Ctrl-C."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from test_workflow import copy_project, stamps

from mute.plan.rules import TABLES
from mute.store import artifacts

ROOT = Path(__file__).parents[2]
KIT = Path(__file__).parent / "slurm"
PROFILE = ["--workflow-profile", "profiles/slurm"]
# This SLURM has no accounting, and nobody else asks it anything.
HERE = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "10"]
# Several jobs a rule, and the small study of one model in a few.
SHARDS = "study={shard_by: [model, algorithm]}"
MICRO = ["--configfile", "config/micro.yaml", "--config", SHARDS]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git knows"),
]


class Slurm:
    """A running SLURM: the environment in which its commands find it, and what it knows of its jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "COV"))}
        path = [str(folder / "bin"), str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]
        self.environ = {**kept, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": os.pathsep.join(path)}

    def add_command(self, name: str, script: str) -> None:
        """Put a command of our own before those of SLURM."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def start(self, project: Path, *command: str) -> subprocess.Popen:
        """Start a command in a folder, as a terminal does: Ctrl-C reaches all of its process group.

        Where the tests run in the background of a script, what they start would ignore it, as they do.
        """
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        heard = {"preexec_fn": hear_interrupts, "start_new_session": True}
        return subprocess.Popen(command, cwd=project, env=self.environ, **heard, **pipes)

    def jobs(self, said: str = "") -> list[dict[str, str]]:
        """What SLURM says of the jobs that a run of Snakemake said it submitted, in that order; '': of all."""
        command = ["scontrol", "show", "job", "--oneliner"]
        shown = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=True).stdout
        every = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.splitlines()]
        by_number = {job["JobId"]: job for job in every if "JobId" in job}
        wanted = re.findall(r"submitted with SLURM jobid (\d+)", said) if said else list(by_number)
        return [by_number[number] for number in wanted]

    def active(self) -> list[str]:
        """Numbers of the jobs that wait or run."""
        command = ["squeue", "--noheader", "--format=%A"]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=True).stdout.split()


def hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(run: subprocess.Popen, seconds: float) -> str:
    """What a run said, which must end in time."""
    try:
        return run.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        pytest.fail(f"still at work after {seconds:.0f} s:\n{run.communicate()[0]}")


def finish(run: subprocess.Popen, seconds: float) -> str:
    """What a run said, which must end well and in time."""
    said = end(run, seconds)
    assert run.returncode == 0, said
    return said


def rules(said: str) -> Counter:
    """How many jobs of each rule a run of Snakemake announced."""
    table = re.search(r"^job +count\n-[- ]+\n(.*?)^total", said, re.MULTILINE | re.DOTALL)
    assert table, said
    return Counter({name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", table[1], re.MULTILINE)})


def comments(jobs: list[dict[str, str]]) -> Counter:
    """How many jobs of each rule SLURM had: the plugin writes the rule into a job's comment."""
    return Counter(re.match(r"rule_(.*?)(_wildcards_|$)", job["Comment"])[1] for job in jobs)


@pytest.fixture(scope="module")
def slurm():
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"SLURM is not installed (no {', '.join(missing)}): as root, bash tests/integration/install.sh")
    if os.getuid() != 0:
        pytest.fail("starting a SLURM of one's own takes root: the tests against SLURM did not run")
    # Not below pytest's folder: the path of a socket may have no more than a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="mute-slurm-"))
    try:
        started = subprocess.run([KIT / "start.sh", folder], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if started.returncode:
            pytest.fail(f"SLURM did not start:\n{started.stdout}{started.stderr}")
        yield Slurm(folder)
    finally:
        subprocess.run([KIT / "stop.sh", folder], stdin=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


# Jobs that are killed at first: one goes on for longer than its minute, one takes more than its memory, one is
# cancelled behind the back of Snakemake. The first keeps each of its steps, as a shard keeps its cells.
GREEDY = """
rule all:
    input: "slow.txt", "large.txt", "lost.txt"

rule slow:
    output: "slow.txt"
    shell:
        "mkdir -p steps; for step in 1 2 3 4 5 6 7 8 9 10 11 12; do"
        " [ -e steps/$step ] || {{ sleep 10; echo $SLURM_JOB_ID > steps/$step; }};"
        " done; cat steps/* > {output}"

rule large:
    output: "large.txt"
    resources: mem_mb=lambda wildcards, attempt: attempt * 400
    shell:
        "python -c 'import time; kept = bytearray(500 * 2**20); time.sleep(5)';"
        " echo $SLURM_JOB_ID > {output}"

rule lost:
    output: "lost.txt"
    shell:
        "if [ {resources.runtime} = 1 ]; then scancel $SLURM_JOB_ID; sleep 50; fi;"
        " echo $SLURM_JOB_ID > {output}"
"""


@pytest.fixture(scope="module")
def greedy(slurm, tmp_path_factory):
    """Those three, started and left to themselves: the folder and the run."""
    folder = tmp_path_factory.mktemp("greedy")
    (folder / "Snakefile").write_text(GREEDY)
    # A SLURM without accounting takes any account, but the plugin asks first which ones there are.
    slurm.add_command("sacctmgr", "echo lab")
    needs = ["runtime=attempt", "mem_mb=1000", "slurm_partition=other", "slurm_account=lab"]
    command = ["snakemake", "--workflow-profile", str(ROOT / "profiles/slurm"), *HERE, "--default-resources", *needs]
    run = slurm.start(folder, *command)
    yield folder, run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.usefixtures("greedy")  # which sleeps most of the time, beside this one
def test_the_smoke_study_runs_through_sbatch(slurm, project):
    front_door = [sys.executable, "workflow/study.py", "run", "--configfile", "config/smoke.yaml", "--"]
    started = time.monotonic()
    said = finish(slurm.start(project, *front_door, *PROFILE, *HERE, "--config", SHARDS), 1200)
    jobs = slurm.jobs(said)
    print(f"smoke: {len(jobs)} jobs through sbatch in {time.monotonic() - started:.0f} s")
    # Every job but the one that only names the target was SLURM's, and each came out well at the first attempt.
    assert comments(jobs) == rules(said) - Counter(all=1)
    assert len(jobs) > 20
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["Partition"] for job in jobs} == {"tests"}
    results = project / "results/smoke"
    cells = artifacts.read_table(results / "tables/cells.csv")
    assert {path.name for path in (results / "cells").iterdir()} == set(cells["digest"])
    assert set(cells["status"]) <= {"ok", "not_reached"}
    assert (results / "report.html").is_file(), "the front door ends with the report, here too"
    assert "Look at: results/smoke/index.html" in said


def test_a_job_that_is_killed_is_tried_again_with_more_time_and_memory(slurm, greedy):
    folder, run = greedy
    said = finish(run, 400)
    by_rule: dict[str, list[dict[str, str]]] = {}
    for job in slurm.jobs(said):
        by_rule.setdefault(job["Comment"], []).append(job)
    first, second = by_rule["rule_slow"]
    assert (first["JobState"], first["TimeLimit"]) == ("TIMEOUT", "00:01:00")
    assert (second["JobState"], second["TimeLimit"]) == ("COMPLETED", "00:02:00")
    # It went on where it was killed.
    steps = (folder / "slow.txt").read_text().split()
    assert set(steps) == {first["JobId"], second["JobId"]}
    assert len(steps) == 12
    print(f"slow: killed after {first['RunTime']}, {steps.count(first['JobId'])} of 12 steps done; then", end=" ")
    print(f"{second['RunTime']} for the rest")

    # What a rule says of itself wins over the default resources.
    first, second = by_rule["rule_large"]
    assert [job["MinMemoryNode"] for job in (first, second)] == ["400M", "800M"]
    assert first["JobState"] in ("FAILED", "OUT_OF_MEMORY")
    assert second["JobState"] == "COMPLETED"
    assert (folder / "large.txt").read_text().split() == [second["JobId"]]

    first, second = by_rule["rule_lost"]
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    settings = {(job["Partition"], job["Account"]) for job in slurm.jobs(said)}
    assert settings == {("other", "lab")}, "partition and account are settings"


def test_a_cancelled_study_resumes_and_its_tables_are_those_of_a_local_run(slurm, project, tmp_path):
    local = copy_project(tmp_path / "local")
    finish(slurm.start(local, "snakemake", "--cores", "2", *MICRO, "--until", "make_tables"), 300)

    command = ["snakemake", *PROFILE, *HERE, *MICRO, "--until", "make_tables"]
    store = project / "results/micro/cells"
    run = slurm.start(project, *command, "--jobs", "1")
    until = time.monotonic() + 300
    while not (done := [path.parent.name for path in store.glob("*/record.json")]):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < until, "no cell was finished in five minutes"
        time.sleep(0.2)
    # Nothing runs on: Snakemake cancels what it submitted. It then waits out its pause between looks at the queue.
    started = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    while slurm.active():
        assert time.monotonic() < started + 60, f"still there: {slurm.active()}"
        time.sleep(0.5)
    cancelled = time.monotonic() - started
    said = end(run, 240)
    assert run.returncode != 0, said
    assert "CANCELLED" in {job["JobState"] for job in slurm.jobs(said)}, said
    done = [name for name in (path.name for path in store.iterdir()) if artifacts.sealed(store / name)]
    before = {name: stamps(store / name) for name in done}
    assert 0 < len(done) < 5

    said = finish(slurm.start(project, *command), 600)
    jobs = slurm.jobs(said)
    print(f"micro: jobs cancelled {cancelled:.1f} s after Ctrl-C, with {len(done)} of 5 cells done;", end=" ")
    print(f"resumed in {len(jobs)} jobs")
    assert comments(jobs) == rules(said)
    assert "make_corpus" not in rules(said), "what was finished is not done again"
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {name: stamps(store / name) for name in done} == before
    tables = sorted((local / "results/micro/tables").iterdir())
    views = [table.name for table in tables if table.name.startswith("study.")]
    assert {table.name for table in tables} == {*(f"{name}.csv" for name in TABLES), *views}
    assert len(views) == 1
    for table in tables:
        assert (project / table.relative_to(local)).read_bytes() == table.read_bytes(), table.name
