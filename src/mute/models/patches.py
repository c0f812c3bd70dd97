"""A patch: the tensors that unlearning changed, and nothing else. Base + patch = unlearned model."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mute.models.anatomy import Model
from mute.store import artifacts

# The file of a cell's tensors: weights that changed, or what a guard was fitted to.
PATCH, FITTED = "patch.safetensors", "fitted.safetensors"


def take(model: Model, names: Iterable[str]) -> dict[str, Any]:
    """Copies of the named parameters."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name].detach().clone() for name in names}


def save(folder: Path | str, tensors: dict[str, Any], name: str = PATCH) -> None:
    artifacts.write_tensors(Path(folder) / name, tensors)


def load(folder: Path | str, name: str = PATCH) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(Path(folder) / name)


def put(model: Model, tensors: dict[str, Any]) -> None:
    """Copy `tensors` into the parameters of the same names. Raises ValueError on a name or shape that is not there."""
    import torch

    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise ValueError(f"the patch does not fit the model: {name} {tuple(tensor.shape)}")
        with torch.no_grad():
            parameters[name].copy_(tensor)


@contextmanager
def applied(model: Model, tensors: dict[str, Any]) -> Generator[Any]:
    """The model with the patch in place; afterwards it is bit for bit what it was."""
    before = take(model, tensors)
    put(model, tensors)
    try:
        yield model
    finally:
        put(model, before)
