"""A patch: the tensors that unlearning changed, and nothing else. Base + patch = unlearned model."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mute.models.anatomy import Model
from mute.store import artifacts

if TYPE_CHECKING:
    from torch import Tensor

# By the name of their parameter.
Tensors: TypeAlias = "dict[str, Tensor]"

# The file of a cell's tensors: weights that changed, or what a guard was fitted to.
PATCH, FITTED = "patch.safetensors", "fitted.safetensors"


def take(model: Model, names: Iterable[str], device: str | None = None) -> Tensors:
    """Copies of the named parameters, on the model's device or another."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name].detach().to(device or parameters[name].device, copy=True) for name in names}


def save(folder: Path | str, tensors: Tensors, name: str = PATCH) -> None:
    artifacts.write_tensors(Path(folder) / name, tensors)


def load(folder: Path | str, name: str = PATCH) -> Tensors:
    from safetensors.torch import load_file

    return load_file(Path(folder) / name)


def put(model: Model, tensors: Tensors) -> None:
    """Copy `tensors` into the parameters of the same names. Raises ValueError on a name or shape that is not there."""
    import torch

    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise ValueError(f"the patch does not fit the model: {name} {tuple(tensor.shape)}")
        with torch.no_grad():
            parameters[name].copy_(tensor)


@contextmanager
def kept(model: Model, names: Iterable[str]) -> Generator[Tensors]:
    """Copies of the named parameters; afterwards they are what they were, bit for bit, whatever was done."""
    before = take(model, names)
    try:
        yield before
    finally:
        put(model, before)


@contextmanager
def applied(model: Model, tensors: Tensors) -> Generator[Model]:
    """The model with the patch in place; afterwards it is bit for bit what it was."""
    with kept(model, tensors):
        put(model, tensors)
        yield model
