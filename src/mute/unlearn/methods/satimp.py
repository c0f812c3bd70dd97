"""SatImp: gradient ascent in which tokens weigh by how far they are from being forgotten, and by how unsure they are.

Yang et al. 2025 (arXiv 2505.11953): mean over answer tokens of p^b1 (1 - p)^b2 log p, the weight a number without a
gradient: p^b1 (saturation) rests what is unlikely already, (1 - p)^b2 (importance) what the model is sure of. A retain
term, the answers' NLL, is added with a tenth of the weight. Certainty: code. Published for 7B: b1 5, b2 1, forget and
retain 10 to 1, learning rate 1e-5, batches of 16, five epochs. `normalise_by` as in WGA (ours): with b1 5 weak
languages have hardly any weight.
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
    """SatImp."""

    beta1: float = Field(5.0, ge=0, description="Power of a token's probability in its weight.")
    beta2: float = Field(1.0, ge=0, description="Power of one minus that probability.")
    normalise_by: Literal["none", "language"] = Field(
        "none", description="Whether weights are scaled to the same mean in each language of a batch (ours)."
    )
    retain_weight: float = Field(0.1, ge=0, description="Weight of the retain term.")


class SatImp(base.Descent[Settings]):
    name = "satimp"
    paper = "Yang et al. 2025, arXiv 2505.11953"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll
        from mute.unlearn.methods.wga import languages

        s, forget = self.settings, batches["forget"]
        own = task.token_logprobs(forget)
        spoken = languages(forget) if s.normalise_by == "language" else None
        terms = {"forget": satimp(own, s.beta1, s.beta2, spoken)}
        if s.retain_weight:
            terms["retain"] = s.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


def satimp(logprob: Tensor, beta1: float, beta2: float, spoken: Tensor | None = None) -> Tensor:
    """Mean over tokens of p^b1 (1 - p)^b2 log p, the weight detached: logprob [N], nats; spoken as in `wga.evened`."""
    import torch

    from mute.unlearn.methods.wga import evened

    now = logprob.detach()
    weights = (beta1 * now).exp() * (-torch.expm1(now)) ** beta2
    return (evened(weights, spoken) * logprob).mean()
