"""Quantization: weights of the blocks rounded to few bits, to nearest, in groups of a row's neighbours.

Zhang et al. 2024, arXiv 2410.16454: an edit that moves weights by less than half a step is undone by rounding them.
With w the weights of a group, s = max|w| / (2^(bits-1) - 1) and w' = s round(w / s); the convention `clamped` takes
s = max|w| / 2^(bits-1) and clamps the levels to [-2^(bits-1), 2^(bits-1) - 1]. Halves go to the even level. Sixteen
bits are what models are kept in: nothing is rounded then.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model
    from mute.models.patches import Tensors

# Bits of weights that are not rounded.
AS_IT_IS = 16


class Settings(base.Settings):
    """Quantization."""

    bits: int = Field(4, ge=2, le=16, description="Bits of a weight; 16 leaves the model as it is.")
    group: int = Field(64, ge=0, description="Neighbours in a row that share a step; 0: the whole row.")
    convention: Literal["symmetric", "clamped"] = Field("symmetric", description="How the step is chosen.")


class Quantize(base.Attack[Settings]):
    name = "quantize"
    paper = "Zhang et al. 2024, arXiv 2410.16454"
    access = "weights"
    Settings = Settings

    @contextmanager
    def weights(self, model: Model) -> Generator[None]:
        from mute.models import patches

        s = self.settings
        if s.bits == AS_IT_IS:
            yield
            return
        matrices = block_matrices(model)
        with patches.applied(model, {n: rounded(t, s.bits, s.group, s.convention) for n, t in matrices.items()}):
            yield


def block_matrices(model: Model) -> Tensors:
    """Copies of all weight matrices of the blocks, by name."""
    from mute.models import anatomy, patches

    names = anatomy.block_parameters(model, range(len(anatomy.blocks(model))))
    return {name: tensor for name, tensor in patches.take(model, names).items() if tensor.ndim == 2}


def rounded(weight: Tensor, bits: int, group: int = 0, convention: str = "symmetric") -> Tensor:
    """weight [out, in] to the nearest level of each group; a group of zeros stays."""
    made, steps = levels(weight, bits, group, convention)
    return (made * steps).flatten(1)[:, : weight.shape[1]]


def levels(weight: Tensor, bits: int, group: int = 0, convention: str = "symmetric") -> tuple[Tensor, Tensor]:
    """The level of each weight [out, groups, group], the last group filled up with zeros, and steps [out, groups, 1].

    A group of zeros has a step of one: a step of zero would divide zero by itself.
    """
    import torch

    size = group or weight.shape[1]
    padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % size))
    grouped = padded.unflatten(1, (-1, size))
    top = 2 ** (bits - 1) - 1
    step = grouped.abs().amax(-1, keepdim=True) / (top if convention == "symmetric" else top + 1)
    steps = torch.where(step == 0, torch.ones_like(step), step)
    return (grouped / steps).round().clamp(-top - 1, top), steps


def changed_levels(before: Tensors, after: Tensors, bits: int, group: int = 0, convention: str = "symmetric") -> float:
    """Share, 0 to 1, of the weights of matrices that have another level after an edit than before.

    Where it is 0, and no largest weight of a group moved, rounding undoes the edit.
    """
    moved, count = 0, 0
    for name, weight in before.items():
        own, other = (levels(each, bits, group, convention)[0] for each in (weight, after[name]))
        moved, count = moved + int((own != other).sum()), count + weight.numel()
    return moved / count
