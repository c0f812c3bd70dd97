"""A patch: the tensors that unlearning changed, and nothing else. Base + patch = unlearned model."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from mute.models import gate
from mute.store import artifacts

PATCH = "patch.safetensors"


def take(model: Any, names: Iterable[str]) -> dict[str, Any]:
    """Copies of the named parameters."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name].detach().clone() for name in names}


def save(folder: Path | str, tensors: dict[str, Any]) -> None:
    artifacts.write_tensors(Path(folder) / PATCH, tensors)


def load(folder: Path | str) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(Path(folder) / PATCH)


def put(model: Any, tensors: dict[str, Any]) -> None:
    """Copy `tensors` into the parameters of the same names. Raises ValueError on a name or shape that is not there."""
    import torch

    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise ValueError(f"the patch does not fit the model: {name} {tuple(tensor.shape)}")
        with torch.no_grad():
            parameters[name].copy_(tensor)


@contextmanager
def applied(model: Any, tensors: dict[str, Any]) -> Generator[Any]:
    """The model with the patch in place; afterwards it is bit for bit what it was."""
    filters = {name: tensor for name, tensor in tensors.items() if name.startswith(gate.PREFIX)}
    weights = {name: tensor for name, tensor in tensors.items() if name not in filters}
    before = take(model, weights)
    put(model, weights)
    try:
        with gate.installed(model, filters) if filters else nullcontext():
            yield model
    finally:
        put(model, before)
