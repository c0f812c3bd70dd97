"""WGA: gradient ascent in which each token weighs as much as it is likely, so that the unlikely ones rest.

Wang et al. 2025 (arXiv 2502.19301): mean over answer tokens of p^beta log p, the weight a number without a gradient,
plus the retain answers' NLL. With beta 0 it is gradient ascent. Certainty: code. Published for 7B: beta 1 (5 in the
authors' own code), learning rate 1e-5, batches of 16, five epochs.

`normalise_by: language` is ours: at the start p is lower in weak languages, which rest from the beginning then. Weights
are scaled so that their mean over a batch is the same in each language.
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
    """WGA."""

    beta: float = Field(1.0, ge=0, description="Power of a token's probability in its weight; 0 is gradient ascent.")
    normalise_by: Literal["none", "language"] = Field(
        "none", description="Whether weights are scaled to the same mean in each language of a batch (ours)."
    )
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class WGA(base.Descent[Settings]):
    name = "wga"
    paper = "Wang et al. 2025, arXiv 2502.19301"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        s, forget = self.settings, batches["forget"]
        own = task.token_logprobs(forget)
        spoken = languages(forget) if s.normalise_by == "language" else None
        terms = {"forget": wga(own, s.beta, spoken)}
        if s.retain_weight:
            terms["retain"] = s.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


def wga(logprob: Tensor, beta: float, spoken: Tensor | None = None) -> Tensor:
    """Mean over tokens of p^beta log p, the weight detached: logprob [N], nats; spoken as in `evened`."""
    return (evened((beta * logprob.detach()).exp(), spoken) * logprob).mean()


def evened(weights: Tensor, spoken: Tensor | None) -> Tensor:
    """Weights [N] scaled so that the mean in each language is the mean of all; spoken [N]: each one's language."""
    import torch

    if spoken is None:
        return weights
    count = int(spoken.max()) + 1
    zero = torch.zeros(count, dtype=weights.dtype, device=weights.device)
    total = zero.index_add(0, spoken, weights)
    tokens = zero.index_add(0, spoken, torch.ones_like(weights))
    # A language that weighs nothing goes on weighing nothing.
    mean = (total / tokens)[spoken].clamp(min=torch.finfo(weights.dtype).tiny)
    return weights * (weights.mean() / mean)


def languages(batch: Batch) -> Tensor:
    """The number of each answer token's language [N], from 0, in the order of their codes."""
    import torch

    spoken = [batch.side.languages[row] for row in batch.rows.tolist()]
    number = {language: place for place, language in enumerate(sorted(set(spoken)))}
    return torch.tensor([number[language] for language in spoken], device=batch.ids.device)[batch.owner]
