"""LINGTEA: unlearn in turns, and retain each language by its teacher as far as the teacher knows it.

Choi et al. 2024 (arXiv 2406.12354): steps on forget text minimise -NLL_forget, steps on retain text the mean over
answer tokens of c T^2 KL(pi_0 || pi) + (1 - c) CE, with c = pi_0(y) of the token. Where the base knows a token, as in
strong languages, it is followed, and where it does not the label is learned. Certainty: code, with its shift repaired:
the release reads c and the teacher one position apart and divides the two parts by different counts.

Published for XGLM-564M and BLOOM: T 1, learning rate 1e-4 or 5e-5, batches of 32, 30 epochs, two retain texts for each
forget text; epochs of the two alternate, and steps do here (ours). A step reads one side alone, so that there are no
two terms at a time for wrappers to take apart. `confidence: permuted` is the control: each language gets the mean
confidence of another, the strongest that of the weakest.
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
    """LINGTEA."""

    temperature: float = Field(1.0, gt=0, description="Temperature of the distillation.")
    forget_steps: int = Field(1, ge=1, description="Steps on forget text in each turn.")
    retain_steps: int = Field(2, ge=0, description="Steps on retain text in each turn, after those on forget text.")
    confidence: Literal["token", "permuted"] = Field(
        "token",
        description="Whose confidence weighs the two parts at a retain token: its own, or, as a control, the mean of "
        "another language.",
    )


class LINGTEA(base.Descent[Settings]):
    name = "lingtea"
    paper = "Choi et al. 2024, arXiv 2406.12354"
    family = "distillation"
    takes_turns = True
    Settings = Settings

    def cost(self) -> base.Cost:
        # A step reads one of the two sides.
        return base.Cost(sides=1, reference=bool(self.settings.retain_steps))

    def prepare(self, task: Task) -> None:
        self.taken = 0
        if self.settings.retain_steps:
            task.freeze_states("retain")
        if self.settings.confidence == "permuted":
            known = confidences(task)
            order = sorted(known, key=lambda language: (known[language], language))
            self.given = {own: known[other] for own, other in zip(order, reversed(order))}

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """The term of the turn that it is; each call is a step."""
        from mute.unlearn.losses import nll

        s = self.settings
        forgets = self.taken % (s.forget_steps + s.retain_steps) < s.forget_steps
        self.taken += 1
        if forgets:
            return {"forget": -nll(*task.answer_logprobs(batches["forget"]))}
        retain = batches["retain"]
        frozen = task.frozen_logits(retain)
        weights = self._given(retain, frozen) if s.confidence == "permuted" else None
        return {"retain": lingtea(frozen, task.answer_logits(retain), retain.labels, s.temperature, weights)}

    def _given(self, batch: Batch, like: Tensor) -> Tensor:
        """What a token's language was given [N]."""
        rows = batch.rows[batch.owner.cpu()].tolist()
        return like.new_tensor([self.given[batch.side.languages[row]] for row in rows])


def confidence(frozen: Tensor, labels: Tensor) -> Tensor:
    """The probability of each label [N] by frozen logits [N, V]."""
    return frozen.softmax(-1).gather(1, labels[:, None])[:, 0]


def lingtea(
    frozen: Tensor, logits: Tensor, labels: Tensor, temperature: float = 1.0, weights: Tensor | None = None
) -> Tensor:
    """Mean over tokens of c T^2 KL(teacher || student) + (1 - c) CE: frozen, logits [N, V], labels [N].

    weights [N]: c, where it is not what the teacher thinks of the label.
    """
    from torch.nn.functional import cross_entropy

    from mute.unlearn.distances import kl

    c = confidence(frozen, labels) if weights is None else weights
    learned = cross_entropy(logits, labels, reduction="none")
    return (c * kl(frozen, logits, temperature) + (1 - c) * learned).mean()


def confidences(task: Task) -> dict[str, float]:
    """Mean confidence of the base in retain answer tokens, by language; its states have to be frozen before."""
    import torch

    found: dict[str, list[Tensor]] = {}
    side = task.retain
    with torch.no_grad():
        for rows in map(torch.tensor, side.texts.batches):
            batch = task.batch("retain", rows)
            each = confidence(task.frozen_logits(batch), batch.labels).double().cpu()
            for row, own in zip(rows.tolist(), each.split(side.tokens[rows].tolist())):
                found.setdefault(side.languages[row], []).append(own)
    return {language: float(torch.cat(own).mean()) for language, own in found.items()}
