"""The contracts of unlearning methods: descents, edits, guards, and controls. A method is one file in `methods`.

A method says what it minimises (`Descent.loss`), in which direction it edits (`Edit.change`), what stands before or
around the model (`Guard.fit` and `Guard.treatment`), or what it changes in another method (`Control`); the engine does
the rest: frozen prefix, batches, optimizer, stopping, patch. Files of methods import torch inside their functions:
every parse of the workflow reads their settings.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mute.bands import ALLOWED, is_whole, named_blocks
from mute.names import unknown_name

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model
    from mute.models.treatment import Treatment
    from mute.unlearn.view import View

# Values that `matched` tries of a setting that must be above zero.
Strengths = list[Annotated[float, Field(gt=0)]]
Family = Literal[
    "divergence", "distillation", "preference", "rejection", "representation", "editing", "guard", "control"
]
Intent = Literal["removal", "suppression", "guard", "control"]
Likelihood = Literal["falls", "rises", "none", "open"]


class NotApplicable(Exception):  # noqa: N818  it is no error: the cell is a row that says why
    """A method finds in the model, before it changes anything, that it cannot run on it. The text says why."""


class Told(BaseModel):
    """What a method can be told. `strength` names the setting that `matched` varies or searches; '': none is."""

    model_config = ConfigDict(extra="forbid")
    strength: ClassVar[str] = ""

    @property
    def within(self) -> list[str]:
        """Names of the methods inside this one, whose code it runs."""
        return []


class Settings(Told):
    """What every method that is no control can be told."""

    strength: ClassVar[str] = "learning_rate"

    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size.")
    steps: int = Field(60, ge=1, description="Steps of the `paper` protocol, and the most that `matched` takes.")
    order: Literal["interleaved", "concatenated"] = Field(
        "interleaved", description="Whether a batch mixes the source languages, or they come one after the other."
    )
    optimizer: Literal["adamw", "compact"] = Field(
        "adamw",
        description="compact: AdamW with states of 16 bits and gradients let go as they are used, for bands as large "
        "as a model; near adamw, not the same.",
    )
    batch_size: int = Field(24, ge=2, le=100_000, description="Sequences of each side in a step.")
    strengths: Strengths = Field(
        [1e-3, 3e-3, 1e-2],
        min_length=1,
        description="Values of the strength that the `matched` protocol takes to the dose, to keep the best of them.",
    )


@dataclass(frozen=True)
class Cost:
    """What a method takes, in units that the planner turns into seconds and bytes; it knows no method by name.

    sides: text sides that each step (or the one pass of an edit) reads. head: whether logits are read, so that all
    blocks above the band run; else nothing above it does. reference: whether what the model said or held before is
    computed once over all texts. passes: forward and backward passes over each side in a step. whole: whether sides
    are read whole, in large pieces, and not in batches. trains: which weights of the band change. blocks: at most so
    many of them; 0: all. prompts, texts: what a guard adds when it is asked, in forward passes through all blocks: over
    each prompt, and over each text that is read, which is a prompt with one of its options.
    """

    sides: int = 2
    head: bool = True
    reference: bool = False
    passes: float = 1.0
    whole: bool = False
    trains: Literal["blocks", "attention", "mlp_outputs", "nothing"] = "blocks"
    blocks: int = 0
    prompts: float = 0.0
    texts: float = 0.0


OfMethod = TypeVar("OfMethod", bound=Told)
OfSteps = TypeVar("OfSteps", bound=Settings)


class Method(ABC, Generic[OfMethod]):
    """One unlearning method.

    paper: who proposed it, and the arXiv id where it has one. family: its colour and facet in every figure. expects:
    what happens to the likelihood of the forget answers if it works; `open` where nothing is claimed. intent: what it
    claims to do; what it does is measured. bands: names of the only bands that it works on; empty: any. protocols:
    those under which it means anything.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    family: ClassVar[Family]
    expects: ClassVar[Likelihood] = "falls"
    intent: ClassVar[Intent] = "removal"
    bands: ClassVar[tuple[str, ...]] = ()
    protocols: ClassVar[tuple[str, ...]] = ("matched", "paper")
    Settings: ClassVar[type[Told]] = Settings

    def __init__(self, settings: OfMethod) -> None:
        self.settings = settings

    @property
    def runs(self) -> Method:
        """The method that the engine runs: itself, but of a control."""
        return self

    @property
    def guard(self) -> Guard | None:
        """The guard that stands on the model when it has run: itself, of a guard, or what is chained to an edit."""
        return None

    @property
    def strengths(self) -> Sequence[float | None]:
        """What `matched` tries of it; None: it is run once."""
        return [None]

    def at(self, strength: float) -> Self:
        """The same at a strength."""
        return type(self)(self.settings.model_copy(update={self.settings.strength: strength}))

    @classmethod
    def suits(cls, family: str) -> Mapping[str, object]:
        """Settings to begin with on a family of models, where the method's own do not suit it."""
        return {}

    @classmethod
    def faults(cls) -> Iterator[tuple[str, str]]:
        """What is wrong with it beyond the types of its attributes: the attribute, and what, in words."""
        if not issubclass(cls, Descent | Edit | Guard) and cls.runs is Method.runs:
            yield "__bases__", "must be a Descent, an Edit, a Guard or a Control: the engine runs no other method"
        for band in cls.bands:
            if not is_whole(band) and named_blocks(band) is None:
                yield "bands", unknown_name("band", band, ALLOWED)
        here = vars(sys.modules[cls.__module__]).values()
        own = [each for each in here if isinstance(each, type) and each.__module__ == cls.__module__]
        unread = [each.__name__ for each in own if issubclass(each, Told)]
        if unread and cls.Settings.__module__ != cls.__module__:
            text = f"is that of {cls.Settings.__module__}, and nothing reads {unread[0]!r} of this file"
            yield "Settings", f"{text}: add `Settings = {unread[0]}` to the class"
        fields = getattr(cls.Settings, "model_fields", {})
        if fields and (strength := getattr(cls.Settings, "strength", "")) not in {*fields, ""}:
            yield "Settings.strength", unknown_name("setting", strength, fields)

    def cost(self) -> Cost:
        """What it takes with these settings."""
        return Cost()

    def applies(self, view: View) -> str:
        """Why the method cannot run on these texts, or '': a cell that it cannot run on is a row and not an error."""
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        """Texts by the name of the side that batches are drawn from; at least `forget` and `retain`.

        A view holds source languages and the forms that unlearning may read, and nothing else.
        """
        return {"forget": view.forget, "retain": view.retain}

    def parameters(self, model: Model, band: Band) -> list[str]:
        """Names of the parameters that this method changes; none outside the band."""
        from mute.models import anatomy

        return anatomy.band_parameters(model, band)

    def prepare(self, task: Task) -> None:
        """Compute what stays fixed for the whole run, from the model as it is before unlearning.

        Raises NotApplicable where the model lacks an ability that the method needs.
        """


