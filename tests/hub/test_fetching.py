"""What a study needs from the hub and from local directories, as far as no hub is needed to say."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mute.hub import copies, download
from mute.hub.repos import Repo, needed, record_of
from mute.plan.rules import Plans

SHARDS = [f"model-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)]
INDEX = "model.safetensors.index.json"
REPO = Repo("model", "org/name")


def test_of_a_model_what_opens_it_is_needed_and_nothing_else():
    beside = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "merges.txt"]
    others = [
        "README.md",
        "pytorch_model.bin",
        "original/consolidated.00.pth",
        "original/tokenizer.model",
        "consolidated.safetensors",
        "onnx/model.safetensors",
        "modeling.py",
    ]
    assert needed(REPO, [*beside, *others, INDEX, *SHARDS]) == sorted([*beside, INDEX, *SHARDS])
    # As transformers does, the one file before the shards.
    assert needed(REPO, ["config.json", "model.safetensors", INDEX, *SHARDS]) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["model.safetensors"], "has no config.json, so it is no model that transformers opens; it has model.saf"),
        ([], "has no config.json, so it is no model that transformers opens; it has no files"),
        (["config.json", "README.md"], "has no weights: neither model.safetensors nor its shards"),
        (["config.json", "pytorch_model.bin"], "weights only as pytorch_model.bin. Opening a pickle runs whatever"),
        (["config.json", "consolidated.pth", "a.py"], "weights only as consolidated.pth. Opening a pickle"),
        (["config.json", INDEX, *SHARDS[:2]], "is incomplete: it has 2 of 3 files of weights"),
        (["config.json", *SHARDS], f"is incomplete: it has 3 of 3 files of weights and no {INDEX}"),
    ],
)
def test_a_model_that_cannot_be_opened_is_refused_by_its_names(names, message):
    with pytest.raises(ValueError, match=r"the model org/name at main .*") as error:
        needed(REPO, names)
    assert message in str(error.value)


@pytest.mark.parametrize("id", ["org/name/more", "org name", "org/..", "a--b", "org/", "", "httpx://x"])
def test_ids_that_the_hub_cannot_have_are_refused(id):
    with pytest.raises(ValueError, match="is neither a model of the hub, written owner/name, nor a directory"):
        Repo("model", id)


@pytest.mark.parametrize("revision", ["../../x", "", "a b", "/etc"])
def test_revisions_that_the_hub_cannot_have_are_refused(revision):
    with pytest.raises(ValueError, match="is no revision of org/name: give a branch, a tag or a commit"):
        Repo("model", "org/name", revision)


def test_each_repository_has_a_name_of_its_own_that_is_safe():
    repos = [
        Repo("model", "org/name"),
        Repo("dataset", "org/name"),
        Repo("model", "org2/name"),
        Repo("model", "org/name", "v1"),
        Repo("model", "org/name", "main", ("a",)),
        Repo("model", "./somewhere/na me"),
        Repo("model", "org/" + "x" * 90),
    ]
    names = [repo.name for repo in repos]
    assert len(set(names)) == len(names)
    for name in names:
        assert len(name) <= 64
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert record_of(repos[0]) == f"<results>/inputs/{names[0]}.json"


@pytest.fixture
def directory(tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin"):
        (tmp_path / name).write_text(json.dumps({"num_hidden_layers": 5}))
    return tmp_path


def test_a_directory_is_used_in_place_and_recorded_without_its_path(directory):
    repo = Repo("model", str(directory))
    assert copies.local(repo) == directory
    record = copies.fetch(repo)
    content = (directory / "config.json").read_bytes()
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert record["files"] == dict.fromkeys(("config.json", "model.safetensors", "tokenizer.json"), facts)
    assert str(directory.parent) not in json.dumps(record)
    assert copies.look_up(str(directory))["num_hidden_layers"] == 5


def test_a_directory_that_is_no_model_is_told(directory):
    (directory / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"the model in .* has its weights only as pytorch_model.bin"):
        copies.local(Repo("model", str(directory)))
    for path in (directory / "nowhere", "./nowhere"):
        with pytest.raises(ValueError, match=r"there is no directory .*nowhere, which should hold a model"):
            copies.local(Repo("model", str(path)))
    with pytest.raises(ValueError, match=r"there is no config.json in .*nowhere"):
        copies.look_up(str(directory / "nowhere"))


@pytest.mark.parametrize("kind", ["git", "lfs"])
def test_content_is_held_against_its_etag(tmp_path, kind):
    content = b"some content"
    whole = hashlib.sha1(b"blob 12\0" + content) if kind == "git" else hashlib.sha256(content)
    (tmp_path / "file").write_bytes(content)
    assert download.is_whole(tmp_path / "file", whole.hexdigest())
    (tmp_path / "file").write_bytes(b"same content")
    assert not download.is_whole(tmp_path / "file", whole.hexdigest())


@pytest.mark.parametrize("sent", [0, 40, 400])
def test_what_answers_in_the_place_of_the_hub_is_not_asked_for_ever(tmp_path, monkeypatch, sent):
    """A page of another length ends without an error, each time: nothing, too little or too much of a file."""
    asked = []

    def append(url, path, count):
        asked.append(url)
        assert len(asked) < 20, "it is asked again and again"
        path.write_bytes(b"x" * sent)

    monkeypatch.setattr(download, "_append", append)
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    blob = tmp_path / "hub/models--org--name/blobs" / ("0" * 64)
    with pytest.raises(ValueError, match="https://hub/file is not the file of 100 bytes that the hub lists"):
        download.download("https://hub/file", blob, 100, lambda size: None)
    assert not blob.exists()


def test_a_study_needs_its_chosen_pretrained_models_once():
    def model(**keys):
        return SimpleNamespace(**keys)

    models = {
        "embedded": model(pretrained=None, revision="main"),
        "first": model(pretrained="org/name", revision="v1"),
        "again": model(pretrained="org/name", revision="v1"),
        "not chosen": model(pretrained="org/other", revision="main"),
    }
    study = SimpleNamespace(
        models=["embedded", "first", "again"],
        config=SimpleNamespace(models=models, exports=SimpleNamespace(data={})),
        corpus=SimpleNamespace(source="world"),
        corpus_settings={},
        languages=["en"],
    )
    found = Plans(study)
    repo = Repo("model", "org/name", "v1")
    assert found.fetched() == [record_of(repo)]
    assert found.fetched_of_corpus() == []
    plan = found.fetching(SimpleNamespace(repo=repo.name))
    assert plan == {"kind": "model", "id": "org/name", "revision": "v1", "patterns": []}
    assert found.local_files(SimpleNamespace(repo=repo.name)) == []
    with pytest.raises(ValueError, match=f"unknown repository 'nothing'; allowed: {repo.name}"):
        found.fetching(SimpleNamespace(repo="nothing"))


def test_files_of_a_directory_are_watched(directory, monkeypatch):
    own = SimpleNamespace(pretrained="~/model", revision="main")
    config = SimpleNamespace(models={"own": own}, exports=SimpleNamespace(data={}))
    corpus = SimpleNamespace(source="world")
    study = SimpleNamespace(models=["own"], config=config, corpus=corpus, corpus_settings={}, languages=["en"])
    monkeypatch.setenv("HOME", str(directory))
    found = Plans(study)
    (name,) = found.repos
    # A missing one is the job's error to explain.
    assert found.local_files(SimpleNamespace(repo=name)) == []
    (directory / "model").mkdir()
    for file in ("config.json", "model.safetensors", "pytorch_model.bin"):
        (directory / "model" / file).touch()
    watched = [str(directory / "model" / file) for file in ("config.json", "model.safetensors")]
    assert found.local_files(SimpleNamespace(repo=name)) == watched


def test_planning_imports_no_heavy_module_and_jobs_are_offline_whatever_was_imported_before():
    code = """
import sys
import mute.plan.rules, mute.hub.copies
heavy = {"torch", "transformers", "huggingface_hub", "datasets", "pandas"} & set(sys.modules)
assert not heavy - {"pandas"}, heavy
import huggingface_hub.constants, datasets.config
assert not huggingface_hub.constants.is_offline_mode()
from mute.jobs.job import keep_offline
keep_offline()
import os, subprocess
assert huggingface_hub.constants.is_offline_mode() and datasets.config.HF_HUB_OFFLINE
check = "import huggingface_hub.constants as c; print(c.is_offline_mode(), c.HF_HUB_DISABLE_TELEMETRY)"
print(subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout)
"""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_no_job_but_the_one_that_fetches_may_ask_the_hub():
    scripts = Path(__file__).parents[2] / "scripts"
    online = [path.name for path in scripts.glob("*.py") if "online=True" in path.read_text(encoding="utf-8")]
    assert online == ["fetch_inputs.py"]
