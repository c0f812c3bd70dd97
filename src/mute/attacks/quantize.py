"""Quantization: weights of the blocks rounded to few bits, to nearest, in groups of a row's neighbours.

Zhang et al. 2024, arXiv 2410.16454: an edit that moves weights by less than half a step is undone by rounding them.
With w the weights of a group, s = max|w| / (2^(bits-1) - 1) and w' = s round(w / s); the convention `clamped` takes
s = max|w| / 2^(bits-1) and clamps the levels to [-2^(bits-1), 2^(bits-1) - 1]. Halves go to the even level.
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


class Settings(base.Settings):
    """Quantization."""

    bits: int = Field(4, ge=2, le=8, description="Bits of a weight.")
    group: int = Field(64, ge=0, description="Neighbours in a row that share a step; 0: the whole row.")
    convention: Literal["symmetric", "clamped"] = Field("symmetric", description="How the step is chosen.")


class Quantize(base.Attack[Settings]):
    name = "quantize"
    paper = "Zhang et al. 2024, arXiv 2410.16454"
    access = "weights"
    Settings = Settings

    @contextmanager
    def weights(self, model: Model) -> Generator[None]:
        from mute.models import anatomy, patches

        names = anatomy.block_parameters(model, range(len(anatomy.blocks(model))))
        matrices = {n: t for n, t in patches.take(model, names).items() if t.ndim == 2}
        s = self.settings
        with patches.applied(model, {n: rounded(t, s.bits, s.group, s.convention) for n, t in matrices.items()}):
            yield


def rounded(weight: Tensor, bits: int, group: int = 0, convention: str = "symmetric") -> Tensor:
    """weight [out, in] to the nearest level of each group; a group of zeros stays."""
    import torch

    size = group or weight.shape[1]
    padded = torch.nn.functional.pad(weight, (0, -weight.shape[1] % size))
    grouped = padded.unflatten(1, (-1, size))
    top = 2 ** (bits - 1) - 1
    step = grouped.abs().amax(-1, keepdim=True) / (top if convention == "symmetric" else top + 1)
    # A step of zero would divide zero by itself.
    steps = torch.where(step == 0, torch.ones_like(step), step)
    made = (grouped / steps).round().clamp(-top - 1, top) * steps
    return made.flatten(1)[:, : weight.shape[1]]
