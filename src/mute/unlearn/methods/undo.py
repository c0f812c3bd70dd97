"""UNDO: unlearn, damage the weights a little, and teach them again what the unlearned model says of retain text.

Lee et al. 2025, distillation robustifies unlearning (arXiv 2506.06278): W <- (1 - alpha) W + alpha beta N for every
trained weight W of the unlearned model, with N drawn from Xavier's uniform distribution for matrices and 0 for vectors.
Then KL(teacher || student) is minimised on retain text, the teacher being the unlearned model: what it no longer says
is not taught again. Certainty: code. Published: alpha .25 (hazardous knowledge) to .8, beta 0 to .5 (.1), a learning
rate as in pretraining.

Ours: noise and distillation on the band alone, answer tokens of retain texts, and seeded noise (the published seed is
not used). The method inside takes `unlearning_steps` with a rate of its own before the first counted step, so that the
optimizer of the distillation begins anew, from the damaged weights: `steps` are those of the distillation, and the
curve has them alone. The teacher is kept as states, D numbers a token, and is no second model.

It means nothing under `matched`, which stops where source knowledge falls to the dose: that would be inside the first
phase, which is the method inside alone, or at the first step after the damage, which has forgotten everything alike and
has learned nothing back.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(wrapper.Settings):
    """UNDO."""

    alpha: float = Field(0.25, ge=0, le=1, description="How much of each weight is taken away; 0: the unlearned model.")
    beta: float = Field(0.1, ge=0, description="Size of the noise in its place.")
    unlearning_steps: int = Field(30, ge=1, description="Steps of the method inside, before the noise.")
    unlearning_rate: float = Field(3e-3, gt=0, description="AdamW step size of the method inside.")
    steps: int = Field(60, ge=1, description="Steps of the distillation.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size of the distillation.")
    strengths: base.Strengths = Field([1e-3], min_length=1, description="Not used: `matched` means nothing here.")


class UNDO(wrapper.Wrapper[Settings]):
    name = "undo"
    paper = "Lee et al. 2025, arXiv 2506.06278"
    family = "divergence"
    protocols = ("paper",)
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        own, told = self.inner.cost(), self.settings
        first = own.sides * own.passes * told.unlearning_steps / told.steps
        return replace(own, head=True, reference=True, passes=(first + 1) / own.sides)

    def prepare(self, task: Task) -> None:
        """Until it has unlearned, the teacher is the model as it is."""
        self.inner.prepare(task)
        task.freeze_states("retain")

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        """Unlearn, keep what the model then says, and damage it: there the counted steps begin.

        The weights themselves train, so that what steps make of them stays when this closes, as for any descent.
        """
        self._unlearn(task, names)
        task.freeze_states("retain")
        self._damage(task, names)
        yield names

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        retain = batches["retain"]
        return {"retain": forward_kl(task.answer_logits(retain), task.frozen_logits(retain))}

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Of the one term: there is nothing to forget in it, so that no wrapper may take it for two."""
        loss = self.loss(task, batches)
        return loss, task.gradients(loss, names)

    def _unlearn(self, task: Task, names: list[str]) -> None:
        """The steps of the method inside, on the batches that it would draw alone."""
        import torch

        from mute.engine import low_rank
        from mute.engine.band import drawn_rows
        from mute.engine.steps import Steps
        from mute.models import patches
        from mute.store.artifacts import seed_of

        told = self.settings
        orders = {
            name: drawn_rows([torch.arange(len(side))], told.batch_size, seed_of(task.seed, name))
            for name, side in task.sides.items()
        }
        with self.inner.trainables(task, names) as trained:
            parameters = dict(task.model.named_parameters())
            taken = Steps([parameters[name] for name in trained], told.unlearning_rate)
            for _ in range(told.unlearning_steps):
                batches = {name: task.batch(name, next(rows)) for name, rows in orders.items()}
                # One that is no number makes the model none, and the first step of the distillation says so.
                taken.take(self.inner.gradients(task, batches, trained)[1])
            taken.end()
            merged = {} if trained == names else low_rank.merged(task.model, names)
        patches.put(task.model, merged)

    def _damage(self, task: Task, names: list[str]) -> None:
        import torch

        from mute.models import patches
        from mute.store.artifacts import seed_of

        for name, weight in patches.take(task.model, names).items():
            generator = torch.Generator().manual_seed(seed_of(task.seed, "noise", name))
            noise = xavier(weight.shape, generator).to(weight.device)
            made = corrupted(weight, noise, self.settings.alpha, self.settings.beta)
            patches.put(task.model, {name: made.to(weight.dtype)})


def corrupted(weight: Tensor, noise: Tensor, alpha: float, beta: float) -> Tensor:
    """(1 - alpha) W + alpha beta N."""
    return (1 - alpha) * weight + alpha * beta * noise


def xavier(shape: tuple[int, ...], generator: object) -> Tensor:
    """Noise of a weight's shape: uniform within sqrt(6 / (in + out)) for a matrix [out, in], zero for a vector."""
    import torch

    assert isinstance(generator, torch.Generator)
    if len(shape) < 2:
        return torch.zeros(shape)
    bound = (6 / (shape[0] + shape[1])) ** 0.5
    return (2 * torch.rand(shape, generator=generator) - 1) * bound


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) in nats, mean over tokens: logits [N, V] of both."""
    known = teacher.log_softmax(-1)
    return (known.exp() * (known - student.log_softmax(-1))).sum(-1).mean()
