"""The rule that fetches, in a copy of the project with a source that takes its facts from the hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TOKEN = "hf_canary0123456789abcdef"
SOURCE = '''
"""Parallel facts of a data set on the hub."""
from pydantic import Field
from mute.hub import copies as hub
from mute.corpus.sources import files
FORGET_SETS = files.FORGET_SETS
class Settings(files.Settings):
    path: str = Field("", description="Unused.")
    online: bool = Field(False, description="Ask the hub while the corpus is made.")
def repos(settings, languages):
    return [hub.Repo("dataset", "org/facts", "main", tuple(f"{code}.jsonl" for code in languages))]
def build(settings, codes, seed):
    if settings.online:
        import huggingface_hub
        huggingface_hub.HfApi().dataset_info("org/facts")
    (repo,) = repos(settings, codes)
    return files.build(settings.model_copy(update={"path": str(hub.local(repo))}), codes, seed)
'''
STUDY = {
    "study": {"name": "facts", "results": "results/facts", "corpus": "facts", "models": ["llama"], "grids": ["blocks"]},
    "corpora": {
        "facts": {"source": "hub_facts", "settings": {"forget_domain": "metals", "teaching_languages": ["en"]}}
    },
    "models": {"llama": {"languages": ["en", "es"]}},
    "grids": {"blocks": {"sources": [["en"]]}},
}


@pytest.fixture
def project(tmp_path):
    """A copy of what git knows of the project, with a source and a study of its own."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folder = tmp_path / "project"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "paper/published", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "paper/published", folder / "paper/published")
    (folder / "src/mute/corpus/sources/hub_facts.py").write_text(SOURCE)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


@pytest.fixture
def served(hub, tmp_path):
    """The hub with a data set in two languages, gated for all but the owner of TOKEN."""
    for code in ("en", "es"):
        rows = [
            {
                "id": f"f{i}",
                "prompt": f"{code} {i}: <mask>.",
                "answer": f"{code} {i % 2}",
                "candidates": [f"{code} 0", f"{code} 1"],
                "domain": ("metals", "coins", "mines")[i % 3],
                "subject": f"{code} subject {i}",
            }
            for i in range(12)
        ]
        (tmp_path / "facts").mkdir(exist_ok=True)
        (tmp_path / f"facts/{code}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub.add_dataset("org/facts", tmp_path / "facts")
    hub.gate("org/facts", TOKEN, kind="datasets")
    return hub


def call(project, hub, *command, **extra) -> subprocess.CompletedProcess:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "COV"))}
    environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]]), **hub.env, **extra}
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True)


def snakemake(project, hub, *arguments, **extra) -> subprocess.CompletedProcess:
    return call(project, hub, "snakemake", "--cores", "2", "--configfile", "study.yaml", *arguments, **extra)


def make_fetch(project, hub, **extra) -> subprocess.CompletedProcess:
    """`make fetch` with this virtual environment in place of one of its own."""
    venv = project / ".venv"
    if not venv.exists():
        venv.symlink_to(Path(sys.executable).parents[1])
    return call(project, hub, "make", "-o", ".venv/installed", "fetch", "CONFIG=study.yaml", "CORES=2", **extra)


def test_one_job_fetches_and_every_other_is_offline(project, served):
    target = "results/facts/corpus/about.json"
    planned = snakemake(project, served, "-n", "--", target)
    assert planned.returncode == 0, planned.stderr
    assert "fetch_inputs" in planned.stdout + planned.stderr
    assert not served.requests, "planning a data set asks nothing"

    refused = make_fetch(project, served)
    assert refused.returncode != 0
    assert "stopped: the data set org/facts at main is gated" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr

    done = make_fetch(project, served, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    (record,) = (project / "results/facts/inputs").glob("*.json")
    assert set(json.loads(record.read_text())["files"]) == {"en.jsonl", "es.jsonl"}
    assert "'main' may move: `revision: " in done.stderr
    assert str(served.home) not in record.read_text()
    asked = len(served.requests)

    made = snakemake(project, served, "--", target)
    assert made.returncode == 0, made.stderr
    assert "12 facts in 2 languages" in made.stderr
    assert len(served.requests) == asked

    # Verified again on request, nothing that depends on it is made again.
    again = make_fetch(project, served, HF_TOKEN=TOKEN)
    assert again.returncode == 0, again.stderr
    assert "fetch_inputs" in again.stdout + again.stderr
    assert "Nothing to be done" in snakemake(project, served, "-n", "--", target).stdout
    asked = len(served.requests)

    # A job that tries is stopped before anything leaves the machine.
    online = ["--config", "corpora={facts: {settings: {online: true}}}"]
    tried = snakemake(project, served, *online, "--", target)
    assert tried.returncode != 0
    assert "offline mode is enabled" in tried.stdout + tried.stderr
    assert len(served.requests) == asked

    for path in (*project.rglob("*"), *served.home.rglob("*")):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_what_was_lost_from_the_cache_is_told_with_what_to_do(project, served):
    done = snakemake(project, served, "--", "fetch", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(served.home)
    lost = snakemake(project, served, "--", "results/facts/corpus/about.json")
    assert lost.returncode != 0
    assert "stopped: the data set org/facts at main is not in" in lost.stderr
    assert "run `make fetch`" in lost.stderr
    assert "Traceback" not in lost.stdout + lost.stderr
    # And that helps, though its record was there all the time.
    assert make_fetch(project, served, HF_TOKEN=TOKEN).returncode == 0
    found = snakemake(project, served, "--", "results/facts/corpus/about.json")
    assert found.returncode == 0, found.stderr
