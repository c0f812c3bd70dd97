"""Gradient difference: ascend on forget answers, descend on retain answers (Liu et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """Gradient difference."""

    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class GradientDifference(base.Algorithm):
    name = "gradient_difference"
    expects = "falls"
    Settings = Settings
    settings: Settings

    def loss(self, task: Task, forget: Batch, retain: Batch) -> Tensor:
        from mute.unlearn.losses import nll

        kept = self.settings.retain_weight * nll(*task.answer_logprobs(retain))
        return kept - nll(*task.answer_logprobs(forget))
