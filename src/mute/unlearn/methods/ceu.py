"""CE-U: follow the model's own distribution without the true token.

Yang 2025 (arXiv 2503.01224): the target q is the softmax of the logits, as they are and without a gradient, with the
true token's at minus infinity; L = -sum q log pi, mean over answer tokens, of which the first n of each answer are left
out. Its gradient is that of token unlikelihood: the true logit goes down by p and the others up in proportion.
Certainty: code. Published for 7B: n 1, no retain term.

An answer of n tokens or fewer would have no loss at all, and single words mostly are such: of these the last token is
read (ours); `short` says how many there are in each language.
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
    """CE-U."""

    ignore_first: int = Field(
        1, ge=0, description="Tokens at the beginning of each answer that are left out; its last one never is."
    )
    retain_weight: float = Field(0.0, ge=0, description="Weight of the retain term.")


class CEU(base.Descent[Settings]):
    name = "ceu"
    paper = "Yang 2025, arXiv 2503.01224"
    family = "divergence"
    Settings = Settings

    # Share of forget answers in each language of which the last token is read, though it is among the first n.
    short: dict[str, float]

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1)

    def prepare(self, task: Task) -> None:
        tokens, spoken = task.forget.tokens.tolist(), task.forget.languages
        few = {language: [] for language in sorted(set(spoken))}
        for count, language in zip(tokens, spoken):
            few[language].append(count <= self.settings.ignore_first)
        self.short = {language: sum(own) / len(own) for language, own in few.items()}

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        forget = batches["forget"]
        read = after_first(forget.owner, self.settings.ignore_first)
        terms = {"forget": ceu(task.answer_logits(forget)[read], forget.labels[read])}
        if self.settings.retain_weight:
            terms["retain"] = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


def after_first(owner: Tensor, count: int) -> Tensor:
    """Which answer tokens [N] are not among the first `count` of theirs, or are its last; owner [N]: whose each is."""
    import torch

    tokens = owner.bincount()[owner]
    begins = owner.new_zeros(len(owner), dtype=torch.bool)
    begins[:1] = True
    begins[1:] = owner[1:] != owner[:-1]
    place = torch.arange(len(owner), device=owner.device)
    within = place - place[begins].repeat_interleave(tokens[begins])
    return (within >= count) | (within == tokens - 1)


def ceu(logits: Tensor, labels: Tensor) -> Tensor:
    """CE-U, mean over tokens: logits [N, V] that predict the labels [N]."""
    target = logits.detach().scatter(1, labels[:, None], float("-inf")).softmax(-1)
    return -(target * logits.log_softmax(-1)).sum(-1).mean()
