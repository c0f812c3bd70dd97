"""The contract of wrappers: what goes around the loss of any descent, and changes along what its steps go."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field, model_validator

from mute.store.records import Facts, Record
from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """What every wrapper can be told."""

    of: str = Field("npo", description="The method inside, whose loss this goes around.")
    inner: Record = Field({}, description="Settings of that method; steps, batches and rates are set here.")

    @property
    def within(self) -> list[str]:
        return [self.of]

    @model_validator(mode="after")
    def _of_a_descent(self) -> Settings:
        wrapped(self.of, self.inner)
        return self


def wrapped(name: str, settings: Facts) -> base.Descent:
    """The method inside. Raises ValueError for one that is none, has no such settings, or makes its own gradients."""
    from mute import unlearn

    method = unlearn.load(name)
    plain = issubclass(method, base.Descent) and method.gradients is base.Descent.gradients
    if not plain or method.takes_turns:
        raise ValueError(f"{name!r} has no two terms to be taken apart: it must be a descent with plain gradients")
    return method(method.Settings.model_validate(dict(settings)))


OfWrapper = TypeVar("OfWrapper", bound=Settings)


class Wrapper(base.Descent[OfWrapper]):
    """A descent around another: it reads, trains and prepares what the method inside does.

    The terms are those of the method inside; where it has none to retain, the negative log-likelihood of retain answers
    is added. Wrappers override `gradients`, most with `apart` in it, and `cost` where a step takes more passes.
    """

    Settings: ClassVar[type[base.Told]] = Settings

    def __init__(self, settings: OfWrapper) -> None:
        super().__init__(settings)
        self.inner = wrapped(settings.of, settings.inner)

    def cost(self) -> base.Cost:
        from dataclasses import replace

        return replace(self.inner.cost(), sides=2)

    def applies(self, view: View) -> str:
        return self.inner.applies(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return self.inner.reads(view)

    def parameters(self, model: Model, band: Band) -> list[str]:
        return self.inner.parameters(model, band)

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        with self.inner.trainables(task, names) as trained:
            yield trained

    def prepare(self, task: Task) -> None:
        self.inner.prepare(task)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        own = self.inner.terms(task, batches)
        return own if "retain" in own else {**own, "retain": nll(*task.answer_logprobs(batches["retain"]))}

    def two_terms(self, task: Task, batches: Mapping[str, Batch]) -> tuple[Tensor, Tensor]:
        """What is minimised to forget and to retain."""
        terms = self.terms(task, batches)
        retain = terms.pop("retain")
        first, *others = terms.values()
        return sum(others, start=first), retain

    def apart(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
        """The loss, and the gradients of its forget and its retain term, in the order of the parameters `names`."""
        forget, retain = self.two_terms(task, batches)
        return forget + retain, task.gradients(forget, names), task.gradients(retain, names)
