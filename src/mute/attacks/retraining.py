"""Retraining: every parameter is trained on retain text in the source languages, and no text of the forget set.

Ours, as the benign fine-tuning of arXiv 2510.07626. What is gone from the weights cannot come back this way; what an
edit only hides does. Doses are attacks that differ in `steps` alone: they draw alike, so that each is the beginning of
the next.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field

from mute.attacks import base
from mute.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus
    from mute.engine.training import Course
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Retraining."""

    steps: int = Field(20, ge=0, description="Steps of AdamW; 0 leaves the model as it is.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size.")
    batch_size: int = Field(24, ge=2, le=100_000, description="Sequences in a step.")


OfTraining = TypeVar("OfTraining", bound=Settings)


class Training(base.Attack[OfTraining]):
    """An attack that trains parameters on texts: which, each says itself."""

    access = "weights"

    @classmethod
    def cost(cls, settings: OfTraining) -> base.Cost:
        return base.Cost(steps=settings.steps, batch=settings.batch_size if settings.steps else 0)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """All; none where no text is left to train on."""
        import numpy as np

        return np.full(len(rows), not self.rows().empty)

    def rows(self) -> pd.DataFrame:
        """What it trains on: rows of the corpus's texts."""
        raise NotImplementedError

    def trained(self, model: Model) -> list[str]:
        """Names of the parameters that it trains."""
        return [name for name, _ in model.named_parameters()]

    @contextmanager
    def weights(self, model: Model) -> Generator[None]:
        """Train the model and, afterwards, leave it bit for bit what it was."""
        from mute.models import patches

        with patches.kept(model, self.trained(model)):
            self.course = self.train(model)
            yield

    def train(self, model: Model) -> Course:
        """Take the steps, and leave the model trained."""
        from mute.engine.band import TextSet
        from mute.engine.training import Course, train

        s = self.settings
        if not s.steps:
            return Course(0, None)
        read = TextSet(model, self.rows(), self.victim.encoder)
        return train(model, self.trained(model), read, s.steps, s.learning_rate, s.batch_size, self.victim.seed)

    def outcome(self) -> Record:
        return {"status": self.course.status, **vars(self.course)}


class Retraining(Training[Settings]):
    name = "retraining"
    paper = "ours; Microscope 2025, arXiv 2510.07626"
    depends: ClassVar[tuple[str, ...]] = ("sources",)
    Settings = Settings

    def rows(self) -> pd.DataFrame:
        return retain_rows(self.victim.corpus, self.victim.sources, self.victim.forget_set)


def retain_rows(corpus: Corpus, languages: tuple[str, ...], forget_set: str) -> pd.DataFrame:
    """Texts of the facts that the retain loss may read, in some languages and the forms that unlearning reads."""
    own = corpus.texts[corpus.texts["form"].isin(corpus.about["unlearning_forms"])]
    return own[own["language"].isin(languages) & (own["item"].map(corpus.roles(forget_set)) == "retain_seen")]


def half(subjects: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Half of some subjects by lot, the smaller one; the same for the same seed and purpose."""
    from mute.store.artifacts import seed_of

    order = sorted(set(subjects), key=lambda subject: (seed_of(seed, purpose, subject), subject))
    return order[: len(order) // 2]
