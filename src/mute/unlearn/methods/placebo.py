"""Placebo: a method without its forget loss. What it changes is no forgetting.

Only what a descent minimises to keep the rest is minimised, with its steps, batches and rates; where it has no such
term, the negative log-likelihood of retain answers. Our control. It never comes to a dose, so that it runs under the
protocol `paper` alone.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from mute.store.records import Record
from mute.unlearn import base, control

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model


class Settings(control.Settings):
    """Placebo."""

    # RMU keeps states where they are: without its forget part its loss is zero, and it never moves.
    of: Record = Field(
        {"method": "simnpo"},
        validate_default=True,
        description="The method inside, as an entry of `algorithms`: `method`, and its settings.",
    )

    @field_validator("of")
    @classmethod
    def _in_steps(cls, given: Record) -> Record:
        from mute import unlearn

        if not issubclass(unlearn.load(str(given["method"])), base.Descent):
            raise ValueError("a descent: only a loss has a retain part of its own")
        return given


class Placebo(control.Control[Settings]):
    name = "placebo"
    paper = "our control"
    expects = "none"
    protocols = ("paper",)
    Settings = Settings

    @property
    def runs(self) -> base.Method:
        return Retaining(self.inner)


class Retaining(base.Descent[base.Settings]):
    """The retain part of a descent."""

    def __init__(self, inner: base.Method) -> None:
        assert isinstance(inner, base.Descent)
        super().__init__(inner.settings)
        self.inner: base.Descent = inner

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
        return {"retain": own["retain"] if "retain" in own else nll(*task.answer_logprobs(batches["retain"]))}
