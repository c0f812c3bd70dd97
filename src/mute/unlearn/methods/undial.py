"""UNDIAL: distil the model from itself, with each memorised token's logit lowered in the teacher.

Dong et al. 2024 (arXiv 2402.10052): q = softmax(z_0 - beta onehot(y)) of the base's logits, L = CE(q, pi), mean over
forget answer tokens. No retain set. Certainty: code; the published one-hot is indexed by the mark of ignored labels,
too, and its mean runs over prompts and padding, which is not done here. Published for 7B: beta 10 (3, 10, 30), learning
rate 1e-4, batches of 32, ten epochs of low-rank updates of rank 8; the band itself trains here.
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
    """UNDIAL."""

    beta: float = Field(10.0, ge=0, description="By how much the memorised token's logit is lowered in the teacher.")
    retain_weight: float = Field(0.0, ge=0, description="Weight of the retain term, which the paper has not.")


class UNDIAL(base.Descent[Settings]):
    name = "undial"
    paper = "Dong et al. 2024, arXiv 2402.10052"
    family = "distillation"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1, reference=True)

    def prepare(self, task: Task) -> None:
        task.freeze_states("forget")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        s, forget = self.settings, batches["forget"]
        own = undial(task.answer_logits(forget), task.frozen_logits(forget), forget.labels, s.beta)
        terms = {"forget": own}
        if s.retain_weight:
            terms["retain"] = s.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


def lowered(frozen: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Frozen logits [N, V] with those of the labels [N] lowered by beta."""
    return frozen.scatter_add(1, labels[:, None], frozen.new_full((len(labels), 1), -beta))


def undial(logits: Tensor, frozen: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Cross entropy with the lowered teacher, mean over tokens: logits, frozen [N, V], labels [N]."""
    from mute.unlearn.distances import cross_entropy

    return cross_entropy(lowered(frozen, labels, beta), logits).mean()
