"""SCRUB: in turns, keep retain answers near the teacher and the labels, and drive forget answers away from the teacher.

Kurmanji et al. 2023 (arXiv 2302.09880): with KL_T = T^2 KL(softmax(z_0 / T) || softmax(z / T)), steps on retain text
minimise alpha KL_T + gamma CE, and steps on forget text, for a first share of the training, minimise -KL_T. Certainty:
code, for images; means over answer tokens are ours. Published: T 4 (2), alpha 0.5 (0.01), gamma 0.99 (1), steps on
forget text in the first 2 or 3 of 10 epochs.

Epochs of the two alternate in the published code, beginning with forget text; here steps do, and retain text begins: at
the teacher itself KL_T has no gradient to climb. A step reads one side alone, so that there are no two terms at a time
for wrappers to take apart. The dose is in the place of the published rewinding.
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
    """SCRUB."""

    temperature: float = Field(4.0, gt=0, description="Temperature T of the distillation.")
    alpha: float = Field(0.5, ge=0, description="Weight of the distance to the teacher on retain text.")
    gamma: float = Field(0.99, ge=0, description="Weight of the retain answers' cross entropy.")
    forget_share: float = Field(
        0.3, ge=0, le=1, description="In which first share of the steps every second one is on forget text."
    )


class SCRUB(base.Descent[Settings]):
    name = "scrub"
    paper = "Kurmanji et al. 2023, arXiv 2302.09880"
    family = "distillation"
    takes_turns = True
    Settings = Settings

    def cost(self) -> base.Cost:
        # A step reads one of the two sides.
        return base.Cost(sides=1, reference=True)

    def prepare(self, task: Task) -> None:
        self.taken = 0
        task.freeze_states("forget", "retain")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """The term of the turn that it is; each call is a step."""
        s = self.settings
        forgets = self.taken % 2 == 1 and self.taken < s.forget_share * s.steps
        self.taken += 1
        batch = batches["forget" if forgets else "retain"]
        two = task.frozen_logits(batch), task.answer_logits(batch)
        if forgets:
            return {"forget": forget_step(*two, s.temperature)}
        return {"retain": retain_step(*two, batch.labels, s.temperature, s.alpha, s.gamma)}


def forget_step(frozen: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """-KL_T, mean over tokens: frozen, logits [N, V]."""
    from mute.unlearn.distances import kl

    return -kl(frozen, logits, temperature).mean()


def retain_step(
    frozen: Tensor, logits: Tensor, labels: Tensor, temperature: float, alpha: float, gamma: float
) -> Tensor:
    """alpha KL_T + gamma CE, mean over tokens: frozen, logits [N, V], labels [N]."""
    from torch.nn.functional import cross_entropy

    from mute.unlearn.distances import kl

    return alpha * kl(frozen, logits, temperature).mean() + gamma * cross_entropy(logits, labels)
