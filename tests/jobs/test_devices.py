"""GPUs are leased: processes that run beside each other get different ones. No GPU is needed, only processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mute.jobs import devices

# Says which device it got, then lives until its standard input ends.
JOB = """
import sys
from mute.jobs import devices
names = tuple(sys.argv[1:])
print(devices.lease(names), devices.lease(names), flush=True)
sys.stdin.read()
"""
# As a job opens a model, on a machine with the GPUs whose UUIDs are given.
FIND = """
import os, sys
from types import SimpleNamespace
import torch
names = sys.argv[1:]
shown = os.environ.get("CUDA_VISIBLE_DEVICES")
seen = names if shown is None else [names[int(number)] for number in shown.split(",")]
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: len(seen)
torch.cuda.get_device_properties = lambda index: SimpleNamespace(uuid=seen[index])
from mute.models.loading import find_device
print(find_device("auto"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """start(code, *devices, **variables) gives a running job and the line that it says; all end with the test."""
    jobs: list[subprocess.Popen] = []

    def run(code: str, *names: str, **variables: str) -> tuple[subprocess.Popen, str]:
        environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(devices.__file__).parents[2])}
        environ.pop("CUDA_VISIBLE_DEVICES", None)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        job = subprocess.Popen([sys.executable, "-c", code, *names], env={**environ, **variables}, text=True, **pipes)
        jobs.append(job)
        return job, job.stdout.readline().strip()

    yield run
    for job in jobs:
        job.kill()
        job.communicate()


def end(job: subprocess.Popen) -> str:
    """Let a job end by itself; what it wrote to standard error."""
    return job.communicate()[1]


def test_jobs_beside_each_other_get_different_devices(start):
    assert [start(JOB, "GPU-a", "GPU-b", "GPU-c")[1] for _ in range(3)] == ["0 0", "1 1", "2 2"]


@pytest.mark.parametrize("how", ["by itself", "killed"])
def test_the_device_of_a_job_that_ended_is_free_again(start, how):
    first, _ = start(JOB, "a", "b")
    start(JOB, "a", "b")
    if how == "killed":
        first.send_signal(signal.SIGKILL)
    end(first)
    assert start(JOB, "a", "b")[1] == "0 0"


def test_jobs_share_evenly_and_say_so_where_all_devices_are_taken(start):
    jobs = [start(JOB, "a", "b") for _ in range(5)]
    assert [said for _, said in jobs] == ["0 0", "1 1", "0 0", "1 1", "0 0"]
    notes = [end(job) for job, _ in jobs]
    assert notes[:2] == ["", ""]
    assert notes[3] == "all 2 GPUs that this job sees are in use: it shares number 1\n"


def test_a_device_is_the_same_whatever_number_a_job_sees_it_under(start):
    """One job sees the second GPU alone, as its number 0; the others leave it alone."""
    machine = ("uuid-a", "uuid-b", "uuid-c")
    assert start(FIND, *machine, CUDA_VISIBLE_DEVICES="1")[1] == "cuda:0"
    assert start(FIND, *machine)[1] == "cuda:0"
    assert start(FIND, *machine)[1] == "cuda:2"
    assert start(FIND, *machine, CUDA_VISIBLE_DEVICES="2,0")[1] == "cuda:0"


def test_many_jobs_that_start_at_once_all_get_different_devices(tmp_path):
    names = [f"GPU-{number}" for number in range(12)]
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(devices.__file__).parents[2])}
    command = [sys.executable, "-c", JOB, *names]
    options = {"env": environ, "text": True, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    jobs = [subprocess.Popen(command, **options) for _ in names]
    got = sorted(int(job.stdout.readline().split()[0]) for job in jobs)
    for job in jobs:
        job.communicate()
    assert got == list(range(12))


def test_without_a_place_for_locks_jobs_run_and_say_that_they_may_share(start, tmp_path):
    (tmp_path / f"mute-devices-{os.getuid()}").write_text("a file, not a folder")
    job, said = start(JOB, "a", "b")
    assert said == f"{job.pid % 2} {job.pid % 2}"
    assert "GPUs cannot be leased" in end(job)


def test_a_folder_that_leads_elsewhere_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"mute-devices-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        devices._folder()
