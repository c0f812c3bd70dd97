"""SLUG, adapted: one step along the gradients of forget and retain loss, on the attention weights of the band.

Cai et al. 2024 edit one layer of a vision-language model; MUTE takes theta + lambda (grad L_forget - alpha grad
L_retain) on Wq, Wk, Wv, Wo of the target block, L the answers' negative log-likelihood per token. The step raises the
forget loss. `reference` leaves the retain gradient out and searches the step size, as the vision method does;
`retain_mse` reads the squared distance of retain logits to the frozen model's, whose gradient at the start is zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """SLUG."""

    strength: ClassVar[str] = "step_size"

    variant: Literal["retain_nll", "retain_mse", "reference"] = Field(
        "retain_nll", description="What the retain side is."
    )
    step_size: float = Field(32.0, gt=0, description="lambda of the `paper` protocol; `matched` searches it.")
    alpha: float = Field(1.0, ge=0, description="Weight of the retain gradient.")
    strengths: list[float] = Field([], description="Not used: `matched` searches the step size.")


# Tokens x features of one pass with gradients: what it keeps of every block above must fit a device.
PASS = 8192 * 512


class SLUG(base.Edit[Settings]):
    name = "slug"
    paper = "Cai et al. 2024, arXiv 2407.11867"
    family = "editing"
    Settings = Settings

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.attention_weights(model, band.blocks)

    def cost(self) -> base.Cost:
        return base.Cost(whole=True, trains="attention")

    def change(self, task: Task) -> dict[str, Tensor]:
        """grad L_forget - alpha grad L_retain over the whole text sets."""
        forget = self._gradient(task, "forget")
        if self.settings.variant == "reference":
            return forget
        retain = self._gradient(task, "retain")
        return {name: g - self.settings.alpha * retain[name] for name, g in forget.items()}

    def _pieces(self, texts: Any, tokens: int) -> Iterator[Any]:
        """Rows of a side, alike in length, of about so many tokens."""
        import torch

        for rows in texts.texts.batches:
            yield from torch.tensor(rows).split(max(2, tokens // int(texts.lengths[rows[0]])))

    def _gradient(self, task: Task, side: str) -> dict[str, Tensor]:
        """Gradient of the answers' mean NLL per token over one side, batch by batch; in float32."""
        mse = self.settings.variant == "retain_mse" and side == "retain"
        names = self.parameters(task.model, task.band)
        texts = task.side(side)
        tokens = int((texts.last - texts.first).sum())
        total: dict[str, Tensor] = {}
        wide = task.model.config.hidden_size
        for rows in self._pieces(texts, PASS // wide):
            logprob, _ = task.answer_logprobs(task.batch(side, rows))
            # The frozen model's log-probability is the model's own: zero distance, and zero gradient.
            loss = (logprob - logprob.detach()).square().sum() if mse else -logprob.sum()
            for name, gradient in zip(names, task.gradients(loss / tokens, names)):
                assert gradient is not None
                # In float32: in bfloat16 a small piece added to a sum of hundreds is rounded away.
                total[name] = total[name] + gradient if name in total else gradient.float()
        return total
