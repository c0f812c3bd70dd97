"""Gradient ascent on the likelihood of forget answers; nothing holds the rest in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """Gradient ascent."""


class GradientAscent(base.Descent[Settings]):
    name = "gradient_ascent"
    paper = "Jang et al. 2023, arXiv 2210.01504"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=1)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        return {"forget": -nll(*task.answer_logprobs(batches["forget"]))}
