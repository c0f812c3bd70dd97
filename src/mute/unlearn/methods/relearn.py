"""ReLearn: learn answers that say nothing in the place of the forget answers, and keep the rest as it was.

Xu et al. 2025 (arXiv 2502.11190): CE(new answers to forget questions) + CE(retain answers) + KL(pi_0 || pi) at retain
answers, by descent alone. Certainty: code, of loss and data; published new answers are rewritten by a large model, ours
are sentences of the language packs that name no value ("That is not recorded anywhere."), in the question's own
language and over all of its wordings that unlearning may read. A new answer is taught: the intent is suppression.
Published for 7B: learning rate 1e-5, four epochs of batches of 1 x 4, or LoRA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """ReLearn."""

    retain_weight: float = Field(1.0, ge=0, description="Weight of the cross entropy of retain answers.")
    kl_weight: float = Field(1.0, ge=0, description="Weight of the divergence from the model as it was, at the same.")


class ReLearn(base.Descent[Settings]):
    name = "relearn"
    paper = "Xu et al. 2025, arXiv 2502.11190"
    family = "rejection"
    intent = "suppression"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(reference=True)

    def applies(self, view: View) -> str:
        return refusals.lacking(view, "sentences")

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": refusals.vague(view, view.forget), "retain": view.retain}

    def prepare(self, task: Task) -> None:
        if self.settings.kl_weight:
            task.freeze_states("retain")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.engine.band import each
        from mute.unlearn.losses import nll

        s, retain = self.settings, batches["retain"]
        terms = {"forget": nll(*task.answer_logprobs(batches["forget"]))}
        if s.retain_weight or s.kl_weight:
            logits = task.answer_logits(retain)
            kept = -s.retain_weight * each(logits, retain).mean()
            terms["retain"] = kept + s.kl_weight * kl(task.frozen_logits(retain), logits) if s.kl_weight else kept
        return terms


def kl(reference: Tensor, logits: Tensor) -> Tensor:
    """KL(pi_0 || pi), mean over answer tokens, of the logits [N, V] of both."""
    before, now = reference.log_softmax(-1), logits.log_softmax(-1)
    return (before.exp() * (before - now)).sum(-1).mean()
