"""Exports an unlearned model: base and patch put together as an ordinary model directory, in the patch's type.

Weights are written file by file, never as a whole model: a file of the base, with what the patch holds in place of the
old values. An export shares no file with its base, so that either can be trained or deleted.
"""

import fcntl
import json
import shutil
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mute.jobs import progress
from mute.models import patches
from mute.models.identity import of_files
from mute.store import artifacts
from mute.store.records import Record

PRODUCER = "export_model"
# What an export says of its cell: how it ended comes first.
TOLD = ("status", "diverged_at", "knowledge", "retained", "size")
WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
_OLD_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx")


def export_cell(base: Path | str, cell: Path | str, folder: Path | str, keys: Record) -> Record:
    """Export a study's cell from its folder in the store, over an earlier export if there is one; returns the record.

    base: the folder of the trained model that the cell edited; keys: the cell's keys, for the record. Raises ValueError
    for a patch of another model, or of none (a filter), and RuntimeError where base or patch were altered.
    """
    base, cell = Path(base), Path(cell)
    made, model = artifacts.checked(cell), artifacts.checked(base)
    if patches.PATCH not in made["files"]:
        raise ValueError(f"the cell in {cell} is a guard, which changes no weight: there is no model to export")
    found = of_files(model["files"])
    if made["inputs"]["model"] != found:
        raise ValueError(f"the patch in {cell} was not made from the model in {base}: run the study again")
    about = {
        "cell": keys,
        "base": {"name": base.name, "files": found},
        "patch": {"cell": cell.name, "sha256": made["files"][patches.PATCH]["sha256"]},
        "outcome": {key: made["outcome"].get(key) for key in TOLD},
    }
    return export(base, patches.load(cell), folder, about, replace=True)


def export(
    base: Path | str, tensors: patches.Tensors, folder: Path | str, about: Record, *, replace: bool = False
) -> Record:
    """Write the model in `base` with the patch `tensors` to `folder` and return its sealed record.

    The folder appears whole or not at all. Raises ValueError for a patch that does not fit the model, weights that are
    not safetensors, and a folder in use, unless `replace`.
    """
    base, folder = Path(base), Path(folder)
    stored_names(base, tensors)
    dtype = type_of(tensors)
    with whole(folder, replace) as part:
        write(base, tensors, part, dtype)
        finite = all(bool(tensor.isfinite().all()) for tensor in tensors.values())
        artifacts.seal(part, {"producer": PRODUCER, **about, "dtype": dtype, "finite": finite})
    return artifacts.checked(folder)


def write(base: Path, tensors: patches.Tensors, folder: Path, dtype: str) -> None:
    """Write the files of the model in `base`, with `tensors` in place, to a folder; weights in type `dtype`.

    Raises ValueError for a patch that does not fit the model, and weights that are not safetensors.
    """
    names, where = stored_names(base, tensors), _files(base)
    for path in sorted(base.iterdir()):
        if path.is_file() and _goes_along(path):
            with artifacts.atomic(folder / path.name) as temporary:
                shutil.copyfile(path, temporary)
    for file in progress.each(sorted(set(where.values())), "file of weights"):
        own = {stored: tensors[name] for stored, name in names.items() if where[stored] == file}
        _write_weights(base / file, folder / file, own, dtype)
    _write_config(base, folder, where, dtype)


def _goes_along(path: Path) -> bool:
    """Whether an export takes a file as it is: tokenizer, licence and the like, and no weights in another format."""
    hidden = path.name.startswith(".")
    return not hidden and path.suffix not in _OLD_WEIGHTS and path.name not in (artifacts.RECORD, INDEX, CONFIG)


def stored_type(base: Path) -> str:
    """The type of a model's weights, as its configuration has it."""
    config = artifacts.read_mapping(base / CONFIG)
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def type_of(tensors: patches.Tensors) -> str:
    """The type of a patch's tensors."""
    found = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}
    if len(found) != 1:
        raise ValueError(f"a patch has tensors of one type, not of {', '.join(sorted(found)) or 'none'}")
    return found.pop()


def stored_names(base: Path, tensors: patches.Tensors) -> dict[str, str]:
    """Parameter of the patch by each name under which the model's files hold it.

    A tied matrix may be stored under one of its names or under both, and a published model without its head's prefix.
    """
    model = _skeleton(base)
    known = dict(model.named_parameters(remove_duplicate=False))
    same = defaultdict(list)
    for name, parameter in known.items():
        same[id(parameter)].append(name)
    where, result = _files(base), {}
    for name, tensor in tensors.items():
        if name not in known:
            raise ValueError(f"the patch is not of the model in {base}: that has no {name}")
        if known[name].shape != tensor.shape:
            shapes = f"{list(tensor.shape)}, there {list(known[name].shape)}"
            raise ValueError(f"the patch is not of the model in {base}: {name} has shape {shapes}")
        prefix = f"{model.base_model_prefix}."
        stored = [s for twin in same[id(known[name])] for s in (twin, twin.removeprefix(prefix)) if s in where]
        if not stored:
            raise ValueError(f"the weights in {base} hold no {name}: open the model and save it with save_pretrained")
        result |= dict.fromkeys(stored, name)
    return result


def _skeleton(base: Path) -> Any:
    """The model of a folder without its weights: names, shapes, and which parameters are tied."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(base), trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _files(base: Path) -> dict[str, str]:
    """The file that holds each tensor of a model directory."""
    if (base / INDEX).is_file():
        return artifacts.read_json(base / INDEX)["weight_map"]
    if not (base / WEIGHTS).is_file():
        raise ValueError(f"{base} has neither {WEIGHTS} nor {INDEX}: an export needs weights in safetensors")
    return dict.fromkeys(_header(base / WEIGHTS), WEIGHTS)


def _header(path: Path) -> Record:
    """What a safetensors file says of its tensors."""
    with path.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(size))
    return {name: facts for name, facts in header.items() if name != "__metadata__"}


def _write_weights(source: Path, target: Path, tensors: patches.Tensors, dtype: str) -> None:
    """One file of weights in type `dtype`, as the study saw them, with `tensors` in place of those of their names."""
    import torch
    from safetensors.torch import load_file, save_file

    wanted = getattr(torch, dtype)
    stored = {n: t.to(wanted) if t.is_floating_point() else t for n, t in load_file(source).items()}
    # A matrix that stands under two names must be two.
    stored |= {n: t.detach().clone().contiguous() for n, t in tensors.items()}
    with artifacts.atomic(target) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})


def _write_config(base: Path, part: Path, where: dict[str, str], dtype: str) -> None:
    """The configuration with the type that the weights now have, and the index of sharded weights with their size."""
    config = artifacts.read_json(base / CONFIG)
    config.pop("torch_dtype", None)
    artifacts.write_json(part / CONFIG, {**config, "dtype": dtype})
    if (base / INDEX).is_file():
        held = (facts["data_offsets"] for file in set(where.values()) for facts in _header(part / file).values())
        size = sum(end - begin for begin, end in held)
        metadata = {**artifacts.read_json(base / INDEX).get("metadata", {}), "total_size": size}
        artifacts.write_json(part / INDEX, {"metadata": metadata, "weight_map": where})


@contextmanager
def whole(folder: Path, replace: bool) -> Generator[Path]:
    """Yield a folder beside `folder` that takes its place at the end; what a killed run left there is cleared first."""
    if not replace and folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is there and not empty: give a new folder, or delete it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, old = (folder.with_name(f".{folder.name}.{end}") for end in ("part", "old"))
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            if folder.exists():
                folder.replace(old)
            part.replace(folder)
        finally:
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)
