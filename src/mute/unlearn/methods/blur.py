"""BLUR: keep forgetting as the lower of two levels, and give the retain loss only what does not touch it.

Reisizadeh et al. 2025 (arXiv 2506.08164): of the gradients g_f of the loss that is minimised to forget and g_r of the
retain loss, over the band, the step goes along g_r - c g_f + gamma g_f, c = <g_r, g_f> / |g_f|^2. The setting `of`
names any descent, `inner` its settings; where that method has no retain term, it is the negative log-likelihood of
retain answers. Certainty: code. Published for 7B: gamma 1 on NPO with beta 0.1 (TOFU) or 0.15,
learning rate 1e-5 to 2.5e-5; the form for RMU with 800 to 1200 in gamma's place.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

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
    """BLUR."""

    of: str = Field("npo", description="The method whose two terms it takes apart.")
    inner: Record = Field({}, description="Settings of that method; steps, batches and rates are set here.")
    gamma: float = Field(1.0, ge=0, description="Weight of the lower level's own gradient (`rmu`: of the projection).")
    variant: Literal["retain_upper", "forget_upper", "rmu", "pen"] = Field(
        "retain_upper", description="Which gradient is projected; `pen` is a fixed weighted sum, the control."
    )

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
    if not issubclass(method, base.Descent) or method.gradients is not base.Descent.gradients:
        raise ValueError(f"{name!r} has no two terms to be taken apart: it must be a descent with plain gradients")
    return method(method.Settings.model_validate(dict(settings)))


class BLUR(base.Descent[Settings]):
    name = "blur"
    paper = "Reisizadeh et al. 2025, arXiv 2506.08164"
    family = "divergence"
    Settings = Settings

    def __init__(self, settings: Settings) -> None:
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

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.unlearn import edits

        terms = self.terms(task, batches)
        retain = terms.pop("retain")
        first, *others = terms.values()
        forget = sum(others, start=first)
        two = [task.gradients(loss, names) for loss in (forget, retain)]
        return forget + retain, edits.blur(two[0], two[1], self.settings.gamma, self.settings.variant)
