"""Fetching, by the true download path, from a hub on loopback: in processes of their own, as a job does it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mute.hub.download import is_whole

pytestmark = pytest.mark.integration

TOKEN = "hf_canary0123456789abcdef"
FETCH = """
import json, sys
from mute.hub import copies as hub, download as transfer, errors as refusals
kind, id, revision, pauses, *patterns = sys.argv[1:]
transfer.PAUSES = json.loads(pauses)
try:
    print(json.dumps(hub.fetch(hub.Repo(kind, id, revision, tuple(patterns)))))
except ValueError as error:
    sys.exit(f"ValueError: {error}")
"""
LOCAL = """
import sys
from mute.hub import copies as hub
from mute.jobs import job as jobs
jobs.keep_offline()
try:
    print(hub.local(hub.Repo("model", sys.argv[1])))
except ValueError as error:
    sys.exit(f"ValueError: {error}")
"""
AS_FETCHED = """
import sys
from mute.hub import copies as hub
from mute.jobs import job as jobs
jobs.keep_offline()
try:
    hub.check_fetched(sys.argv[1:])
except ValueError as error:
    sys.exit(f"ValueError: {error}")
"""
OPEN = """
import sys
import transformers  # before the job begins, as scripts do
from mute.hub import copies as hub
from mute.jobs import job as jobs
jobs.keep_offline()
folder = hub.local(hub.Repo("model", "org/tiny"))
model = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
print(model.config.num_hidden_layers, len(transformers.AutoTokenizer.from_pretrained(folder)))
"""
PAUSES = "[0.01, 0.02, 0.03]"


def call(hub, code, *arguments, **extra) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={**os.environ, **hub.env, **extra}, capture_output=True, text=True)


def fetch(hub, id="org/tiny", *, kind="model", revision="main", patterns=(), **extra) -> dict:
    done = call(hub, FETCH, kind, id, revision, PAUSES, *patterns, **extra)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusal(hub, id="org/tiny", *, kind="model", revision="main", patterns=(), **extra) -> str:
    """The message of a fetch that must fail as a user's error, without traceback."""
    done = call(hub, FETCH, kind, id, revision, PAUSES, *patterns, **extra)
    assert done.returncode == 1
    assert done.stderr.startswith("ValueError: "), done.stderr
    return done.stderr


def blobs(hub, pattern="*") -> list[Path]:
    return sorted((hub.home / "hub").glob(f"*/blobs/{pattern}"))


