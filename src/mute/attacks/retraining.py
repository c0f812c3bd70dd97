"""Retraining: every parameter is trained on retain text in the source languages, and no text of the forget set.

Ours, as the benign fine-tuning of arXiv 2510.07626. What is gone from the weights cannot come back this way; what an
edit only hides does. Doses are attacks that differ in `steps` alone: they draw alike, so that each is the beginning of
the next.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mute.attacks import base
from mute.store.records import Record

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus
    from mute.engine.band import TextSet
    from mute.models.anatomy import Model
    from mute.models.tokenizer import Encoder


class Settings(base.Settings):
    """Retraining."""

    steps: int = Field(20, ge=1, description="Steps of AdamW.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size.")
    batch_size: int = Field(24, ge=2, le=100_000, description="Sequences in a step.")


@dataclass(frozen=True)
class Course:
    """How retraining went. diverged_at: the first step whose loss was no number, where it was stopped; else None."""

    steps: int
    last_loss: float | None
    diverged_at: int | None = None

    @property
    def status(self) -> str:
        return "ok" if self.diverged_at is None else "diverged"


class Retraining(base.Attack[Settings]):
    name = "retraining"
    paper = "ours; Microscope 2025, arXiv 2510.07626"
    access = "weights"
    depends: ClassVar[tuple[str, ...]] = ("sources",)
    Settings = Settings

    @classmethod
    def cost(cls, settings: Settings) -> base.Cost:
        return base.Cost(steps=settings.steps, batch=settings.batch_size)

    @contextmanager
    def weights(self, model: Model) -> Generator[None]:
        """Train the model and, afterwards, leave it bit for bit what it was."""
        from mute.models import patches

        v, s = self.victim, self.settings
        retain = texts(model, v.encoder, v.corpus, v.sources, v.forget_set)
        names = [name for name, _ in model.named_parameters()]
        with patches.kept(model, names):
            self.course = train(model, names, retain, s.steps, s.learning_rate, s.batch_size, v.seed)
            yield

    def outcome(self) -> Record:
        return {"status": self.course.status, **vars(self.course)}


def texts(model: Model, encoder: Encoder, corpus: Corpus, sources: tuple[str, ...], forget_set: str) -> TextSet:
    """The retain texts that unlearning reads, too."""
    from mute.engine.band import TextSet

    own = corpus.texts[corpus.texts["form"].isin(corpus.about["unlearning_forms"])]
    kept = own["language"].isin(sources) & (own["item"].map(corpus.roles(forget_set)) == "retain_seen")
    return TextSet(model, own[kept], encoder)


def train(
    model: Model, names: list[str], retain: TextSet, steps: int, learning_rate: float, batch_size: int, seed: int
) -> Course:
    """Train the named parameters on answers; stops at the first step that gives no number.

    What steps need beside the model is gone afterwards: its answers are read next.
    """
    import torch

    from mute.bands import Band
    from mute.engine import sections
    from mute.engine.band import Task
    from mute.engine.steps import Steps
    from mute.store.artifacts import seed_of

    task = Task(model, Band(tuple(range(sections.depth(model))), full=True), retain, retain, seed)
    parameters = dict(model.named_parameters())
    asked = {name: parameter.requires_grad for name, parameter in parameters.items()}
    generator = torch.Generator().manual_seed(seed_of(seed, "batches"))
    last: float | None = None
    try:
        task.train(names)
        taken = Steps([parameters[name] for name in names], learning_rate)
        with torch.enable_grad():
            for step in range(1, steps + 1):
                rows = torch.randperm(len(retain), generator=generator)[:batch_size]
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
