"""KL-regularised ascent: ascend on forget answers, hold what is said at retain answers near what it was.

Maini et al. 2024 (TOFU, arXiv 2401.06121), the baseline "KL minimisation": L = -NLL_forget + w KL_retain, and KL_retain
the mean over retain answer tokens of KL(pi_0 || pi). Certainty: code. Neither prompts nor padding are in the mean, as
they are in some published codes. The forget part has no bound: without the dose it destroys the model. Published for
7B: weight 1, learning rate 1e-5, five to ten epochs of batches of 32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """KL-regularised ascent."""

    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")
    direction: Literal["forward", "reverse"] = Field(
        "forward", description="KL(base || model), as published (`forward`), or KL(model || base)."
    )


class KLAscent(base.Descent[Settings]):
    name = "kl_ascent"
    paper = "Maini et al. 2024 (TOFU), arXiv 2401.06121"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(reference=True) if self.settings.retain_weight else base.Cost(sides=1)

    def prepare(self, task: Task) -> None:
        if self.settings.retain_weight:
            task.freeze_states("retain")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.distances import kl
        from mute.unlearn.losses import nll

        forget = {"forget": -nll(*task.answer_logprobs(batches["forget"]))}
        if not self.settings.retain_weight:
            return forget
        retain = batches["retain"]
        two = task.frozen_logits(retain), task.answer_logits(retain)
        apart = kl(*two) if self.settings.direction == "forward" else kl(two[1], two[0])
        return {**forget, "retain": self.settings.retain_weight * apart.mean()}