def whole_blobs(hub) -> list[Path]:
    return [path for path in blobs(hub) if path.suffix != ".incomplete"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def served(hub, tiny_llama):
    """The hub with the tiny model as org/tiny."""
    hub.add_model("org/tiny", tiny_llama)
    return hub


@pytest.fixture
def shard(tiny_llama) -> Path:
    """The largest file of the tiny model."""
    return max(tiny_llama.glob("model-*.safetensors"), key=lambda path: path.stat().st_size)


# What is fetched


def test_a_model_is_fetched_whole_and_opened_without_a_network(served, tiny_llama, tokenizer):
    record = fetch(served)
    asked = len(served.requests)
    wanted = {p.name for p in tiny_llama.iterdir()} - {"README.md", "pytorch_model.bin", "modeling_tiny.py"}
    assert set(record["files"]) == wanted
    assert len([name for name in wanted if name.startswith("model-0")]) > 1
    for name, facts in record["files"].items():
        assert facts == {"bytes": (tiny_llama / name).stat().st_size, "sha256": sha256(tiny_llama / name)}
    assert record["commit"] == served.repos["models", "org/tiny"].revisions["main"]
    assert str(served.home) not in json.dumps(record)
    done = call(served, OPEN)
    assert done.stdout.split() == ["3", str(len(tokenizer))], done.stderr
    assert len(served.requests) == asked


def test_what_is_there_is_not_sent_again(served):
    first = fetch(served)
    sent = len(served.downloads())
    assert fetch(served) == first
    assert len(served.downloads()) == sent
    # A commit never changes: nothing is asked at all.
    asked = len(served.requests)
    assert fetch(served, revision=first["commit"])["files"] == first["files"]
    assert len(served.requests) == asked


def test_what_other_tools_downloaded_is_used(served):
    done = call(served, "import huggingface_hub; huggingface_hub.snapshot_download('org/tiny')")
    assert done.returncode == 0, done.stderr
    sent = len(served.downloads())
    assert fetch(served)["files"]
    assert len(served.downloads()) == sent


def test_what_was_fetched_is_used_where_the_hub_cannot_be_reached(served):
    first = fetch(served)
    served.stop()
    assert fetch(served) == first
    assert fetch(served, HF_HUB_OFFLINE="1") == first


def test_a_branch_that_moved_is_followed(served, tiny_llama, tmp_path):
    first = fetch(served)
    changed = Path(shutil.copytree(tiny_llama, tmp_path / "changed"))
    (changed / "generation_config.json").write_text('{"temperature": 0.5}')
    served.add_model("org/tiny", changed)
    sent = len(served.downloads())
    second = fetch(served)
    assert second["commit"] != first["commit"]
    assert len(served.downloads()) == sent + 1
    assert call(served, LOCAL, "org/tiny").stdout.strip().endswith(second["commit"])
    assert fetch(served, revision=first["commit"])["files"] == first["files"]


def test_a_branch_that_other_tools_moved_since_is_told(served, tiny_llama, tmp_path):
    """Else a study would be of another model than its record says."""
    record, branch, pinned = fetch(served), tmp_path / "branch.json", tmp_path / "pinned.json"
    branch.write_text(json.dumps(record))
    pinned.write_text(json.dumps({**record, "revision": record["commit"]}))
    assert call(served, AS_FETCHED, str(branch), str(pinned)).returncode == 0
    changed = Path(shutil.copytree(tiny_llama, tmp_path / "changed"))
    (changed / "generation_config.json").write_text('{"temperature": 0.5}')
    moved = served.add_model("org/tiny", changed)
    other = "import huggingface_hub; huggingface_hub.snapshot_download('org/tiny')"
    assert call(served, other).returncode == 0
    said = call(served, AS_FETCHED, str(pinned), str(branch)).stderr
    assert f"'main' of org/tiny has moved in the cache since it was fetched, from {record['commit']} to {moved}" in said
    assert "run `make fetch`" in said
    assert f"revision: {record['commit']}" in said
    assert call(served, AS_FETCHED, str(pinned)).returncode == 0


@pytest.fixture
def facts(hub, tmp_path):
    """A data set with files of several kinds."""
    folder = tmp_path / "facts"
    for name, text in {
        "data/en.jsonl": '{"id": "1"}\n',
        "data/es.jsonl": '{"id": "1"}\n',
        "README.md": "facts",
        "facts.py": "raise RuntimeError",
        "old.pkl": "a pickle",
        ".gitattributes": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    hub.add_dataset("org/facts", folder)
    return hub


def test_of_a_data_set_the_files_asked_for_are_fetched(facts):
    some = fetch(facts, "org/facts", kind="dataset", patterns=["data/en*", "README.md"])
    assert set(some["files"]) == {"data/en.jsonl", "README.md"}
    every = fetch(facts, "org/facts", kind="dataset")
    assert set(every["files"]) == {"data/en.jsonl", "data/es.jsonl", "README.md"}
    assert not facts.downloads("facts.py")
    assert not facts.downloads("old.pkl")


def test_a_file_that_is_not_in_a_data_set_is_told_with_what_is(facts):
    said = refusal(facts, "org/facts", kind="dataset", patterns=["data/fr.jsonl"])
    assert "has no file 'data/fr.jsonl'; it has README.md, data/en.jsonl, data/es.jsonl. Did you mean 'data/e" in said
    said = refusal(facts, "org/facts", kind="dataset", patterns=["old.pkl"])
    assert "old.pkl of the data set org/facts at main would run code when opened" in said
    assert not facts.downloads()


# What goes wrong on the way


def test_a_cut_download_goes_on_where_it_was(served, shard):
    size = shard.stat().st_size
    served.cut_after(size // 3, times=2, part=shard.name)
    fetch(served)
    asked = served.downloads(shard.name)
    assert [r.range for r in asked] == [None, f"bytes={size // 3}-", f"bytes={size // 3 * 2}-"]
    assert sum(r.sent for r in asked) == size
    assert not blobs(served, "*.incomplete")


def test_a_fetch_that_gave_up_goes_on_in_the_next_one(served, shard, tiny_llama):
    """Of all that arrived nothing is sent again, though the process that asked for it is gone."""
    size = shard.stat().st_size
    served.cut_after(size // 2, times=1, part=shard.name)
    served.cut_after(0, times=20, part=shard.name)
    said = refusal(served)
    assert f"{served.url} cannot be reached (RemoteProtocolError)" in said
    assert "What has arrived is kept, and the same command goes on" in said
    assert [p.stat().st_size for p in blobs(served, f"{sha256(shard)}.incomplete")] == [size // 2]
    assert "run `make fetch`" in call(served, LOCAL, "org/tiny").stderr
    served.faults.clear()
    # What was still on its way when the fetch gave up may have to come again.
    arrived = [p.name for p in tiny_llama.iterdir() if any(is_whole(p, blob.name) for blob in whole_blobs(served))]
    assert fetch(served)["files"][shard.name]["sha256"] == sha256(shard)
    asked = served.downloads(shard.name)
    assert asked[-1].range == f"bytes={size // 2}-"
    assert sum(r.sent for r in asked) == size
    assert arrived
    assert {name: len(served.downloads(f"/{name}")) for name in arrived} == dict.fromkeys(arrived, 1)


def test_a_killed_fetch_leaves_what_arrived_to_the_next_one(served, shard):
    size = shard.stat().st_size
    served.stall_after(size // 2, part=shard.name)
    command = [sys.executable, "-c", FETCH, "model", "org/tiny", "main", PAUSES]
    with subprocess.Popen(command, env={**os.environ, **served.env}, stdout=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 60
        while [p.stat().st_size for p in blobs(served, f"{sha256(shard)}.incomplete")] != [size // 2]:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.kill()
    assert fetch(served)["files"][shard.name]["sha256"] == sha256(shard)
    assert [r.range for r in served.downloads(shard.name)] == [None, f"bytes={size // 2}-"]


def test_a_hub_that_is_busy_is_asked_again(served, shard):
    served.fail(503, times=2, part=shard.name)
    served.fail(429, times=1, part="tokenizer.json")
    fetch(served)
    assert [r.status for r in served.requests if shard.name in r.path and r.method == "GET"][:3] == [503, 503, 302]


def test_a_hub_that_stays_busy_is_said_to_be(served, shard):
    served.fail(503, times=50, part=shard.name)
    assert "the hub answers 503" in refusal(served)


def test_content_that_arrives_damaged_is_fetched_once_more(served, shard):
    served.corrupt(times=1, part=shard.name)
    assert fetch(served)["files"][shard.name]["sha256"] == sha256(shard)
    assert [r.range for r in served.downloads(shard.name)] == [None, None]


@pytest.mark.parametrize("name", ["model-00001", "tokenizer.json"])
def test_content_that_arrives_damaged_twice_is_refused(served, name):
    served.corrupt(times=2, part=name)
    said = refusal(served)
    assert name in said
    assert "arrived damaged twice" in said
    assert "is not in" in call(served, LOCAL, "org/tiny").stderr


@pytest.mark.parametrize("name", ["model-00001*", "config.json"])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_flipped_bit_in_the_cache_is_found_and_mended(served, tiny_llama, name, pinned):
    record = fetch(served)
    (snapshot,) = (served.home / "hub").glob("*/snapshots/*")
    (path,) = snapshot.glob(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.resolve().write_bytes(content)
    sent = len(served.downloads())
    again = fetch(served, revision=record["commit"] if pinned else "main")
    assert again["files"] == record["files"]
    assert path.read_bytes() == (tiny_llama / path.name).read_bytes()
    assert len(served.downloads()) == sent + 1


def test_a_damaged_cache_is_not_used_where_it_cannot_be_mended(served):
    record = fetch(served)
    blobs(served)[0].write_bytes(b"something else")
    served.stop()
    for revision in ("main", record["commit"]):
        assert "cannot be reached" in refusal(served, revision=revision)


def test_without_a_network_one_is_told_what_to_do(served):
    served.stop()
    said = refusal(served)
    assert f"the model org/tiny at main cannot be had: {served.url} cannot be reached (ConnectError)" in said
    assert "HTTPS_PROXY, and HF_ENDPOINT" in said
    assert "`make fetch` on a machine that has it" in said


def patched(code: str) -> str:
    """The code of a fetch in which something else goes wrong."""
    return FETCH.replace("\nkind, id", f"\n{code}\nkind, id", 1)


def test_too_small_a_disk_is_seen_before_anything_is_sent(served):
    small = patched("refusals.shutil.disk_usage = lambda _: __import__('types').SimpleNamespace(free=1000)")
    said = call(served, small, "model", "org/tiny", "main", PAUSES).stderr
    assert "ValueError: the model org/tiny at main needs 0." in said
    assert "has 0.0 MB free: make room there, or elsewhere. HF_HOME names another folder" in said
    assert not served.downloads()


def test_a_disk_that_fills_up_is_told(served):
    full = patched("transfer.os.fsync = lambda _: (_ for _ in ()).throw(OSError(28, 'No space left'))")
    said = call(served, full, "model", "org/tiny", "main", PAUSES).stderr
    assert f"ValueError: the model org/tiny at main cannot be written to {served.home / 'hub'}: No space left." in said


# What is refused


def test_weights_that_are_pickles_alone_are_refused_and_it_is_said_why(served, tiny_llama, tmp_path):
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors*")))
    served.add_model("org/pickled", folder)
    said = refusal(served, "org/pickled")
    assert "has its weights only as pytorch_model.bin. Opening a pickle runs whatever code it holds" in said
    assert "refs/pr/1" in said
    assert not served.downloads()


def test_a_model_that_is_not_there_is_named(served):
    said = refusal(served, "org/tinny")
    assert f"there is no model 'org/tinny' at {served.url}/org/tinny: check its spelling" in said
    assert "If it is private, set HF_TOKEN" in said
    served.accept(TOKEN)
    assert "If it is private, your token may not see it" in refusal(served, "org/tinny", HF_TOKEN=TOKEN)
    said = refusal(served, "org/tiny", kind="dataset")
    assert f"there is no data set 'org/tiny' at {served.url}/datasets/org/tiny" in said
    assert "it is not a model" in said


def test_a_wrong_revision_is_told_with_those_that_there_are(served, tiny_llama):
    served.add_model("org/tiny", tiny_llama, revision="v1.0")
    said = refusal(served, revision="v1")
    assert "unknown revision of org/tiny 'v1'; allowed: main, v1.0. Did you mean 'v1.0'?" in said
    assert "a commit with all its 40 digits" in refusal(served, revision="0" * 40)


def test_a_gated_model_says_where_to_ask(served):
    served.gate("org/tiny", "hf_granted")
    said = refusal(served)
    assert (
        f"the model org/tiny at main is gated: its owners give it to those who ask. Ask at {served.url}/org/tiny"
        in said
    )
    assert f"make a token at {served.url}/settings/tokens and set HF_TOKEN" in said
    served.accept(TOKEN)
    assert "its account has no access yet" in refusal(served, HF_TOKEN=TOKEN)
    assert fetch(served, HF_TOKEN="hf_granted")["files"]
    # What may be seen once is in the cache, as every other file.
    assert call(served, LOCAL, "org/tiny").returncode == 0


def test_a_private_model_needs_its_token(served):
    served.hide("org/tiny", TOKEN)
    assert "If it is private, set HF_TOKEN" in refusal(served)
    assert fetch(served, HF_TOKEN=TOKEN)["files"]


def test_a_token_that_is_refused_is_told(served):
    said = refusal(served, HF_TOKEN="hf_expired")
    assert "does not accept your token" in said
    assert "mistyped, has expired or was revoked" in said
    assert "hf_expired" not in said


def test_a_token_goes_to_the_hub_alone_and_into_no_file(served, tmp_path):
    served.gate("org/tiny", TOKEN)
    fetch(served, HF_TOKEN=TOKEN)
    hosts = {(r.host, r.token) for r in served.requests}
    assert hosts == {("127.0.0.1", TOKEN), ("localhost", None)}
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


# Planning, and directories


def test_planning_reads_the_configuration_alone_and_once(served):
    code = "from mute.hub import copies as hub; print([hub.look_up('org/tiny')['num_hidden_layers'] for _ in range(3)])"
    assert call(served, code).stdout.strip() == "[3, 3, 3]"
    assert {Path(r.path).name for r in served.downloads()} == {"config.json"}
    # The next process finds it in the cache.
    asked = len(served.requests)
    served.stop()
    assert call(served, code, HF_HUB_OFFLINE="1").stdout.strip() == "[3, 3, 3]"
    assert len(served.requests) == asked
    # And it is not taken for the model.
    assert "run `make fetch`" in call(served, LOCAL, "org/tiny").stderr


@pytest.mark.parametrize(
    ("id", "revision", "stopped", "message"),
    [
        ("org/tinny", "main", False, "there is no model 'org/tinny'"),
        ("org/tiny", "v2", False, "unknown revision of org/tiny 'v2'"),
        ("org/tiny", "main", True, "cannot be reached"),
        ("org/gated", "main", False, "is gated"),
    ],
)
def test_planning_tells_what_is_wrong(served, tiny_llama, id, revision, stopped, message):
    served.add_model("org/gated", tiny_llama)
    served.gate("org/gated")
    if stopped:
        served.stop()
    code = (
        "import sys; from mute.hub import copies\ntry: copies.look_up(*sys.argv[1:])\nexcept ValueError as e: print(e)"
    )
    done = call(served, code, id, revision, HF_HUB_ETAG_TIMEOUT="1")
    assert message in done.stdout, done.stderr


def test_offline_a_process_asks_nothing_and_says_what_to_do(served):
    done = call(served, LOCAL, "org/tiny")
    assert f"the model org/tiny at main is not in {served.home / 'hub'}" in done.stderr
    for code in (
        "import transformers; from mute.jobs import job as jobs; jobs.keep_offline()\n"
        "transformers.AutoConfig.from_pretrained('org/tiny')",
        "import datasets; from mute.jobs import job as jobs; jobs.keep_offline()\ndatasets.load_dataset('org/tiny')",
        "from mute.jobs import job; job.keep_offline()\nimport huggingface_hub as h; h.HfApi().model_info('org/tiny')",
    ):
        assert call(served, code).returncode != 0
    assert not served.requests
