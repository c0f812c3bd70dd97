"""How a study is said to stand after runs that fail in every way, and are stopped: in copies of the project."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_workflow import MICRO, call, copy_project

pytestmark = pytest.mark.slow
FRONT = [sys.executable, "workflow/study.py", "run", "--cores", "2", *MICRO]
# What stands first in a script's job: bad data, a bug, and what the out-of-memory killer does.
FAULTS = {
    "check_gates": "raise ValueError('bad data: row 3')",
    "score_layers": "{}['nothing']",
    "attack_shard": "import os; os.kill(os.getpid(), 9)",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


def put(script: Path, line: str) -> str:
    """Put a line before all else that a script's job does; returns what the script was."""
    was = script.read_text(encoding="utf-8")
    script.write_text(re.sub(r"(with job\(.*\) as log:\n)", rf"\1    {line}\n", was, count=1), encoding="utf-8")
    return was


def mute(project: Path) -> subprocess.CompletedProcess:
    return call(project, sys.executable, "-m", "mute", "status", *MICRO[1:])


def test_a_run_with_failures_ends_with_its_page_and_goes_on_when_they_are_mended(project):
    scripts = {
        project / f"scripts/{name}.py": put(project / f"scripts/{name}.py", line) for name, line in FAULTS.items()
    }
    done = call(project, *FRONT)
    print(done.stdout[-3000:], done.stderr[-3000:])
    assert done.returncode == 1
    reasons = {
        "check_gates llama-s0": "bad data: row 3",
        "score_layers llama-s0.domain": "KeyError: 'nothing'",
        "attack_shard llama": "killed (SIGKILL), as happens when memory runs out",
    }
    said = mute(project)
    page = (project / "results/micro/status.html").read_text(encoding="utf-8")
    assert said.returncode == 1
    assert "3 failed" in said.stdout
    for job, reason in reasons.items():
        log = f"logs/{job.replace(' ', '/')}.log"
        for told in (said.stdout, done.stderr):
            assert f"  {job}: {reason}\n    log:       results/micro/{log}\n" in told
        assert f'href="{log}"' in page
        assert (project / "results/micro" / log).is_file()
    assert "traceback: results/micro/logs/score_layers/llama-s0.domain.traceback" in said.stdout
    assert "results/micro/status.html" in done.stderr
    for told in (said.stdout, done.stderr, page):
        assert "make study CONFIG=config/micro.yaml" in told
    for script, was in scripts.items():
        script.write_text(was, encoding="utf-8")
    done = call(project, *FRONT)
    assert done.returncode == 0, done.stderr
    said = mute(project)
    assert said.returncode == 0, said.stdout
    assert "complete. 18 of 18 jobs done." in said.stdout
    page, report = (project / f"results/micro/{name}.html" for name in ("status", "report"))
    assert "index.html" in page.read_text(encoding="utf-8")
    # The page is written again, and no report for its sake.
    before = page.stat().st_mtime_ns, report.stat().st_mtime_ns
    assert call(project, *FRONT).returncode == 0
    assert page.stat().st_mtime_ns > before[0]
    assert report.stat().st_mtime_ns == before[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_says_how_it_stands_while_it_runs_and_after(tmp_path, number):
    project = copy_project(tmp_path / "project")
    # It says that it has begun, and waits.
    put(project / "scripts/train_tokenizer.py", "import time; time.sleep(8)")
    environ = {**os.environ, "PYTHONPATH": str(project / "src")}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    hear = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    run = subprocess.Popen(FRONT, cwd=project, env=environ, **options, **hear)
    log = project / "results/micro/logs/train_tokenizer/llama.log"
    while not log.exists():
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.05)
    said = mute(project)
    assert "a run is under way" in said.stdout
    assert "Running:\n  train_tokenizer llama: results/micro/logs/train_tokenizer/llama.log\n" in said.stdout
    # A terminal sends Ctrl-C to all; what else stops a run is sent to it alone, but for kill -9 of all.
    (run.send_signal if number == signal.SIGTERM else lambda n: os.killpg(run.pid, n))(number)
    told = run.communicate(timeout=120)[1]
    said = mute(project)
    assert said.returncode == 2, said.stdout
    assert "failed" not in said.stdout.split("\n")[0]
    page = project / "results/micro/status.html"
    if number == signal.SIGKILL:
        assert not page.exists()
    else:
        assert "status.html" in told
        assert "make study CONFIG=config/micro.yaml" in page.read_text(encoding="utf-8")
    if number != signal.SIGTERM:  # which lets running jobs end
        assert "Stopped together with their run, and no failures:\n  train_tokenizer llama\n" in said.stdout
    assert "Traceback" not in said.stderr


def test_a_cell_that_diverges_is_told_and_is_no_failure(tmp_path):
    project = copy_project(tmp_path / "project")
    overlay = tmp_path / "wild.yaml"
    overlay.write_text("algorithms: {gradient_ascent: {steps: 8, strengths: [1.0e+30], learning_rate: 1.0e+30}}")
    options = ["--cores", "2", "--until", "unlearn_shard"]
    done = call(project, "snakemake", *options, *MICRO, str(overlay))
    assert done.returncode == 0, done.stderr
    said = call(project, sys.executable, "-m", "mute", "status", *MICRO[1:], str(overlay))
    print(said.stdout)
    assert "Diverged, which is a result:\n  llama.0.gradient_ascent.full." in said.stdout
    assert "failed" not in said.stdout.split("\n")[0]
