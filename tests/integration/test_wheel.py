"""The wheel alone, in an empty environment: a study of one's own from start to end, and a model that forgets."""

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_BYTES = 2_000_000

pytestmark = pytest.mark.integration

# A model of a few thousand weights and the facts of docs/library.md, made by the installed package.
TINY = """
import re, sys
from pathlib import Path
from mute.models import embedded, loading, tokenizer

facts = Path(sys.argv[1]).read_text(encoding="utf-8")
(rows,) = re.findall(r"^```csv\\n(.*?)^```", facts, re.MULTILINE | re.DOTALL)
Path("facts.csv").write_text(rows, encoding="utf-8")
words = tokenizer.train(rows.splitlines() * 5, 500)
model = embedded.create("llama", 0, vocabulary=len(words), blocks=4, hidden=32, heads=2)
loading.save(model, words, "model", {})
"""


def environment():
    """The program that fills .venv, as a module: it knows pip's settings as uv's."""
    spec = importlib.util.spec_from_file_location("workflow_environment", ROOT / "workflow/environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def uv(*words: str | Path, **options) -> subprocess.CompletedProcess:
    setup = environment()
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    environ = {**os.environ, **setup.uv_variables(setup.parse_pip_config(listed), dict(os.environ))}
    own = Path(sys.executable).with_name("uv")
    done = subprocess.run([own, *words], env=environ, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from what git knows, so that nothing is left over in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":!tests", ":!paper/frozen"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    uv("build", "--quiet", "--wheel", "--out-dir", out, source)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def mute(wheel, tmp_path_factory):
    """mute(folder, *words): runs the installed command there, with nothing of this checkout in its environment."""
    place = tmp_path_factory.mktemp("environment") / "venv"
    uv("venv", "--quiet", "--python", sys.executable, place)
    lock = ROOT / "requirements.lock"
    uv("pip", "install", "--quiet", "--python", place / "bin/python", "-c", lock, f"{wheel}[workflow]")

    def run(folder: Path, *words: str, program: str = "mute") -> str:
        environ = {"PATH": f"{place / 'bin'}:{os.defpath}", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        command = [place / "bin" / program, *words]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_the_wheel_is_small_and_holds_no_frozen_tables(wheel):
    assert wheel.stat().st_size < MOST_BYTES
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("data/share/mute/Snakefile") for name in names)
    assert not [name for name in names if "frozen/" in name or name.startswith("tests")]


def test_a_study_is_begun_planned_and_run(mute, tmp_path):
    mute(tmp_path, "init", "mine", "--like", "micro")
    folder = tmp_path / "mine"
    assert "make corpus" in mute(folder, "plan")
    said = mute(folder, "run", "--cores", "2")
    assert "Traceback" not in said
    assert (folder / "results/index.html").is_file()
    assert (folder / "results/report.html").is_file()
    assert ": complete." in mute(folder, "status")
    # Nothing runs a second time.
    assert not re.search(r"^\w+ +\d+$", mute(folder, "run", "--dry-run"), re.MULTILINE)


def test_a_model_forgets(mute, tmp_path):
    mute(tmp_path, "-c", TINY, str(ROOT / "docs/library.md"), program="python")
    words = ["forget", "model", "facts.csv", "--languages", "en,es", "--forget", "capitals", "--steps", "2", "--export"]
    said = mute(tmp_path, *words)
    assert "German" in said
    assert {"page.html", "patch", "model"} <= {path.name for path in (tmp_path / "forgotten").iterdir()}
