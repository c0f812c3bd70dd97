"""Gradient ascent on the likelihood of forget answers; nothing holds the rest in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """Gradient ascent."""


class GradientAscent(base.Algorithm):
    name = "gradient_ascent"
    expects = "falls"
    Settings = Settings
    settings: Settings

    def loss(self, task: Task, forget: Batch, retain: Batch) -> Tensor:
        from mute.unlearn.losses import nll

        return -nll(*task.answer_logprobs(forget))
