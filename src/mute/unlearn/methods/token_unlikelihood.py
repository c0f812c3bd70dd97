"""Token unlikelihood: make each forget token unlikely, the more so the likelier it is.

Welleck et al. 2019 (arXiv 1908.04319), and for unlearning the objective "log 1 - p" of TAR (arXiv 2408.00761): -log(1 -
p), mean over answer tokens, which is half of CATNIP at beta 1 with a gradient through its reference. Bounded below by
0; a token that is unlikely already stops moving. Certainty: code; the published code leaves tokens with log p below -15
out, which this loss need not. No retain data in either. Published settings for 7B as a method of its own are not known
to us: a learning rate as CATNIP's.
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
    """Token unlikelihood."""

    retain_weight: float = Field(0.0, ge=0, description="Weight of the retain term.")


class TokenUnlikelihood(base.Descent[Settings]):
    name = "token_unlikelihood"
    paper = "Welleck et al. 2019, arXiv 1908.04319"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        forget = batches["forget"]
        terms = {"forget": token_unlikelihood(task.answer_logits(forget), forget.labels)}
        if self.settings.retain_weight:
            terms["retain"] = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


def token_unlikelihood(logits: Tensor, labels: Tensor) -> Tensor:
    """-log(1 - p) of the labels [N] by logits [N, V], mean over tokens."""
    from torch.nn.functional import softplus

    # 1 - p is the share of all others, as a difference of logarithms: a sure token has a gradient too.
    others = logits.scatter(1, labels[:, None], float("-inf")).logsumexp(-1)
    return softplus(logits.gather(1, labels[:, None])[:, 0] - others).mean()
