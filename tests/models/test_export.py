"""Exports: base and patch as an ordinary model directory, whatever the family, the files and the types of the base."""

import errno
import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from mute.bands import Band
from mute.models import anatomy, export, identity, loading, patches
from mute.models.embedded import FAMILIES
from mute.store import artifacts

IDS = torch.arange(3, 43).reshape(4, 10)


@pytest.fixture
def base(tmp_path, random_model, tokenizer):
    """base(family, shard, dtype): a sealed model directory; `shard` cuts its weights into several files."""

    def make(family="llama", shard=None, dtype=torch.float32):
        folder = tmp_path / "models" / f"{family}-s0"
        model = AutoModelForCausalLM.from_config(random_model(family).config)
        model.load_state_dict(random_model(family).state_dict())
        model.to(dtype).save_pretrained(folder, max_shard_size=shard or "5GB")
        tokenizer.save_pretrained(folder)
        artifacts.seal(folder, {"producer": "test"})
        return folder

    return make


def perturbed(folder: Path, band: str, dtype: str = "float32") -> dict[str, torch.Tensor]:
    """A patch that changes every parameter of a band of the model in a folder."""
    model = loading.load(folder, dtype=dtype)
    torch.manual_seed(1)
    return {
        name: tensor + torch.randn_like(tensor) / 10
        for name, tensor in patches.take(model, anatomy.band_parameters(model, Band.named(band, 3))).items()
    }


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model(input_ids=IDS).logits


def patched(folder: Path, tensors: dict, dtype: str = "float32") -> torch.Tensor:
    """What the patched model says in the study."""
    model = loading.load(folder, dtype=dtype)
    with patches.applied(model, tensors):
        return logits(model)


