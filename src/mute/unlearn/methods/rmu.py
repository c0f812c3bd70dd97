"""RMU: steer the band's output on forget text towards a random direction, keep it on retain text.

Li et al. 2024 (WMDP). MUTE trains the target block only; `variant: reference` trains the MLP output projections of
the band's last block and the two before it, with means over padding too, as the published code does.

With states h [D] of the band's output, u uniform on [0, 1)^D and of length 1, and n = E |h| over forget text before:
L = D/n^2 (MSE(h_forget, c n u) + a MSE(h_retain, h_retain before)).

`units: added` (ours) is relative to what the band can add, for a band between norms adds no more than these let it, and
one feature may have most of the states' length (Gemma 3): n and both MSEs are then that feature's, and no target is in
reach. With s [D] the root mean square of what the band adds to each feature over retain text before, and r = (h - h
before) / s: L is the same with r in place of h, and with n^2 = D.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """RMU."""

    strength: ClassVar[str] = "steering"

    learning_rate: float = Field(3e-3, gt=0, description="AdamW step size.")
    steps: int = Field(100, ge=1, description="Steps of the `paper` protocol, and the most that `matched` takes.")
    strengths: base.Strengths = Field(
        [10.0, 30.0, 100.0], min_length=1, description="Values of c among which the `matched` protocol chooses."
    )
    variant: Literal["one_block", "reference"] = Field("one_block", description="What trains, and what means run over.")
    steering: float = Field(
        30.0,
        gt=0,
        description="c, relative to the mean norm of the band's output on forget text, or to what it adds.",
    )
    units: Literal["states", "added"] = Field(
        "states",
        description="In what states are measured: as they are, or as what they moved by, each feature relative to what "
        "the band adds to it (ours), for models in which norms bound that.",
    )
    retain_weight: float = Field(300.0, ge=0, description="Weight of the retain term; the target is c^2 times as far.")


class RMU(base.Descent[Settings]):
    name = "rmu"
    paper = "Li et al. 2024 (WMDP), arXiv 2403.03218"
    family = "representation"
    Settings = Settings

    @classmethod
    def suits(cls, family: str) -> Mapping[str, object]:
        """Between norms: units of what a band can add (docs/real-models.md)."""
        from mute.models.anatomy import ANATOMIES

        if family not in ANATOMIES or not ANATOMIES[family].between_norms:
            return {}
        return {"units": "added", "learning_rate": 1e-3, "retain_weight": 3.0, "steps": 200, "strengths": [3.0, 10.0]}

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        if self.settings.variant == "one_block" or band.full:
            return anatomy.band_parameters(model, band)
        last = band.blocks[-1]
        # The two blocks before the target may lie outside the band; nothing outside the band ever changes.
        return anatomy.mlp_outputs(model, [b for b in (last - 2, last - 1, last) if b in band.blocks])

    def cost(self) -> base.Cost:
        if self.settings.variant == "reference":
            return base.Cost(head=False, reference=True, trains="mlp_outputs", blocks=3)
        return base.Cost(head=False, reference=True)

    def prepare(self, task: Task) -> None:
        import torch

        from mute.unlearn.losses import steering_direction

        if self.settings.variant == "reference":
            task.pad()
        task.freeze_outputs("forget", "retain")
        size, self.unit = task.model.config.hidden_size, None
        self.norm = task.frozen_norm("forget")
        if self.settings.units == "added":
            self.unit = task.frozen_added("retain")
            # One unit in every feature.
            self.norm = torch.tensor(float(size)).sqrt().to(self.unit)
        direction = steering_direction(size, task.seed).to(self.norm)
        self.target = self.settings.steering * self.norm * direction

    def loss(self, task: Task, batches: Mapping[str, Batch]) -> Tensor:
        push, keep = self._distances(task, batches)
        return self._scaled(push + keep)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        push, keep = self._distances(task, batches)
        return {"forget": self._scaled(push), "retain": self._scaled(keep)}

    def _distances(self, task: Task, batches: Mapping[str, Batch]) -> tuple[Tensor, Tensor]:
        """Mean squared distances: of forget text to the target, and of retain text, weighted, to where it was."""
        import torch

        from mute.unlearn.losses import masked_mse

        forget, retain = batches["forget"], batches["retain"]
        reference = self.settings.variant == "reference"
        masks = [torch.ones_like(b.real) if reference else b.real for b in (forget, retain)]
        if self.unit is None:
            push = masked_mse(task.output(forget), self.target, masks[0])
            keep = masked_mse(task.output(retain), task.frozen_output(retain), masks[1])
        else:
            moved = [(task.output(b) - task.frozen_output(b)) / self.unit for b in (forget, retain)]
            push = masked_mse(moved[0], self.target, masks[0])
            keep = masked_mse(moved[1], torch.zeros_like(self.target), masks[1])
        return push, self.settings.retain_weight * keep

    def _scaled(self, term: Tensor) -> Tensor:
        """Divided by the squared norm, one learning rate means the same at every depth: norms grow tenfold."""
        return term * len(self.target) / self.norm.square()
