"""SimNPO: push the length-normalised likelihood of forget answers down, without a reference model.

Fan et al. 2024. The equation has no retain term (`as_written`), but published retain scores rise; the default adds the
negative log-likelihood of retain answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """SimNPO."""

    strength: ClassVar[str] = "beta"

    learning_rate: float = Field(3e-3, gt=0, description="AdamW step size.")
    # At 1, the paper's value, the push ends where an answer is e times less likely than the margin: often too early.
    strengths: base.Strengths = Field(
        [1.0, 0.3, 0.1], min_length=1, description="Values of beta among which the `matched` protocol chooses."
    )
    variant: Literal["with_retain", "as_written"] = Field("with_retain", description="Whether retain answers are read.")
    beta: float = Field(1.0, gt=0, description="Inverse temperature.")
    gamma: float = Field(1.0, ge=0, description="Reward margin.")
    gamma_inside: bool = Field(False, description="Whether beta multiplies the margin too.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class SimNPO(base.Descent[Settings]):
    name = "simnpo"
    paper = "Fan et al. 2024, arXiv 2410.07163"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=1 if self.settings.variant == "as_written" else 2)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll, simnpo

        s = self.settings
        logprobs = task.answer_logprobs(batches["forget"])
        terms = {"forget": simnpo(*logprobs, s.beta, s.gamma, gamma_inside=s.gamma_inside)}
        if s.variant == "with_retain":
            terms["retain"] = s.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms
