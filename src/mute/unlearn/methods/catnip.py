"""CATNIP: push each forget token down as far as the model is sure of it, with no reference and no retain data.

Our instantiation of Calibrated and Tokenized Negative Preference Alignment (arXiv 2602.02824, renamed CALIBURN by its
authors), rebuilt from abstract and reviews: -(2/beta) E log sigmoid(-beta [log p - log(1 - p)]), mean over all answer
tokens of the batch. A token that is unlikely already stops moving, which under gradient ascent it does not. Certainty:
rebuilt; the gradients are verified. Published settings for 7B are not known to us: beta 1 (sweep 0.1 to 2), a learning
rate as SimNPO's.
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
    """CATNIP."""

    beta: float = Field(1.0, gt=0, description="Inverse temperature of each token's odds.")
    ref_grad: Literal["stop", "flow"] = Field(
        "stop",
        description="Whether log(1 - p) is a number or has a gradient; with `flow` and beta 1 the loss is twice token "
        "unlikelihood.",
    )


class CATNIP(base.Descent[Settings]):
    name = "catnip"
    paper = "CATNIP 2026, arXiv 2602.02824"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=1)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import catnip

        own = task.token_logprobs(batches["forget"])
        return {"forget": catnip(own, self.settings.beta, self.settings.ref_grad)}
