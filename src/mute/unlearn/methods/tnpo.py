"""TNPO: NPO token by token, each answer token relative to what it was; with `alpha`, WTNPO, which rests unlikely ones.

Wang et al. 2025 (arXiv 2502.19301): mean over answer tokens of w log p with w = 2 p^(beta + alpha) / (p^beta +
p_0^beta), a number without a gradient. With alpha 0 the gradient is that of -(2/beta) log sigmoid(-beta (log p -
log p_0)); with beta towards 0, or where nothing has moved yet, that of gradient ascent. Certainty: code. The published
code adds 1e-5 to the denominator, so that tokens that were unlikely hardly move: `floor`, which is 0 here. Published
for 7B: beta 4, alpha 1.5 (WTNPO), learning rate 1e-5, ten epochs. The retain term is the answers' NLL.
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
    """TNPO."""

    beta: float = Field(4.0, gt=0, description="Inverse temperature: the smaller, the nearer to gradient ascent.")
    alpha: float = Field(0.0, ge=0, description="Further power of a token's probability in its weight (WTNPO: 1.5).")
    floor: float = Field(0.0, ge=0, description="What is added to the weight's denominator; published code: 1e-5.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class TNPO(base.Descent[Settings]):
    name = "tnpo"
    paper = "Wang et al. 2025, arXiv 2502.19301"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1, reference=True)

    def prepare(self, task: Task) -> None:
        task.freeze_token_logprobs("forget")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        s, forget = self.settings, batches["forget"]
        own, before = task.token_logprobs(forget), task.frozen_token_logprobs(forget)
        terms = {"forget": tnpo(own, before, s.beta, s.alpha, s.floor)}
        if s.retain_weight:
            terms["retain"] = s.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


def token_npo(logprob: Tensor, reference: Tensor, beta: float) -> Tensor:
    """-(2/beta) log sigmoid(-beta (log p - log p_0)), mean over tokens: logprob, reference [N], nats."""
    from torch.nn.functional import logsigmoid

    return -(2 / beta) * logsigmoid(-beta * (logprob - reference)).mean()


def weights(logprob: Tensor, reference: Tensor, beta: float, alpha: float = 0.0, floor: float = 0.0) -> Tensor:
    """2 p^(beta + alpha) / (p^beta + p_0^beta + floor) of each token [N], without a gradient."""
    import math

    import torch

    now = logprob.detach()
    below = torch.logaddexp(beta * now, beta * reference)
    if floor:
        below = torch.logaddexp(below, torch.full_like(below, math.log(floor)))
    # Of logarithms: a probability to the power of four is soon no number in float32.
    return 2 * ((beta + alpha) * now - below).exp()


def tnpo(logprob: Tensor, reference: Tensor, beta: float, alpha: float = 0.0, floor: float = 0.0) -> Tensor:
    """Mean over tokens of w log p, with the `weights` above: logprob, reference [N], nats."""
    return (weights(logprob, reference, beta, alpha, floor) * logprob).mean()
