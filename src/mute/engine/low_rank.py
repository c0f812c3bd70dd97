"""Low-rank updates W + s B A beside the linear layers of a band (LoRA), trained in the place of the weights.

Hu et al. 2021 (2106.09685). W [out, in], A [rank, in], B [out, rank], s = alpha / rank. While updates are attached, the
engine's and the plain path both run the updated weights; what training gives is merged, so that a patch is made of the
band's ordinary tensors.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from mute.models import anatomy, patches
from mute.models.anatomy import Model

Factors = tuple[Tensor, Tensor]


class Update(nn.Module):
    """Gives W + s B A for W."""

    def __init__(self, a: Tensor, b: Tensor, scale: float) -> None:
        super().__init__()
        self.a, self.b, self.scale = nn.Parameter(a.detach().clone()), nn.Parameter(b.detach().clone()), scale

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.scale * self.b @ self.a).to(weight.dtype)


def linear_weights(model: Model, blocks: Sequence[int]) -> list[str]:
    """Names of the weight matrices of all linear layers of `blocks`, in the model's order; the head is none."""
    known = anatomy.anatomy(model)
    prefixes = tuple(known.block_prefix(block) for block in blocks)
    own = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    return [f"{name}.weight" for name in own if name.startswith(prefixes)]


def zero_start(model: Model, names: Sequence[str], rank: int, seed: int) -> dict[str, Factors]:
    """LoRA's own start: A uniform as a linear layer's, B zero, so that nothing has changed yet."""
    generator = torch.Generator().manual_seed(seed)
    parameters, starts = dict(model.named_parameters()), {}
    for name in names:
        out, into = parameters[name].shape
        width = 1 / math.sqrt(into)
        a = (2 * torch.rand(rank, into, generator=generator) - 1) * width
        starts[name] = (a.to(parameters[name].device), torch.zeros(out, rank, device=parameters[name].device))
    return starts


@contextmanager
def attached(
    model: Model, starts: Mapping[str, Factors], scale: float, *, residual: bool = False
) -> Generator[dict[str, str]]:
    """The model with updates at the named weights, that start at the factors (A, B).

    Gives the names by which the model knows what trains, each with the weight it belongs to: no other parameter of
    these layers has a gradient. residual: the weights beside the updates are W - s B A (FILA), so that the start is the
    model itself but for rounding. Afterwards names, their order and the weights are bit for bit what they were.
    """
    before, orders = patches.take(model, starts), {}
    trained: dict[str, str] = {}
    try:
        for name, (a, b) in starts.items():
            path, part = name.rsplit(".", 1)
            module = model.get_submodule(path)
            orders[path, part] = list(module._parameters)
            if residual:
                with torch.no_grad():
                    module.get_parameter(part).sub_((scale * b @ a).to(before[name].dtype))
            parametrize.register_parametrization(module, part, Update(a, b, scale))
            trained |= {f"{path}.parametrizations.{part}.0.{factor}": name for factor in ("a", "b")}
        yield trained
    finally:
        for (path, part), order in orders.items():
            module = model.get_submodule(path)
            if parametrize.is_parametrized(module, part):
                parametrize.remove_parametrizations(module, part, leave_parametrized=False)
            # What was taken out and put back would come last, and with it everything that goes by order.
            for each in order:
                module._parameters[each] = module._parameters.pop(each)
        patches.put(model, before)


def merged(model: Model, names: Sequence[str]) -> dict[str, Tensor]:
    """The weights of these names as the model runs them now, updates and all: what becomes of them as a patch."""
    found = {}
    for name in names:
        path, part = name.rsplit(".", 1)
        found[name] = getattr(model.get_submodule(path), part).detach().clone()
    return found
