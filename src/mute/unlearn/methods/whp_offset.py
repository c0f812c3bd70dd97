"""WHP at inference: what reinforcement makes likelier is taken off the base's logits, and no weight changes.

Eldan and Russinovich 2023 (arXiv 2310.02238) as MUSE (Shi et al. 2024, arXiv 2407.06460) runs it: z = v_base - alpha
relu(v_reinforced - v_base) with alpha 1, two models at inference. The reinforced model is the base trained further on
the texts to be forgotten, here by low-rank updates of all blocks on the answers. Certainty: code. `reinforced: retain`
is the control: such a guard forgets retain facts instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.models.treatment import Where
from mute.unlearn import base
from mute.unlearn.beside import Beside, answer_logits, trained

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Task


class Settings(base.Settings):
    """WHP at inference."""

    alpha: float = Field(1.0, ge=0, description="Weight of what reinforcement adds to a logit; 0: the base.")
    learning_rate: float = Field(3e-3, gt=0, description="Size of the steps that reinforce.")
    steps: int = Field(60, ge=1, description="Steps of AdamW that reinforce.")
    rank: int = Field(16, ge=1, description="Rank of the updates that make the reinforced model.")
    reinforced: Literal["forget", "retain"] = Field("forget", description="On which side; `retain` is the control.")
    strengths: list[float] = Field([], description="Not used: the guard is fitted once.")


class Offset(Beside):
    """z = v_base - alpha relu(v_reinforced - v_base)."""

    name = "whp_offset"

    def __init__(self, fitted: Mapping[str, Tensor], stop: int, alpha: float) -> None:
        super().__init__(fitted, stop)
        self.alpha = alpha

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        from mute.unlearn.methods.whp import generic_logits

        if not self.alpha:
            return logits
        return generic_logits(logits, self.beside(where.read).to(logits), self.alpha)


class WHPOffset(base.Guard[Settings]):
    name = "whp_offset"
    paper = "Eldan and Russinovich 2023, arXiv 2310.02238"
    bands = ("full",)
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(trains="nothing", sides=1, passes=1 + self.settings.steps, texts=1.0)

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.engine import sections
        from mute.engine.band import summed
        from mute.unlearn.losses import nll

        s, depth = self.settings, sections.depth(task.model)
        drawn = task.draws(s.reinforced, s.batch_size, "reinforce")

        def loss() -> Tensor:
            batch = next(drawn)
            return nll(*summed(answer_logits(task.model, batch, depth), batch))

        fitted = trained(task, range(depth), s.rank, s.learning_rate, [loss] * s.steps)
        return {**fitted, "stop": torch.tensor(depth)}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Offset:
        own = {key: tensor for key, tensor in fitted.items() if key != "stop"}
        return Offset(own, int(fitted["stop"]), self.settings.alpha)
