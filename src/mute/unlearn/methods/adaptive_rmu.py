"""Adaptive RMU: RMU whose random target is as long as the block's own states are, times a factor.

Dang et al. 2024 (On Effects of Steering Latent Representation for Large Language Model Unlearning, arXiv
2408.06223): MSE(h, b |h0| u) on forget tokens + a MSE(h, h0) on retain tokens, with states h [D] of the band's output,
h0 those before, u uniform on [0, 1)^D and of length 1, and |h0| the mean norm of forget states before. Certainty: code.
Published for 7B: b 5, a 1200, 500 batches of 4, learning rate 5e-5, block 7, three MLP outputs trained.

The published mean is that of the first batch of each topic. Ours is that of all forget tokens in a language: norms
differ by language, topics are few, and a batch would make the target a draw. MUTE trains the whole band, or with
`trains: mlp_outputs` the MLP output projections of the band's last three blocks. Means are over real tokens. The loss
is divided by the squared norm over all forget text, so that one learning rate means the same at every depth. On small
models, whose forget and retain texts are alike, a of 1200 lets nothing move: the default is 100.

`units: added` (ours) is RMU's: relative to what the band adds, for models in which norms bound that. With s [D] the
root mean square of what it adds to each feature over retain text before, r = (h - h0) / s takes the place of h, and
what it adds to forget text, over s, that of h0 in |h0|.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Adaptive RMU."""

    scale: float = Field(5.0, gt=0, description="b, how many times the mean norm of forget states the target is long.")
    units: Literal["states", "added"] = Field(
        "states",
        description="In what states are measured: as they are, or as what they moved by, each feature relative to what "
        "the band adds to it (ours), for models in which norms bound that.",
    )
    norms: Literal["by_language", "common"] = Field(
        "by_language", description="Whether each language has the mean norm of its own states, or all the same one."
    )
    trains: Literal["blocks", "mlp_outputs"] = Field(
        "blocks", description="The whole band, or the MLP output projections of its last three blocks."
    )
    retain_weight: float = Field(100.0, ge=0, description="a, the weight of the retain term.")


def coefficient(states: Tensor, mask: Tensor, scale: float) -> Tensor:
    """b times the mean norm of the tokens in `mask` [B, T] of states [B, T, D]."""
    return scale * (states.norm(dim=-1) * mask).sum() / mask.sum()


class AdaptiveRMU(base.Descent[Settings]):
    name = "adaptive_rmu"
    paper = "Dang et al. 2024, arXiv 2408.06223"
    family = "representation"
    Settings = Settings

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        if self.settings.trains == "blocks":
            return anatomy.band_parameters(model, band)
        # The two blocks before the last may lie outside the band; nothing outside the band ever changes.
        return anatomy.mlp_outputs(model, [b for b in band.blocks if b > band.blocks[-1] - 3])

    def cost(self) -> base.Cost:
        if self.settings.trains == "mlp_outputs":
            return base.Cost(head=False, reference=True, trains="mlp_outputs", blocks=3)
        return base.Cost(head=False, reference=True)

    def prepare(self, task: Task) -> None:
        from mute.unlearn.losses import steering_direction

        task.freeze_outputs("forget", "retain")
        self.unit = task.frozen_added("retain") if self.settings.units == "added" else None
        self.norm = self._norm(task)
        codes = sorted(set(task.forget.languages))
        if self.settings.norms == "common":
            self.lengths = dict.fromkeys(codes, self.settings.scale * self.norm)
        else:
            self.lengths = {language: self._length(task, language) for language in codes}
        self.direction = steering_direction(task.model.config.hidden_size, task.seed).to(self.norm)

    def _norm(self, task: Task) -> Tensor:
        """The mean norm of forget states before, in the units that are asked for."""
        import torch

        if self.unit is None:
            return task.frozen_norm("forget")
        return torch.cat([states[batch.real].norm(dim=-1) for batch, states in self._before(task)]).mean()

    def _before(self, task: Task) -> Iterable[tuple[Batch, Tensor]]:
        """Forget states before [B, T, D], batch by batch: outputs, or what the band adds in its units."""
        from mute.unlearn.states import frozen

        if self.unit is None:
            return frozen(task, "forget")
        return ((batch, states / self.unit) for batch, states in task.added("forget"))

    def _length(self, task: Task, language: str) -> Tensor:
        """The target's length in a language: its mean over batches, by their tokens in it."""
        import torch

        each, tokens = [], []
        for batch, states in self._before(task):
            own = torch.tensor([batch.side.languages[row] == language for row in batch.rows.tolist()])
            mask = batch.real & own[:, None].to(batch.real.device)
            if mask.any():
                each.append(coefficient(states, mask, self.settings.scale))
                tokens.append(mask.sum())
        lengths, weights = torch.stack(each), torch.stack(tokens)
        return (lengths * weights).sum() / weights.sum()

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        import torch

        from mute.unlearn.losses import masked_mse

        forget, retain = batches["forget"], batches["retain"]
        lengths = torch.stack([self.lengths[forget.side.languages[row]] for row in forget.rows.tolist()])
        outputs, origins = task.output(retain), task.frozen_output(retain)
        reached = task.output(forget)
        if self.unit is not None:
            reached = (reached - task.frozen_output(forget)) / self.unit
            outputs, origins = outputs / self.unit, origins / self.unit
        push = masked_mse(reached, lengths[:, None, None] * self.direction, forget.real)
        keep = masked_mse(outputs, origins, retain.real)
        unit = len(self.direction) / self.norm.square()
        return {"forget": push * unit, "retain": self.settings.retain_weight * keep * unit}
