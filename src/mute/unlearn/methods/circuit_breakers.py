"""Circuit breakers (representation rerouting): turn states of forget text until they are orthogonal to what they were.

Zou et al. 2024 (arXiv 2406.04313): (1 - p) E relu(cos(h, h0)) over forget tokens + p E |h - h0| over retain tokens,
p = step / half, so that the retain term grows while the other fades. Certainty: code; its settings are not verified.
Published for 7B: outputs of blocks 10 and 20 of 32, low-rank updates (rank 16) up to the last of them, half 300 of 150
steps (p ends at 0.5), learning rate 1e-4, batches of 16; the sum times 5 to 10, which AdamW does not feel.

MUTE reads one layer, the band's output, and trains the band. The distance on retain text is measured in mean norms of
forget states: the cosine has no unit, so that the two weigh alike at every depth. At the start the cosine is largest
and has no gradient; published code begins with what rounding leaves of it. Ours begins with an origin h0 that is tilted
a little along a random direction (`tilt`). Rerouting is a matter of tokens: what is claimed is removal.
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
    """Circuit breakers."""

    half: int | None = Field(
        None, ge=1, description="Steps after which p would be 1; null: twice `steps`, so that p ends at one half."
    )
    tilt: float = Field(
        0.01, gt=0, lt=1, description="How far the origin is moved before the start, in mean norms of forget states."
    )
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term beside its share p.")


def rerouting(states: Tensor, origin: Tensor, mask: Tensor) -> Tensor:
    """E relu(cos(h, h0)) over the tokens in `mask` [...]: states, origin [..., D]."""
    from mute.unlearn.states import cosine

    return (cosine(states, origin).relu() * mask).sum() / mask.sum()


def distance(states: Tensor, origin: Tensor, mask: Tensor) -> Tensor:
    """E |h - h0| over the tokens in `mask` [...]: states, origin [..., D]."""
    return ((states - origin).norm(dim=-1) * mask).sum() / mask.sum()


def shares(step: int, half: int) -> tuple[float, float]:
    """Weights of rerouting and of the retain term, 1 - p and p, after so many steps."""
    p = step / half
    return max(1 - p, 0.0), min(p, 1.0)


class CircuitBreakers(base.Descent[Settings]):
    name = "circuit_breakers"
    paper = "Zou et al. 2024, arXiv 2406.04313"
    family = "representation"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(head=False, reference=True)

    def prepare(self, task: Task) -> None:
        from mute.unlearn.states import tilt

        task.freeze_outputs("forget", "retain")
        self.norm = task.frozen_norm("forget")
        self.tilt = tilt(task, self.norm, self.settings.tilt)
        # Steps are counted by their forget batch: a method around this one may ask twice for the same.
        self.step, self.seen = -1, None

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        forget, retain = batches["forget"], batches["retain"]
        if forget is not self.seen:
            self.step, self.seen = self.step + 1, forget
        reroute, keep = shares(self.step, self.settings.half or 2 * self.settings.steps)
        turned = rerouting(task.output(forget), task.frozen_output(forget) + self.tilt, forget.real)
        moved = distance(task.output(retain), task.frozen_output(retain), retain.real) / self.norm
        return {"forget": reroute * turned, "retain": self.settings.retain_weight * keep * moved}
