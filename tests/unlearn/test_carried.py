"""Guards in folders: saved, read, exported with their model, opened without anything beside, and what is refused."""

import copy
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import mute
from mute import unlearn as methods
from mute.__main__ import main
from mute.api import Patch
from mute.bands import Band
from mute.models import loading, patches
from mute.models.identity import of_files
from mute.store import artifacts
from mute.unlearn import carried
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn
from mute.unlearn.speaking import Guarded, How

EDIT = {"method": "gradient_difference", "steps": 8, "batch_size": 8, "learning_rate": 3e-3}
CHAIN = {"chain": [EDIT, {"method": "ksd", "detector": "ngrams"}]}
HOW = How(4)


class Kept:
    """A base model in a folder, and a patch of a chain made on it."""

    def __init__(self, folder, model, tokenizer, encoder, corpus):
        self.model, self.tokenizer, self.folder = model, tokenizer, folder / "base"
        loading.save(copy.deepcopy(model), tokenizer, self.folder, {})
        bench = Workbench(
            copy.deepcopy(model),
            encoder,
            corpus,
            languages=["en", "es", "hi"],
            sources=["en", "es"],
            forget_set="domain",
            retain="source",
            matching=Matching(facts=8),
            seed=0,
            oracle=None,
        )
        method = methods.make("chain", CHAIN)
        outcome = unlearn(bench, method, Band.named("1", 3), protocol="paper", seed=3)
        about = {"algorithm": "chain", "settings": method.settings.model_dump(), "status": "ok"}
        self.patch = Patch(outcome.tensors, about, outcome.fitted)
        guard = method.guard
        self.alone = Patch(
            outcome.fitted, {"algorithm": guard.name, "settings": guard.settings.model_dump(), "status": "ok"}
        )
        texts = corpus.texts[(corpus.texts["language"] == "en") & (corpus.texts["form"] == 0)]
        self.prompts = texts["prefix"].tolist()[::5]


@pytest.fixture(scope="module")
def kept(tmp_path_factory, trained_model, tokenizer, encoder, corpus):
    return Kept(tmp_path_factory.mktemp("kept"), trained_model("llama"), tokenizer, encoder, corpus)


def test_a_guard_that_is_saved_and_read_says_the_same(kept, tmp_path):
    wanted = mute.guarded(kept.model, kept.tokenizer, kept.alone)
    said = wanted.say(kept.prompts, HOW)
    assert said != Guarded(kept.model, kept.tokenizer).say(kept.prompts, HOW)
    guard = methods.make("ksd", kept.alone.about["settings"])
    carried.save_guard(guard, kept.alone.tensors, tmp_path / "guard")
    assert {path.name for path in (tmp_path / "guard").iterdir()} == {"guard.json", "fitted.safetensors"}
    read = carried.load_guard(tmp_path / "guard")
    assert Guarded(kept.model, kept.tokenizer, [read]).say(kept.prompts, HOW) == said
    mute.save_patch(kept.alone, tmp_path / "patch")
    assert mute.guarded(kept.model, kept.tokenizer, tmp_path / "patch").say(kept.prompts, HOW) == said


@pytest.mark.parametrize("which", ["patch", "alone"])
def test_an_export_opens_with_nothing_beside_it_and_says_the_same(kept, tmp_path, which):
    patch = getattr(kept, which)
    said = mute.guarded(kept.model, kept.tokenizer, patch).say(kept.prompts, HOW)
    base = tmp_path / "base"
    shutil.copytree(kept.folder, base)
    mute.export_model(base, patch, tmp_path / "one")
    shutil.rmtree(base)
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"model", "guard", "record.json"}
    files = {path.suffix for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert files <= {".json", ".safetensors", ".jinja"}
    opened = mute.open_guarded(tmp_path / "one")
    assert opened.say(kept.prompts, HOW) == said
    inside = load_file(tmp_path / "one/model/model.safetensors")
    before = load_file(kept.folder / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], inside[name])}
    assert changed == (set(patch.tensors) if which == "patch" else set())
    with pytest.raises((OSError, ValueError), match=r"config\.json"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "one", local_files_only=True)


