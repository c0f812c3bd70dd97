"""JensUn: bring what is said at forget answers to a refusal, and leave retain answers, by Jensen-Shannon divergence.

Singh et al. 2025 (arXiv 2509.02820): w_f E_t JS(pi_t, onehot(r_t)) at forget answer tokens + w_r E_t JS(pi_t, pi_0,t)
at retain answer tokens. r_t are the tokens of a refusal in the question's language, over and over along the answer, so
that a tokenizer that cuts a language finer sees more copies of it. JS(p, q) = (KL(p||m) + KL(q||m))/2 with m their
mean: no term is above ln 2. Certainty: code; published probabilities are clamped at 1e-9, which moves the value by
1e-7: ours are exact, with 0 log 0 = 0. Published for 7B: weights 1 and 1, "No idea" for a refusal, learning rate 1e-5,
ten epochs of batches of 4 x 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """JensUn."""

    strength: ClassVar[str] = "forget_weight"

    learning_rate: float = Field(3e-3, gt=0, description="AdamW step size.")
    # The pull to a token fades with its probability, and no small model says refusals: at 1 the retain term may win.
    strengths: base.Strengths = Field(
        [1.0, 3.0, 10.0],
        min_length=1,
        description="Values of forget_weight among which the `matched` protocol chooses.",
    )
    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)
    forget_weight: float = Field(1.0, gt=0, description="Weight of the forget term.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class JensUn(base.Descent[Settings]):
    name = "jensun"
    paper = "Singh et al. 2025, arXiv 2509.02820"
    family = "distillation"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1, reference=True)

    def applies(self, view: View) -> str:
        return refusals.lacking(view, self.settings.refusal)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        refused = refusals.refused(view, view.forget, self.settings.refusal)
        return {"forget": view.forget, "retain": view.retain, "refused": refused}

    def prepare(self, task: Task) -> None:
        """The tokens of each forget row's refusal, as often as the row's answer is long; and retain answers as now."""
        import torch

        refused, lengths = task.side("refused"), task.forget.tokens.tolist()
        said = [
            torch.tensor(sequence[first:last])
            for sequence, first, last in zip(refused.texts.sequences, refused.first.tolist(), refused.last.tolist())
        ]
        self.targets = torch.cat([own[torch.arange(length) % len(own)] for own, length in zip(said, lengths)])
        if self.settings.retain_weight:
            task.freeze_states("retain")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        s, forget, retain = self.settings, batches["forget"], batches["retain"]
        logits = task.answer_logits(forget)
        target = self.targets[forget.side.answer_places(forget.rows)].to(logits.device)
        terms = {"forget": s.forget_weight * js_to(logits, target)}
        if s.retain_weight:
            terms["retain"] = s.retain_weight * js(task.answer_logits(retain), task.frozen_logits(retain))
        return terms


def js_to(logits: Tensor, target: Tensor) -> Tensor:
    """Jensen-Shannon divergence of the distributions of logits [N, V] from the tokens target [N], mean over N.

    Of a token nothing but its own probability p counts: ln 2 + (p ln p - (1 + p) ln(1 + p)) / 2.
    """
    import math

    logp = logits.log_softmax(-1).gather(1, target[:, None])[:, 0]
    p = logp.exp()
    return (math.log(2) + (p * logp - (1 + p) * p.log1p()) / 2).mean()


def js(logits: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two distributions by their logits [N, V], mean over N."""
    import math

    import torch

    p, q = logits.log_softmax(-1), other.log_softmax(-1)
    mean = torch.logaddexp(p, q) - math.log(2)
    return ((p.exp() * (p - mean)).sum(-1) + (q.exp() * (q - mean)).sum(-1)).mean() / 2
