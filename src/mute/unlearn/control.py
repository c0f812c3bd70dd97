"""The contract of controls: another method with one thing in it changed, so that what this thing does is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field, field_validator

from mute import unlearn
from mute.config.problems import validated
from mute.names import unknown_name
from mute.store.records import Record
from mute.unlearn.base import Cost, Descent, Edit, Method, Told

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(Told):
    """What every control can be told: all else, as steps, batches, rates and strengths, the method inside is told."""

    of: Record = Field(
        {"method": "rmu"},
        validate_default=True,
        description="The method inside, as an entry of `algorithms`: `method`, and its settings.",
    )

    @field_validator("of")
    @classmethod
    def _filled(cls, given: Record) -> Record:
        """With every default: what a run depends on stands in its settings."""
        own = dict(given)
        name = str(own.pop("method", None))
        if name not in unlearn.names():
            raise ValueError(f"a method and its settings ({unknown_name('method', name, unlearn.names())})")
        kind = unlearn.load(name)
        if not issubclass(kind, Descent | Edit):
            raise ValueError("a method that changes weights, and no control")
        checked = validated(kind.Settings, own)
        if checked.value is None or checked.problems:
            raise ValueError(f"a method and its settings ({'; '.join(map(str, checked.problems))})")
        return {"method": name, **checked.value.model_dump()}

    @property
    def within(self) -> list[str]:
        return [str(self.of["method"])]


OfControl = TypeVar("OfControl", bound=Settings)


class Control(Method[OfControl]):
    """Another method with one thing in it changed: the texts that it reads, what it minimises, or what it made."""

    family = "control"
    intent = "control"
    expects = "open"
    Settings: ClassVar[type[Told]] = Settings

    def __init__(self, settings: OfControl) -> None:
        super().__init__(settings)
        own = dict(settings.of)
        self.inner = unlearn.make(str(own.pop("method")), own)

    @property
    def runs(self) -> Method:
        """What the engine runs."""
        return self.inner

    def cost(self) -> Cost:
        return self.inner.cost()

    def applies(self, view: View) -> str:
        return self.inner.applies(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return self.inner.reads(view)

    def parameters(self, model: Model, band: Band) -> list[str]:
        return self.inner.parameters(model, band)

    def instead(self, before: Mapping[str, Tensor], after: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """What stands in the place of what the method inside made; before: the same tensors of the base."""
        return after
