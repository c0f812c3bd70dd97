"""ME: drive what is said at forget answers towards the uniform distribution, beside a retain term.

Yuan et al. 2024 (arXiv 2410.08109, "ME+GD"): L = w_f mean over forget answer tokens of KL(U || pi) + w_r NLL_retain.
Bounded below by 0, and without a reference. Certainty: code; pads are in no mean. Published for 7B: w_f 0.1, w_r 1,
learning rate 1e-5, five epochs.

Uniform over a vocabulary that languages share means mostly tokens of other scripts. `over: language` (ours) is uniform
over the tokens that the texts of the question's own language hold.
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
    """ME."""

    forget_weight: float = Field(0.1, gt=0, description="Weight of the forget term.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")
    over: Literal["vocabulary", "language"] = Field(
        "vocabulary",
        description="What the uniform distribution covers: all tokens, or those of the texts of the question's "
        "language (ours).",
    )


class ME(base.Descent[Settings]):
    name = "me"
    paper = "Yuan et al. 2024, arXiv 2410.08109"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1)

    def prepare(self, task: Task) -> None:
        if self.settings.over == "language":
            self.tokens = tokens_by_language(task)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        s, forget = self.settings, batches["forget"]
        terms = {"forget": s.forget_weight * me(task.answer_logits(forget), self._allowed(forget))}
        if s.retain_weight:
            terms["retain"] = s.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms

    def _allowed(self, batch: Batch) -> Tensor | None:
        """The tokens of each answer token's language [N, V]; None: all."""
        import torch

        if self.settings.over == "vocabulary":
            return None
        own = torch.stack([self.tokens[batch.side.languages[row]] for row in batch.rows.tolist()])
        return own.to(batch.ids.device)[batch.owner]


def me(logits: Tensor, allowed: Tensor | None = None) -> Tensor:
    """KL(U || pi), mean over tokens, of logits [N, V]; U is uniform over the vocabulary or over `allowed` [N, V]."""
    import math

    each = logits.log_softmax(-1)
    if allowed is None:
        return (-each.mean(-1)).mean() - math.log(logits.shape[-1])
    count = allowed.sum(-1)
    return (-(each * allowed).sum(-1) / count - count.to(each).log()).mean()


def tokens_by_language(task: Task) -> dict[str, Tensor]:
    """Which tokens [V] the forget and retain texts of each language hold."""
    import torch

    size = int(task.model.config.vocab_size)
    found: dict[str, Tensor] = {}
    for side in (task.forget, task.retain):
        for sequence, language in zip(side.texts.sequences, side.languages):
            found.setdefault(language, torch.zeros(size, dtype=torch.bool))[sequence] = True
    return found