class Descent(Method[OfSteps]):
    """A method that takes steps of AdamW along gradients.

    takes_turns: whether a step reads one of its terms alone, so that no wrapper can take the two apart.
    """

    takes_turns: ClassVar[bool] = False

    @property
    def strengths(self) -> Sequence[float | None]:
        return self.settings.strengths

    @abstractmethod
    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """What is minimised on one batch of each side: `forget`, and perhaps `retain`, each with its weight.

        Wrappers take the gradients of the two apart.
        """

    def loss(self, task: Task, batches: Mapping[str, Batch]) -> Tensor:
        """The scalar to minimise: the sum of the terms."""
        first, *others = self.terms(task, batches).values()
        return sum(others, start=first)

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """The loss, and along what a step goes, in the order of the parameters `names`.

        Methods override it that take two gradients, project, mask or perturb.
        """
        loss = self.loss(task, batches)
        return loss, task.gradients(loss, names)

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        """Names of what steps move, by which `task.gradients` knows it while this is open; the parameters `names`.

        Methods override it that train something in their place, such as low-rank updates (`engine.low_rank`). What has
        become of the parameters is read before it is closed, and they are what they were afterwards.
        """
        yield names


class Edit(Method[OfSteps]):
    """A method that changes weights at once; the engine finds how far to go along its change.

    most: the largest scale that `matched` tries, of an edit that was solved for and is whole at scale 1; None: as far
    as the size of the weights allows.
    """

    most: ClassVar[float | None] = None

    @abstractmethod
    def change(self, task: Task) -> dict[str, Tensor]:
        """What is added to each parameter at scale 1; `matched` searches the scale, `paper` takes the settings'."""


class Guard(Method[OfSteps]):
    """A method that leaves the weights alone and stands before, inside or behind the model."""

    family = "guard"
    intent = "guard"

    @property
    def guard(self) -> Guard:
        return self

    def cost(self) -> Cost:
        return Cost(trains="nothing")

    def parameters(self, model: Model, band: Band) -> list[str]:
        return []

    @abstractmethod
    def fit(self, task: Task) -> dict[str, Tensor]:
        """The tensors of the guard, fitted on source texts."""

    @abstractmethod
    def treatment(self, fitted: Mapping[str, Tensor]) -> Treatment:
        """What the fitted guard does to questions, states, logits or replies."""
