"""What comes back when a patched model is trained on retain text alone: nothing that is gone can."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from mute.bands import Band
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.engine.band import Task, TextSet
from mute.engine.steps import Steps
from mute.models import patches
from mute.models.tokenizer import Encoder
from mute.store.artifacts import seed_of


@dataclass(frozen=True)
class Retraining:
    """Steps of AdamW on every parameter, on retain answers in the source languages; no text of the forget set."""

    steps: int
    learning_rate: float
    batch_size: int
    seed: int


def texts(model: Any, encoder: Encoder, corpus: Corpus, sources: list[str], forget_set: str) -> TextSet:
    """The retain texts that unlearning reads, too."""
    own = corpus.texts[corpus.texts["form"].isin(corpus.about["unlearning_forms"])]
    kept = own["language"].isin(sources) & (own["item"].map(corpus.roles(forget_set)) == "retain_seen")
    return TextSet(model, own[kept], encoder)


@dataclass(frozen=True)
class Course:
    """How retraining went. diverged_at: the first step whose loss was no number, where it was stopped; else None."""

    steps: int
    last_loss: float | None
    diverged_at: int | None = None

    @property
    def status(self) -> str:
        return "ok" if self.diverged_at is None else "diverged"


@contextmanager
def retrained(model: Any, retain: TextSet, how: Retraining) -> Generator[Course]:
    """Retrain the model and say how it went; afterwards it is bit for bit what it was."""
    names = [name for name, _ in model.named_parameters()]
    before = patches.take(model, names)
    try:
        yield _train(model, names, retain, how)
    finally:
        patches.put(model, before)


def _train(model: Any, names: list[str], retain: TextSet, how: Retraining) -> Course:
    """Train every parameter. What steps need beside the model is gone afterwards: its answers are read next."""
    task = Task(model, Band(tuple(range(sections.depth(model))), full=True), retain, retain, how.seed)
    task.train(names)
    steps = Steps(list(model.parameters()), how.learning_rate)
    generator = torch.Generator().manual_seed(seed_of(how.seed, "batches"))
    last: float | None = None
    try:
        with torch.enable_grad():
            for step in range(1, how.steps + 1):
                rows = torch.randperm(len(retain), generator=generator)[: how.batch_size]
                logprob, tokens = task.answer_logprobs(task.batch("retain", rows))
                loss = -logprob.sum() / tokens.sum()
                gradients = task.gradients(loss, names)
                if not all(bool(x.isfinite().all()) for x in (loss, *gradients) if x is not None):
                    return Course(step - 1, last, step)
                steps.take(gradients)
                last = float(loss.detach())
        return Course(how.steps, last)
    finally:
        steps.end()
        model.requires_grad_(False)
