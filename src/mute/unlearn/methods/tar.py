"""TAR: unlearn so that it lasts: after a few steps of relearning, the model shall be unsure of other forget answers.

Tamirisa et al. 2024, tamper-resistant safeguards (arXiv 2408.00761): each outer step takes K steps of fine-tuning on
forget answers and back, and goes along g + w_t/K sum_k g_k, where g_k is the gradient, at the weights theta_k after k
of these steps, of minus the mean entropy of what is predicted on forget texts that were not fine-tuned on. It is
applied at theta (first order). Only every n-th of the K is used. Certainty: code. Published for 7B: K 64, every 4th,
w_t 4, 750 steps, learning rate 2e-5 and of the attack 2e-6 to 4e-5, batches of 8, after a safeguard by random targets.

Ours: g is the gradient of the method inside, in the place of that safeguard and of the paper's retain terms (answers
and states); the attack trains the band alone, as the defence does, on one kind of text; entropy is of answer tokens,
not of all; forget facts are split by item, over all languages. With K 0 it is the method inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(wrapper.Settings):
    """TAR."""

    attack_steps: int = Field(8, ge=0, description="Steps K of fine-tuning on forget answers; 0: the method inside.")
    every: int = Field(4, ge=1, description="Every so many of these steps a gradient is taken.")
    attack_rate: float = Field(1.0, gt=0, description="AdamW step size of the attack, relative to `learning_rate`.")
    tamper_weight: float = Field(4.0, ge=0, description="Weight w_t of the gradients after the attack.")
    held_out: float = Field(0.3, gt=0, lt=1, description="Share of the forget facts that the attack does not train on.")


class TAR(wrapper.Wrapper[Settings]):
    name = "tar"
    paper = "Tamirisa et al. 2024, arXiv 2408.00761"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        own, steps = self.inner.cost(), self.settings.attack_steps
        passes = own.passes + (steps + steps // self.settings.every) / own.sides
        return replace(own, head=own.head or steps > 0, passes=passes)

    def applies(self, view: View) -> str:
        if self.inner.reads(view)["forget"] is not view.forget:
            return "the method inside reads other texts than the forget answers that the attack would bring back"
        if view.forget["item"].nunique() < 2:
            return "there must be two forget facts: one to attack with, and another to see what the attack brings back"
        return self.inner.applies(view)

    def prepare(self, task: Task) -> None:
        import torch

        from mute.engine.band import drawn_rows
        from mute.store.artifacts import seed_of

        self.inner.prepare(task)
        items = task.forget.items
        away = held_out(items, self.settings.held_out, task.seed)
        rows = {kind: [row for row, item in enumerate(items) if (item in away) == kind] for kind in (True, False)}
        self.held, self.attack = (
            drawn_rows([torch.tensor(rows[kind])], self.settings.batch_size, seed_of(task.seed, "tamper", kind))
            for kind in (True, False)
        )

    def loss(self, task: Task, batches: Mapping[str, Batch]) -> Tensor:
        """That of the method inside: nothing is added to what it retains."""
        return self.inner.loss(task, batches)

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.unlearn.edits import combined

        loss, own = self.inner.gradients(task, batches, names)
        if not self.settings.attack_steps:
            return loss, own
        weight = self.settings.tamper_weight / self.settings.attack_steps
        tampered, found = self.tampered(task, names)
        return loss + weight * tampered, combined(1.0, own, weight, found)

    def tampered(self, task: Task, names: list[str]) -> tuple[Tensor, list[Tensor | None]]:
        """Minus the entropy of held-out answers, and its gradients, summed over the used steps of an attack."""
        import torch

        from mute.unlearn.edits import combined
        from mute.unlearn.losses import nll

        settings, steps = self.settings, self.settings.attack_steps
        held = task.batch("forget", next(self.held))
        total: list[Tensor | None] = [None] * len(names)
        value, taken = torch.zeros((), device=held.ids.device), 0

        def look() -> None:
            nonlocal total, value
            if taken and taken % settings.every == 0:
                own = max_entropy(task.answer_logits(held))
                total, value = combined(1.0, total, 1.0, task.gradients(own, names)), value + own.detach()

        def attack() -> Tensor:
            nonlocal taken
            look()
            taken += 1
            return nll(*task.answer_logprobs(task.batch("forget", next(self.attack))))

        with task.descend(names, attack, steps, settings.attack_rate * settings.learning_rate):
            look()
        return value, total


def max_entropy(logits: Tensor) -> Tensor:
    """Minus the mean entropy (nats) of the distributions that logits [..., V] give."""
    logprobs = logits.log_softmax(-1)
    return (logprobs.exp() * logprobs).sum(-1).mean()


def held_out(items: Sequence[str], share: float, seed: int) -> set[str]:
    """The share of the items that an attack does not train on: at least one, and never all."""
    from mute.store.artifacts import seed_of

    order = sorted(set(items), key=lambda item: seed_of(seed, "held out", item))
    return set(order[: min(max(1, round(share * len(order))), len(order) - 1)])
