"""NPO: push the likelihood of forget answers down, relative to what it was before unlearning.

Zhang et al. 2024: DPO without its winning answer. Log-probabilities are summed over the answer, and the reference is
the model itself as it was; a retain term, the answers' negative log-likelihood, is added as in the published code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """NPO."""

    beta: float = Field(0.1, gt=0, description="Inverse temperature: the smaller, the nearer to gradient ascent.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class NPO(base.Descent[Settings]):
    name = "npo"
    paper = "Zhang et al. 2024, arXiv 2404.05868"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(reference=True)

    def prepare(self, task: Task) -> None:
        task.freeze_logprobs("forget")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll, npo

        forget = batches["forget"]
        logprob, _ = task.answer_logprobs(forget)
        pushed = npo(logprob, task.frozen_logprobs(forget), self.settings.beta)
        kept = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return {"forget": pushed, "retain": kept}
