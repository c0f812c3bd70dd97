"""Gradient difference: ascend on forget answers, descend on retain answers (Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """Gradient difference."""

    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class GradientDifference(base.Descent[Settings]):
    name = "gradient_difference"
    paper = "Maini et al. 2024 (TOFU), arXiv 2401.06121"
    family = "divergence"
    Settings = Settings

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        kept = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return {"retain": kept, "forget": -nll(*task.answer_logprobs(batches["forget"]))}
