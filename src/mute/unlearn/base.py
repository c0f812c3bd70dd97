"""What an unlearning algorithm is. Adding one is adding one file to this package with a subclass of `Algorithm`.

An algorithm says what it minimises (`loss`) or in which direction it edits (`direction`); the engine does the rest:
frozen prefix, batches, optimizer, stopping, patch. Files of algorithms import torch inside their functions, because
every parse of the workflow reads their settings.
"""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task


# Values that a setting which must be above zero may be tuned to.
Strengths = list[Annotated[float, Field(gt=0)]]


class Settings(BaseModel):
    """What every algorithm can be told. `strength` names the setting that tuning varies."""

    model_config = ConfigDict(extra="forbid")
    strength: ClassVar[str] = "learning_rate"

    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size.")
    steps: int = Field(60, ge=1, description="Steps of the `paper` protocol, and the most that `matched` takes.")
    order: Literal["interleaved", "concatenated"] = Field(
        "interleaved", description="Whether a batch mixes the source languages, or they come one after the other."
    )
    batch_size: int = Field(24, ge=2, le=100_000, description="Sequences of each side in a step.")
    strengths: Strengths = Field(
        [1e-3, 3e-3, 1e-2],
        min_length=1,
        description="Values of the strength among which the `matched` protocol chooses; a single one is taken untried.",
    )


class Algorithm(ABC):
    """One unlearning method.

    expects: what happens to the likelihood of the forget answers if it works: `falls`, `rises` or `none`.
    kind: `gradient` (minimise `loss` step by step), `edit` (one step along `direction`), or `filter` (`fit` what stands
    before the model).
    bands: names of the only bands that it works on; empty: any.
    """

    name: ClassVar[str]
    expects: ClassVar[Literal["falls", "rises", "none"]] = "falls"
    kind: ClassVar[Literal["gradient", "edit", "filter"]] = "gradient"
    bands: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def parameters(self, model: Any, band: Band) -> list[str]:
        """Names of the parameters that this method changes; none outside the band."""
        from mute.models import anatomy

        return anatomy.band_parameters(model, band)

    def prepare(self, task: Task) -> None:  # noqa: B027  most methods have nothing to prepare
        """Compute what stays fixed for the whole run, from the model as it is before unlearning."""

    def loss(self, task: Task, forget: Batch, retain: Batch) -> Tensor:
        """The scalar to minimise on one batch of each side."""
        raise NotImplementedError

    def direction(self, task: Task) -> dict[str, Tensor]:
        """The direction of an edit, one tensor per parameter; the engine finds how far to go."""
        raise NotImplementedError

    def fit(self, task: Task) -> dict[str, Tensor]:
        """The tensors of a filter, as `models.gate` names them."""
        raise NotImplementedError
