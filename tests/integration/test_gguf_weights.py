"""GGUF files of a hub on loopback, and real ones where they were fetched: the same text as transformers' own way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mute.hub import weights

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
# Where `python -m mute weights` puts them, or another folder like it.
FETCHED = Path(os.environ.get("MUTE_WEIGHTS", ROOT / weights.FOLDER))
PROMPTS = {
    "en": "The official language of Brazil is",
    "es": "La capital de Francia es",
    "de": "Die Hauptstadt von Italien ist",
    "hi": "भारत की राजधानी",
    "ja": "日本の首都は",
}
MOST_SECONDS, MOST_BYTES = 120, 1.5e9
LOOK = """
import json, sys
from mute.config.sections import ModelSection
from mute.models import pretrained
try:
    print(json.dumps(pretrained.look_up(ModelSection(pretrained=sys.argv[1], revision="main"))))
except ValueError as error:
    sys.exit(f"ValueError: {error}")
"""
FETCH = """
import json, sys
from mute.hub import copies, gguf_files
print(json.dumps(copies.fetch(gguf_files.repo(sys.argv[1], "main"))))
"""
OPEN = """
import sys
from pathlib import Path
from mute.jobs import job
from mute.models import loading, pretrained
job.keep_offline()
folder, origin = pretrained.opened(sys.argv[1], "main", Path(sys.argv[2]))
print(loading.load(folder).config.num_hidden_layers, origin["gguf"]["sha256"])
"""


def run(hub, code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **hub.env}, capture_output=True, text=True, timeout=300)


def test_a_file_of_the_hub_is_planned_fetched_and_opened(hub, tokenizer, tmp_path):
    import gguf_made

    source = tmp_path / "source"
    source.mkdir()
    model = gguf_made.model("llama", len(tokenizer))
    gguf_made.write(source / "model-F32.gguf", model, tokenizer)
    gguf_made.write(source / "model-Q8_0.gguf", model, tokenizer, "Q8_0")
    hub.add_model("org/tiny", source)
    given = "org/tiny/model-Q8_0.gguf"

    planned = run(hub, LOOK, given)
    assert json.loads(planned.stdout)["num_hidden_layers"] == 2, planned.stderr
    missing = run(hub, LOOK, "org/tiny/model-Q4_K.gguf")
    assert missing.returncode
    whole = run(hub, LOOK, "org/tiny")
    assert whole.returncode
    assert "config.json" in whole.stderr

    record = json.loads(run(hub, FETCH, given).stdout)
    assert list(record["files"]) == ["model-Q8_0.gguf"], "one file of a repository, and no other"
    opened = run(hub, OPEN, given, tmp_path / "cache")
    assert opened.stdout.split() == ["2", record["files"]["model-Q8_0.gguf"]["sha256"]], opened.stderr
    hub.stop()
    assert json.loads(run(hub, LOOK, given).stdout)["num_hidden_layers"] == 2, "what was fetched is planned without it"


def fetched(name):
    """A real file, or a test that says how to have it."""
    path = FETCHED / name / weights.KNOWN[name].file
    if not path.is_file():
        pytest.skip(f"the weights are not here: python -m mute weights {name}")
    return path


REAL = """
import json, sys, time
from pathlib import Path
import torch
import transformers.modeling_utils
torch.set_num_threads(1)
from mute.models.gguf import folder
begun = time.process_time()
opened, record = folder.opened(Path(sys.argv[1]), Path(sys.argv[2]))
seconds = time.process_time() - begun
# Of this process alone: getrusage remembers the one that it was forked from.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
print(json.dumps({"folder": str(opened), "seconds": seconds, "peak": peak}))
"""


@pytest.mark.parametrize("name", weights.KNOWN)
def test_real_weights_are_those_of_transformers_own_way(name, tmp_path, capsys):
    """In two minutes of one core, in bounded memory; logits equal to the bit, tokens too; greedy text is shown."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from mute.engine import verify
    from mute.models import loading
    from mute.models import tokenizer as tokenizers

    path = fetched(name)
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(path), str(tmp_path)], capture_output=True, text=True, timeout=600
    )
    about = json.loads(done.stdout)
    assert about["seconds"] < MOST_SECONDS
    assert about["peak"] < MOST_BYTES

    model, words = loading.load(about["folder"]), tokenizers.load(about["folder"])
    verify.check(model, model.config.num_hidden_layers)
    encoder = tokenizers.Encoder(words)
    tokenizers.check(encoder, model.get_input_embeddings().num_embeddings)
    # Its library says much of how far it is.
    with capsys.disabled():
        expected = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype="float32").eval()
        own = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    said, most = [], 0.0
    for language, text in PROMPTS.items():
        assert words(text)["input_ids"] == own(text)["input_ids"]
        ids = torch.tensor([encoder.prompt(text)])
        with torch.no_grad():
            ours, theirs = model(ids).logits, expected(ids).logits
            answer = model.generate(ids, max_new_tokens=16, do_sample=False, use_cache=True)
        most = max(most, float((ours - theirs).abs().max()))
        said.append(f"{language}: {words.decode(answer[0], skip_special_tokens=True)!r}")
    with capsys.disabled():
        print(f"\n{name}: {about['seconds']:.1f} s, {about['peak'] / 1e6:.0f} MB at most, logits differ by {most}")
        print("\n".join(said))
    assert most == 0
    if name == "gemma-3-270m":
        assert "Portuguese" in said[0]
