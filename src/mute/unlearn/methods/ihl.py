"""IHL, LoKU's inverted hinge loss, with FILA, its start of low-rank updates.

Cha et al. 2024 (arXiv 2408.06621): 1 + p_true - max of the others' p at each forget answer token, which is bounded and
sends the mass to the runner-up alone, plus the negative log-likelihood of retain answers. Certainty: code.

`init: fila` trains low-rank updates of the band's linear layers in their place. They start where the forget side's
squared gradients are large beside the retain side's: w_i = sqrt(sum_j F_f/(F_r + 1e-5)) of each row, and A and B from
the best rank-r part of diag(w) W, which is taken out of W. The squares are those of batch gradients, as in the
published code, which calls them Fisher information. Published for 7B: rank 4 to 32, alpha 2r, learning rate 1e-4, five
epochs of batches of 32.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """IHL."""

    init: Literal["none", "zero", "fila"] = Field(
        "none",
        description="What trains: the band itself (`none`), or low-rank updates of its linear layers that start at "
        "zero (`zero`, LoRA) or where FILA puts them (`fila`).",
    )
    rank: int = Field(4, ge=1, description="Rank of the updates.")
    alpha: float | None = Field(None, gt=0, description="The updates' scale is alpha / rank; null: twice the rank.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class IHL(base.Descent[Settings]):
    name = "ihl"
    paper = "Cha et al. 2024, arXiv 2408.06621"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(reference=self.settings.init == "fila")

    def parameters(self, model: Model, band: Band) -> list[str]:
        if self.settings.init == "none":
            return super().parameters(model, band)
        from mute.engine import low_rank

        return low_rank.linear_weights(model, band.blocks)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import ihl, nll

        forget, retain = batches["forget"], batches["retain"]
        pushed = ihl(task.answer_logits(forget), forget.labels)
        return {"forget": pushed, "retain": self.settings.retain_weight * nll(*task.answer_logprobs(retain))}

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        if self.settings.init == "none":
            yield names
            return
        from mute.engine import low_rank
        from mute.store.artifacts import seed_of

        rank = min(self.settings.rank, *(min(task.model.get_parameter(name).shape) for name in names))
        fila, scale = self.settings.init == "fila", (self.settings.alpha or 2.0 * rank) / rank
        if fila:
            starts = self._starts(task, names, rank, scale)
        else:
            starts = low_rank.zero_start(task.model, names, rank, seed_of(task.seed, "lora"))
        with low_rank.attached(task.model, starts, scale, residual=fila) as trained:
            yield list(trained)

    def _starts(self, task: Task, names: list[str], rank: int, scale: float) -> dict[str, tuple[Tensor, Tensor]]:
        from mute.unlearn import edits

        forget, retain = (self._squares(task, side, names) for side in ("forget", "retain"))
        weights = {name: task.model.get_parameter(name).detach() for name in names}
        return {
            name: edits.fila(weight, edits.row_importance(forget[name], retain[name]), rank, scale)
            for name, weight in weights.items()
        }

    def _squares(self, task: Task, side: str, names: list[str]) -> dict[str, Tensor]:
        """Mean squared gradient [out, in] of batches of a side, weighed by their answer tokens; in float64."""
        import torch

        from mute.unlearn.losses import nll

        texts = task.side(side)
        total = {name: torch.zeros_like(task.model.get_parameter(name), dtype=torch.float64) for name in names}
        # Alike in length, and a multiple of four rows where there are so many.
        pieces = [rows for own in texts.texts.batches for rows in torch.tensor(own).split(self.settings.batch_size)]
        for rows in pieces:
            batch = task.batch(side, rows)
            gradients = task.gradients(nll(*task.answer_logprobs(batch)), names)
            for name, gradient in zip(names, gradients):
                if gradient is not None:
                    total[name] += gradient.double().square() * len(batch.labels)
        tokens = int(texts.tokens.sum())
        return {name: square / tokens for name, square in total.items()}
