"""Pruning: a share of each matrix's weights is set to zero, those of least magnitude or, as the control, any.

After arXiv 2410.16454, whose rounding it stands beside: an edit that lives in small weights is gone with them. Of a
matrix with n weights, floor(share n) are pruned; of equal magnitudes the first.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.attacks import base
from mute.attacks.quantize import block_matrices

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Pruning."""

    share: float = Field(0.1, ge=0, lt=1, description="Share of each matrix's weights; 0 leaves the model as it is.")
    which: Literal["magnitude", "random"] = Field(
        "magnitude", description="The smallest weights, or as many that are drawn: the control."
    )


class Pruning(base.Attack[Settings]):
    name = "pruning"
    paper = "ours; Zhang et al. 2024, arXiv 2410.16454"
    access = "weights"
    Settings = Settings

    @contextmanager
    def weights(self, model: Model) -> Generator[None]:
        from mute.models import patches
        from mute.store.artifacts import seed_of

        s = self.settings
        if not s.share:
            yield
            return
        made = {}
        for name, matrix in block_matrices(model).items():
            drawn = None if s.which == "magnitude" else seed_of(self.victim.seed, "pruning", name)
            made[name] = pruned(matrix, s.share, drawn)
        with patches.applied(model, made):
            yield


def pruned(weight: Tensor, share: float, seed: int | None = None) -> Tensor:
    """weight [out, in] with floor(share n) of its n weights zero: the smallest, or with a seed drawn ones."""
    import torch

    count = int(share * weight.numel())
    if seed is None:
        order = weight.abs().flatten().argsort(stable=True)
    else:
        order = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(seed)).to(weight.device)
    return weight.flatten().index_fill(0, order[:count], 0).view_as(weight)