@pytest.mark.parametrize("shard", [None, "40KB"], ids=["one file", "sharded"])
@pytest.mark.parametrize("band", ["1", "0-2", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_export_is_the_patched_model_bit_for_bit(base, tmp_path, family, band, shard):
    folder = base(family, shard)
    tensors, target = perturbed(folder, band), tmp_path / "exports" / "one"
    before = {path.name: artifacts.sha256(path) for path in folder.iterdir()}
    record = export.export(folder, tensors, target, {})
    assert artifacts.sealed(target) == record
    assert record["finite"]
    assert torch.equal(logits(loading.load(target)), patched(folder, tensors))
    assert not torch.equal(logits(loading.load(target)), logits(loading.load(folder)))
    plain, info = AutoModelForCausalLM.from_pretrained(target, output_loading_info=True)
    assert not any(info.values()), "nothing is missing, unexpected or of another shape"
    state = plain.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    text = "una prueba, ein Test"
    assert AutoTokenizer.from_pretrained(target)(text) == AutoTokenizer.from_pretrained(folder)(text)
    assert len(list(target.glob("*.safetensors"))) == len(list(folder.glob("*.safetensors")))
    assert {path.name: artifacts.sha256(path) for path in folder.iterdir()} == before, "the base is as it was"
    assert [path.name for path in target.parent.iterdir() if path.is_dir()] == ["one"]


def test_weights_are_copied_but_for_the_tensors_that_changed(base, tmp_path):
    folder = base(shard="40KB")
    tensors = perturbed(folder, "1")
    export.export(folder, tensors, tmp_path / "one", {})
    where = artifacts.read_json(folder / export.INDEX)["weight_map"]
    touched = {where[name] for name in tensors}
    assert touched < set(where.values()), "some files hold nothing of the band"
    for name in sorted(set(where.values())):
        same = (folder / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
        assert same == (name not in touched)
        assert (folder / name).stat().st_ino != (tmp_path / "one" / name).stat().st_ino
    both = [load_file(f / file) for f in (folder, tmp_path / "one") for file in sorted(set(where.values()))]
    half = len(both) // 2
    changed = {n for a, b in zip(both[:half], both[half:]) for n in a if not torch.equal(a[n], b[n])}
    assert changed == set(tensors)


@pytest.mark.parametrize(("stored", "ran"), [("bfloat16", "float32"), ("float32", "bfloat16")])
@pytest.mark.parametrize("shard", [None, "40KB"], ids=["one file", "sharded"])
def test_an_export_has_the_type_in_which_the_study_ran(base, tmp_path, shard, stored, ran):
    folder = base("qwen2", shard, getattr(torch, stored))
    tensors = perturbed(folder, "1", ran)
    export.export(folder, tensors, tmp_path / "one", {})
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert opened.dtype == getattr(torch, ran)
    assert torch.equal(logits(loading.load(tmp_path / "one", dtype=ran)), patched(folder, tensors, ran))
    if shard:
        index = artifacts.read_json(tmp_path / "one" / export.INDEX)
        own = sum(t.nbytes for f in set(index["weight_map"].values()) for t in load_file(tmp_path / "one" / f).values())
        assert index["metadata"]["total_size"] == own


@pytest.mark.parametrize("both", [False, True], ids=["stored once", "stored twice"])
def test_tied_embeddings_change_wherever_they_are_stored(base, tmp_path, both):
    """Published models with tied embeddings store the head too, now and then; transformers would then take the old."""
    folder = base("qwen2")
    config = artifacts.read_json(folder / "config.json")
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    weights = load_file(folder / "model.safetensors")
    head = {"lm_head.weight": weights["model.embed_tokens.weight"].clone()} if both else {}
    weights.pop("lm_head.weight")
    save_file({**weights, **head}, folder / "model.safetensors", metadata={"format": "pt"})
    tensors = perturbed(folder, "full")
    assert "lm_head.weight" not in tensors
    export.export(folder, tensors, tmp_path / "one", {})
    assert torch.equal(logits(loading.load(tmp_path / "one")), patched(folder, tensors))
    written = load_file(tmp_path / "one" / "model.safetensors")
    assert ("lm_head.weight" in written) == both
    if both:
        assert torch.equal(written["lm_head.weight"], tensors["model.embed_tokens.weight"])


def test_weights_stored_without_the_heads_prefix_are_found(base, tmp_path):
    """As the published BLOOM models have them."""
    folder = base("bloom")
    weights = load_file(folder / "model.safetensors")
    short = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    assert short.keys().isdisjoint(weights)
    save_file(short, folder / "model.safetensors", metadata={"format": "pt"})
    tensors = perturbed(folder, "full")
    export.export(folder, tensors, tmp_path / "one", {})
    assert torch.equal(logits(loading.load(tmp_path / "one")), patched(folder, tensors))


def test_old_weights_in_other_formats_do_not_go_along(base, tmp_path):
    folder = base()
    for name in ("pytorch_model.bin", "LICENSE", ".hidden"):
        (folder / name).write_text("x")
    export.export(folder, perturbed(folder, "1"), tmp_path / "one", {})
    assert {p.name for p in (tmp_path / "one").iterdir()} == {
        p.name for p in folder.iterdir() if p.name not in ("pytorch_model.bin", ".hidden")
    }


# What is refused


def test_a_patch_of_another_model_is_refused(base, tmp_path):
    folder = base("llama")
    tensors = perturbed(folder, "1")
    deeper = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in tensors.items()}
    with pytest.raises(ValueError, match=r"is not of the model in .*: that has no model\.layers\.7\."):
        export.export(folder, deeper, tmp_path / "one", {})
    wider = {name: torch.cat([tensor, tensor]) for name, tensor in tensors.items()}
    with pytest.raises(ValueError, match=r"is not of the model in .* has shape \[64, 32\], there \[32, 32\]"):
        export.export(folder, wider, tmp_path / "one", {})
    first, *others = tensors
    mixed = {first: tensors[first].bfloat16()} | {name: tensors[name] for name in others}
    with pytest.raises(ValueError, match="tensors of one type, not of bfloat16, float32"):
        export.export(folder, mixed, tmp_path / "one", {})
    assert not (tmp_path / "one").exists()


def test_weights_that_are_not_safetensors_are_refused(base, tmp_path):
    folder = base()
    tensors = perturbed(folder, "1")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"has neither model\.safetensors nor model\.safetensors\.index\.json"):
        export.export(folder, tensors, tmp_path / "one", {})


def test_a_folder_in_use_is_left_alone_unless_it_is_to_be_replaced(base, tmp_path):
    folder, target = base(), tmp_path / "one"
    tensors = perturbed(folder, "1")
    target.mkdir()
    export.export(folder, tensors, target, {})
    before = {path.name: artifacts.sha256(path) for path in target.iterdir()}
    with pytest.raises(ValueError, match="is there and not empty: give a new folder"):
        export.export(folder, perturbed(folder, "2"), target, {})
    assert {path.name: artifacts.sha256(path) for path in target.iterdir()} == before
    (target / "left.txt").write_text("from an earlier run")
    export.export(folder, perturbed(folder, "2"), target, {}, replace=True)
    assert artifacts.sealed(target)
    assert not (target / "left.txt").exists()


@pytest.mark.parametrize("there", [False, True], ids=["new", "over another"])
def test_a_full_disk_leaves_no_half_export(base, tmp_path, monkeypatch, there):
    folder, target = base(shard="40KB"), tmp_path / "exports" / "one"
    tensors = perturbed(folder, "1")
    if there:
        export.export(folder, tensors, target, {})
    written, calls = safetensors.torch.save_file, []

    def full(stored, to, **more):
        calls.append(to)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(stored, to, **more)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        export.export(folder, perturbed(folder, "2"), target, {}, replace=True)
    monkeypatch.undo()
    assert target.exists() == there
    if there:
        assert artifacts.sealed(target)
        assert torch.equal(logits(loading.load(target)), patched(folder, tensors)), "the earlier export stands"
    assert [p.name for p in target.parent.iterdir() if p.is_dir()] == ["one"] * there


# Cells of a study


@pytest.fixture
def cell(base, tmp_path):
    """A cell as a study stores it, of the model in `models/llama-s0`."""
    folder = base()
    tensors = perturbed(folder, "1")
    store = tmp_path / "cells" / "abc"
    patches.save(store, tensors)
    inputs = {"model": identity.of_files(artifacts.checked(folder)["files"]), "corpus": {}}
    outcome = {"status": "not_reached", "knowledge": None, "retained": 0.5, "size": 0.1, "steps": 3}
    artifacts.seal(store, {"inputs": inputs, "outcome": outcome})
    return folder, store, tensors


def test_an_exported_cell_says_where_it_is_from(cell, tmp_path):
    folder, store, tensors = cell
    record = export.export_cell(folder, store, tmp_path / "one", {"algorithm": "rmu", "band": "1"})
    assert record["producer"] == "export_model"
    assert record["cell"] == {"algorithm": "rmu", "band": "1"}
    assert record["outcome"]["status"] == "not_reached"
    assert record["patch"] == {"cell": "abc", "sha256": artifacts.sha256(store / patches.PATCH)}
    assert record["base"]["files"]["model.safetensors"] == artifacts.sha256(folder / "model.safetensors")
    assert str(tmp_path) not in (tmp_path / "one" / artifacts.RECORD).read_text()
    assert torch.equal(logits(loading.load(tmp_path / "one")), patched(folder, tensors))
    first = {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()}
    export.export_cell(folder, store, tmp_path / "one", {"algorithm": "rmu", "band": "1"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()} == first


def test_an_altered_missing_or_foreign_patch_is_not_exported(cell, tmp_path):
    folder, store, _ = cell
    with pytest.raises(RuntimeError, match="cells/none is incomplete or was altered"):
        export.export_cell(folder, store.with_name("none"), tmp_path / "one", {})
    other = load_file(folder / "model.safetensors")
    name = "model.norm.weight"
    save_file({**other, name: other[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RuntimeError, match="models/llama-s0 is incomplete or was altered"):
        export.export_cell(folder, store, tmp_path / "one", {})
    artifacts.seal(folder, {"producer": "another training"})
    with pytest.raises(ValueError, match="was not made from the model in"):
        export.export_cell(folder, store, tmp_path / "one", {})
    content = bytearray((store / patches.PATCH).read_bytes())
    content[-1] ^= 1
    (store / patches.PATCH).write_bytes(content)
    with pytest.raises(RuntimeError, match="cells/abc is incomplete or was altered"):
        export.export_cell(folder, store, tmp_path / "one", {})
    assert not (tmp_path / "one").exists()


def test_a_guard_has_no_model_to_export(cell, tmp_path):
    folder, store, _ = cell
    made = artifacts.checked(store)
    (store / patches.PATCH).unlink()
    patches.save(store, {"weight": torch.zeros(32)}, patches.FITTED)
    artifacts.seal(store, {key: made[key] for key in ("inputs", "outcome")})
    with pytest.raises(ValueError, match="is a guard, which changes no weight: there is no model to export"):
        export.export_cell(folder, store, tmp_path / "one", {})
    assert not (tmp_path / "one").exists()


def test_weights_that_are_no_numbers_are_exported_and_told(base, tmp_path):
    folder = base()
    tensors = {name: tensor * torch.nan for name, tensor in perturbed(folder, "1").items()}
    assert export.export(folder, tensors, tmp_path / "one", {})["finite"] is False
