"""Training of named parameters on the answers of one set of texts: the loop of every attack that trains."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from mute.bands import Band
from mute.engine import sections
from mute.engine.band import Task, TextSet
from mute.engine.steps import Steps
from mute.models.anatomy import Model
from mute.store.artifacts import seed_of


@dataclass(frozen=True)
class Course:
    """How training went. diverged_at: the first step whose loss was no number, where it was stopped; else None."""

    steps: int
    last_loss: float | None
    diverged_at: int | None = None

    @property
    def status(self) -> str:
        return "ok" if self.diverged_at is None else "diverged"


def train(
    model: Model, names: Iterable[str], texts: TextSet, steps: int, learning_rate: float, batch_size: int, seed: int
) -> Course:
    """Train the named parameters on answers; stops at the first step that gives no number.

    The loss is the mean negative log-likelihood (nats) of the answer tokens of `batch_size` texts drawn without
    replacement. Fewer steps are the beginning of more. The caller puts the weights back; what steps need beside the
    model is gone afterwards: its answers are read next.
    """
    names = list(names)
    task = Task(model, Band(tuple(range(sections.depth(model))), full=True), texts, texts, seed)
    parameters = dict(model.named_parameters())
    asked = {name: parameter.requires_grad for name, parameter in parameters.items()}
    generator = torch.Generator().manual_seed(seed_of(seed, "batches"))
    last: float | None = None
    try:
        task.train(names)
        taken = Steps([parameters[name] for name in names], learning_rate)
        with torch.enable_grad():
            for step in range(1, steps + 1):
                rows = torch.randperm(len(texts), generator=generator)[:batch_size]
                logprob, tokens = task.answer_logprobs(task.batch("retain", rows))
                loss = -logprob.sum() / tokens.sum()
                gradients = task.gradients(loss, names)
                if not all(bool(x.isfinite().all()) for x in (loss, *gradients) if x is not None):
                    return Course(step - 1, last, step)
                taken.take(gradients)
                last = float(loss.detach())
        return Course(steps, last)
    finally:
        for name, parameter in parameters.items():
            parameter.grad = None
            parameter.requires_grad_(asked[name])
