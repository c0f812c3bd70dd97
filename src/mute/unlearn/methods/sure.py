"""SURE: train only the rows of weights that the forget loss moves most, and those with larger steps.

Zhang et al. 2024 (arXiv 2410.16454): of each output row of a weight, and of each number of a bias, s is the norm of the
gradient of the forget loss at the base weights; rows with s at or above the 90th percentile of all rows that may train
are trained, by the sum of forget and retain loss of another method. Fewer weights move further, so that rounding them
to a few bits does not undo it: the learning rate is to be larger than without. Certainty: code. Published for 7B: 90th
percentile, retain weight 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import masked

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Task


class Settings(masked.Settings):
    """SURE."""

    percentile: float = Field(
        90.0, ge=0, lt=100, description="Of the norms of all rows: rows with one at least as large train."
    )


class SURE(masked.Masked[Settings]):
    name = "sure"
    paper = "Zhang et al. 2024, arXiv 2410.16454"
    family = "divergence"
    Settings = Settings

    def choose(self, task: Task, names: list[str]) -> dict[str, Tensor]:
        import torch

        parameters = dict(task.model.named_parameters())
        found, _ = self.pass_of(task, "forget", names)
        every = [torch.zeros_like(parameters[name]) if g is None else g for name, g in zip(names, found)]
        return dict(zip(names, row_masks(every, self.settings.percentile)))


def row_norms(gradient: Tensor) -> Tensor:
    """Norm of each row of a gradient, the first axis; of a vector, the size of each number."""
    return gradient.reshape(len(gradient), -1).norm(dim=1)


def row_masks(gradients: Sequence[Tensor], percentile: float) -> list[Tensor]:
    """Which rows are at or above the percentile of all rows' norms (linear interpolation): each [rows, 1, ...]."""
    import numpy as np

    norms = [row_norms(g) for g in gradients]
    threshold = float(np.percentile(np.concatenate([own.cpu().double().numpy() for own in norms]), percentile))
    return [(own.double() >= threshold).view(-1, *[1] * (g.ndim - 1)) for own, g in zip(norms, gradients)]
