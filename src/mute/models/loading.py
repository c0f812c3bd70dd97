"""Opens and saves models as ordinary directories: safetensors only, no code from the directory."""

import os
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from mute.jobs import devices
from mute.models import anatomy, directory
from mute.models.anatomy import Model
from mute.models.tokenizer import Words
from mute.store import artifacts, clock
from mute.store.records import Record

# Types of weights that can be trained, as safetensors calls them.
_FRACTIONS = ("F16", "BF16", "F32", "F64")


def load(folder: Path | str, *, device: str = "cpu", dtype: str = "float32") -> Model:
    """The causal language model in `folder`, in evaluation mode, with no gradients asked for.

    device: `auto` is the best that torch finds here; dtype: the name of a torch type. Raises ValueError for a folder
    that asks to run code, holds pickles in place of safetensors, is of a family that is not known, or whose tensors
    are not exactly those of its configuration: what is missing would be random, and nothing would say so.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    directory.blocks(directory.read_config(Path(folder)), str(folder))
    _check_types(directory.weights(Path(folder)))
    with clock.phase("load"):
        model = _whole(Path(folder), dtype)
        model.config.use_cache = False
        anatomy.fuse_activations(model)
        model = model.to(find_device(device)).eval().requires_grad_(False)
    artifacts.made_with.update(device=model.device.type, dtype=dtype)
    return model


def _whole(folder: Path, dtype: str) -> Model:
    """The model in a folder whose tensors are all there, no more, and of the right shapes."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        opened: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            trust_remote_code=False,
            use_safetensors=True,
            dtype=dtype,
            # Else the first wrong shape is an error that does not name the others.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder} cannot be opened as a model, a file is missing or damaged: {error}") from error
    except Exception as error:
        # What a foreign config.json breaks in transformers has as many types as there are places.
        why = directory.first_line(error)
        raise ValueError(f"{folder} cannot be opened as a model, transformers does not take it: {why}") from error
    model, found = opened
    wrong = [f"{name} {tuple(has)}, not {tuple(wants)}" for name, has, wants in found["mismatched_keys"]]
    lists = (
        ("are missing", sorted(found["missing_keys"])),
        ("are of no parameter", sorted(found["unexpected_keys"])),
        ("have another shape", sorted(wrong)),
    )
    said = [f"{len(names)} {what} ({_some(names)})" for what, names in lists if names]
    if said:
        raise ValueError(f"the weights in {folder} are not those of its config.json: of its tensors {'; '.join(said)}")
    return model


def _check_types(paths: list[Path]) -> None:
    """Raise ValueError for weights that are no fractions: they would be read as the numbers that they are not."""
    from safetensors import SafetensorError, safe_open

    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            why = f"{path.name} is no safetensors file: {directory.first_line(error)}"
            said = f"{path.parent} cannot be opened as a model, a file is missing or damaged: {why}"
            raise ValueError(said) from None
        wrong = [f"{name} {kind}" for name, kind in kinds.items() if kind not in _FRACTIONS]
        if wrong:
            raise ValueError(f"{path} holds {len(wrong)} tensors of types that cannot be trained ({_some(wrong)})")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def find_device(wanted: str = "auto") -> str:
    """The device to run on; `auto` is the first of cuda, mps and cpu that this machine has.

    Jobs that run beside each other take different GPUs (see `mute.jobs.devices`). Raises ValueError where the wanted
    one is not there.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there.get(wanted, wanted == "auto"):
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise ValueError(f"engine.device is {wanted!r}, but torch finds only {found} here; auto takes what there is")
    device = next(name for name in there if there[name]) if wanted == "auto" else wanted
    return f"cuda:{devices.lease(devices.visible())}" if device == "cuda" else device


def save(model: Model, tokenizer: Words, folder: Path | str, record: Record) -> None:
    """Write model and tokenizer to `folder` and seal it with `record`."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    # Where a model was opened from is no part of it, and a path of this machine belongs in no file.
    model.config._name_or_path = ""
    folder = _emptied(folder)
    with clock.phase("write"):
        with artifacts.atomic_files(folder) as scratch:
            model.save_pretrained(scratch, safe_serialization=True)
            tokenizer.save_pretrained(scratch)
        artifacts.seal(folder, record)


def link(
    source: Path, folder: Path | str, record: Record, beside: Callable[[Path], None] = lambda folder: None
) -> None:
    """Put the files of the model directory `source` into `folder` as they are, and seal it with `record`.

    beside: writes what else belongs there, before it is sealed.

    Hard links where the file system has them: the weights then take no room of their own.
    """
    folder = _emptied(folder)
    with clock.phase("write"):
        for path in directory.files(source):
            try:
                # What a link points to: the hub's cache is made of links.
                os.link(path.resolve(), folder / path.name)
            except OSError:
                shutil.copyfile(path, folder / path.name)
        beside(folder)
        artifacts.seal(folder, record)


def _emptied(folder: Path | str) -> Path:
    """The folder without files, its record first: shards of another model would be sealed with this one's."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / artifacts.RECORD).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    return folder


def versions() -> dict[str, str]:
    """Of the packages that make an adapted model what it is."""
    return {name: metadata.version(name).split("+")[0] for name in ("torch", "transformers", "peft")}
