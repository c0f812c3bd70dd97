"""A guard on an unlearned model: an edit, and a guard that is fitted to what the edit has left.

`chain: [rmu, ksd]` names the two, each by its name or with settings. The edit runs as it would alone, with its own
strengths, and the dose, the size and the status of a cell are the edit's. Then the guard is fitted on the edited model,
and both stand wherever the cell is asked, attacked or exported. With the guard off it is the edit bit for bit, so that
what the lens finds inside is the edit's work alone. No method of a paper: two of them, one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from mute import unlearn
from mute.config.problems import validated
from mute.names import unknown_name
from mute.store.records import Record
from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd

    from mute.bands import Band
    from mute.models.anatomy import Model
    from mute.unlearn.view import View

KINDS = (("an edit, which changes weights", (base.Descent, base.Edit)), ("a guard", (base.Guard,)))


class Settings(base.Told):
    """A guard on an unlearned model."""

    chain: list[str | Record] = Field(
        ["rmu", "ksd"],
        min_length=2,
        max_length=2,
        validate_default=True,
        description="The edit and the guard, each by its name, or as an entry of `algorithms`: `method` and settings.",
    )

    @field_validator("chain")
    @classmethod
    def _filled(cls, given: list[str | Record]) -> list[Record]:
        """Each with every default: what a run depends on stands in its settings."""
        return [_filled(own, *wanted) for own, wanted in zip(given, KINDS)]

    @property
    def parts(self) -> tuple[Record, Record]:
        """Edit and guard."""
        edit, guard = ({"method": own} if isinstance(own, str) else dict(own) for own in self.chain)
        return edit, guard

    @property
    def within(self) -> list[str]:
        return [str(own["method"]) for own in self.parts]


def _filled(given: str | Record, what: str, kinds: tuple[type, ...]) -> Record:
    own = {"method": given} if isinstance(given, str) else dict(given)
    name = str(own.pop("method", None))
    if name not in unlearn.names():
        raise ValueError(f"{what} ({unknown_name('method', name, unlearn.names())})")
    kind = unlearn.load(name)
    if not issubclass(kind, kinds):
        raise ValueError(f"{what}, which {name} is not")
    checked = validated(kind.Settings, own)
    if checked.value is None or checked.problems:
        raise ValueError(f"{what} and its settings ({'; '.join(map(str, checked.problems))})")
    return {"method": name, **checked.value.model_dump()}


class Chain(base.Method[Settings]):
    name = "chain"
    paper = "ours"
    family = "guard"
    intent = "guard"
    expects = "open"
    Settings = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        edit, guard = settings.parts
        self.edit = unlearn.make(str(edit.pop("method")), edit)
        behind = unlearn.make(str(guard.pop("method")), guard)
        assert isinstance(behind, base.Guard)
        self._guard = behind

    @property
    def runs(self) -> base.Method:
        return self.edit

    @property
    def guard(self) -> base.Guard:
        return self._guard

    def cost(self) -> base.Cost:
        return self.edit.cost()

    def applies(self, view: View) -> str:
        return self.edit.applies(view) or self.guard.applies(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return self.edit.reads(view)

    def parameters(self, model: Model, band: Band) -> list[str]:
        return self.edit.parameters(model, band)