def test_a_chain_is_a_patch_like_any_other(kept, tmp_path):
    mute.save_patch(kept.patch, tmp_path / "patch")
    read = mute.load_patch(tmp_path / "patch")
    assert read.about == kept.patch.about
    for own, other in ((read.tensors, kept.patch.tensors), (read.fitted, kept.patch.fitted)):
        assert own.keys() == other.keys()
        assert all(torch.equal(tensor, other[name]) for name, tensor in own.items())
    with mute.patched(kept.model, read) as model:
        name = next(iter(read.tensors))
        assert torch.equal(model.get_parameter(name), read.tensors[name])
        assert model._forward_hooks
    assert not kept.model._forward_hooks
    edit = Patch(kept.patch.tensors, {"algorithm": "gradient_difference", "settings": {}})
    with pytest.raises(ValueError, match=r"is no guard but an edit: use mute\.patched"):
        mute.guarded(kept.model, kept.tokenizer, edit)


def test_the_terminal_exports_a_patch_with_its_guard(kept, tmp_path, capsys):
    mute.save_patch(kept.patch, tmp_path / "patch")
    command = ["export", str(kept.folder), str(tmp_path / "patch"), str(tmp_path / "one")]
    assert main(command) == 0
    assert capsys.readouterr().out.endswith("one: chain, status ok\n")
    assert mute.open_guarded(tmp_path / "one").treatments[0].name == "abstaining"
    assert main(command) == 1
    assert "is there and not empty" in capsys.readouterr().err


def test_a_cell_of_a_study_is_exported_with_its_guard(kept, tmp_path):
    found = of_files(artifacts.checked(kept.folder)["files"])
    plan = {"method": "chain", "settings": kept.patch.about["settings"]}
    outcome = {"status": "ok", "knowledge": 0.4, "reason": ""}
    record = {"inputs": {"model": found}, "plan": plan, "outcome": outcome}
    patches.save(tmp_path / "cell", kept.patch.tensors)
    patches.save(tmp_path / "cell", kept.patch.fitted, patches.FITTED)
    artifacts.seal(tmp_path / "cell", record)
    made = carried.export_cell(kept.folder, tmp_path / "cell", tmp_path / "one", {"algorithm": "kept"})
    assert (made["cell"], made["outcome"]["knowledge"], made["finite"]) == ({"algorithm": "kept"}, 0.4, True)
    first = {path: path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()}
    carried.export_cell(kept.folder, tmp_path / "cell", tmp_path / "one", {"algorithm": "kept"})
    assert {path: path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()} == first
    said = mute.guarded(kept.model, kept.tokenizer, kept.patch).say(kept.prompts, HOW)
    assert mute.open_guarded(tmp_path / "one").say(kept.prompts, HOW) == said
    outcome |= {"status": "not_applicable", "reason": "no word for it"}
    artifacts.seal(tmp_path / "cell", record)
    with pytest.raises(ValueError, match="could not run on its model: no word for it"):
        carried.export_cell(kept.folder, tmp_path / "cell", tmp_path / "two", {})
    artifacts.seal(tmp_path / "cell", {**record, "inputs": {"model": {}}})
    with pytest.raises(ValueError, match="was not fitted on the model in"):
        carried.export_cell(kept.folder, tmp_path / "cell", tmp_path / "two", {})
    assert not (tmp_path / "two").exists()


def test_what_is_missing_foreign_or_altered_is_refused(kept, tmp_path):
    mute.export_model(kept.folder, kept.alone, tmp_path / "one")
    about, fitted = tmp_path / "one/guard/guard.json", tmp_path / "one/guard/fitted.safetensors"
    good = about.read_text()
    about.write_text(good + " ")
    with pytest.raises(ValueError, match="is incomplete or was altered"):
        mute.open_guarded(tmp_path / "one")
    guard = json.loads(good)
    for change, said in (
        ({"method": "rmu"}, "names no guard that is known here, but 'rmu'"),
        ({"method": "./own.py"}, "names no guard that is known here"),
        ({"settings": None}, "names no guard"),
        ({"settings": {**guard["settings"], "detektor": "box"}}, "mean 'detector'"),
    ):
        about.write_text(json.dumps({**guard, **change}))
        with pytest.raises(ValueError, match=said):
            carried.load_guard(tmp_path / "one/guard")
    about.write_text(good)
    save_file({"bias": torch.zeros(3)}, fitted)
    with pytest.raises(ValueError, match="is not what ksd was fitted to"):
        carried.load_guard(tmp_path / "one/guard")
    fitted.unlink()
    with pytest.raises(ValueError, match=r"there is no fitted\.safetensors"):
        carried.load_guard(tmp_path / "one/guard")
    with pytest.raises(ValueError, match="is no model and no export with a guard"):
        mute.open_guarded(tmp_path / "nowhere")
    assert mute.open_guarded(kept.folder).treatments == (), "of a model alone it is the model"
