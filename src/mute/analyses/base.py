"""What an analysis is. Adding one is adding one file to this package with a subclass of `Analysis`.

An analysis looks into a model, or into one with a patch or guard, and changes nothing. What it finds are rows of a
profile over blocks and languages. Files of analyses import torch inside their functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mute.names import unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from mute.bands import Band
    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject
    from mute.models.anatomy import Model

COLUMNS = ("measure", "block", "language", "value", "n")
# Keys of a cell that what is found in its base may depend on.
DEPENDS = ("band", "sources")


class Settings(BaseModel):
    """What an analysis can be told."""

    model_config = ConfigDict(extra="forbid")


class CellSettings(Settings):
    """What an analysis of cells can be told: which of them it looks into."""

    algorithms: list[str] = Field([], description="Cells of these alone, by the names of the study; none: of all.")
    protocols: list[Literal["matched", "paper"]] = Field([], description="Cells of these alone; none: of all.")
    training_seeds: list[int] = Field([], description="Cells of these trainings alone; none: of all.")

    def chooses(self, cell: Keys) -> bool:
        """Whether a cell is among them."""
        asked = (self.algorithms, self.protocols, self.training_seeds)
        own = (cell.algorithm, cell.protocol, cell.training_seed)
        return all(not wanted or value in wanted for wanted, value in zip(asked, own))


class Keys(Protocol):
    """The keys of a cell by which an analysis may choose."""

    @property
    def training_seed(self) -> int: ...

    @property
    def algorithm(self) -> str: ...

    @property
    def band(self) -> str: ...

    @property
    def protocol(self) -> str: ...


@dataclass(frozen=True)
class Case:
    """Which cell is looked into, or beside which cell its base is.

    first: the block from which on rows are wanted: below it a cell is its base. band: the blocks that were edited.
    sources: the languages that unlearning read. Of a base, band and sources may be read by an analysis alone that
    `depends` on them: for the others it is one base for all of its cells. oracle: the model that never saw the forget
    set, for an analysis that `reads_oracle`; None where the study has none.
    """

    first: int
    band: Band
    sources: tuple[str, ...]
    oracle: Model | None = None


OfAnalysis = TypeVar("OfAnalysis", bound=Settings)


class Analysis(ABC, Generic[OfAnalysis]):
    """One analysis.

    paper: who proposed it. unit: `cell` (every cell, and its base beside it) or `model` (the base alone). table: the
    table that its rows stand in, one row per measure unless it is one of its own. depends: keys of a cell, of DEPENDS,
    that what is found in its base depends on; on none, a base is looked into once for all of its cells.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    unit: ClassVar[Literal["cell", "model"]] = "cell"
    table: ClassVar[str] = "profiles"
    depends: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: OfAnalysis) -> None:
        self.settings = settings

    @classmethod
    def faults(cls) -> Iterator[tuple[str, str]]:
        """What is wrong with it beyond the types of its attributes: the attribute, and what, in words."""
        for key in cls.depends:
            if key not in DEPENDS:
                yield "depends", unknown_name("key that an analysis of a base depends on", key, DEPENDS)

    def applies(self, cell: Keys) -> bool:
        """Whether a cell, by its keys, is looked into, and its base beside it."""
        return not isinstance(self.settings, CellSettings) or self.settings.chooses(cell)

    def reads_oracle(self) -> bool:
        """Whether it looks into the oracle too, which is then opened beside the cell's model."""
        return False

    def asks(self) -> float:
        """What it takes, by how often the forget questions are asked: the planner makes seconds of it."""
        return 1.0

    @abstractmethod
    def run(self, subject: Subject, asked: Asked, case: Case) -> pd.DataFrame:
        """Rows of COLUMNS, from block `case.first` on.

        `subject` is installed, and `asked.texts` stand at block `case.first`; a subject that looks inside needs texts
        of its own.
        """
