"""What an analysis is. Adding one is adding one file to this package with a subclass of `Analysis`.

An analysis looks into a model, or into one with a patch or guard, and changes nothing. What it finds are rows of a
profile over blocks and languages. Files of analyses import torch inside their functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas as pd

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject

COLUMNS = ("measure", "block", "language", "value", "n")


class Settings(BaseModel):
    """What an analysis can be told."""

    model_config = ConfigDict(extra="forbid")


OfAnalysis = TypeVar("OfAnalysis", bound=Settings)


class Analysis(ABC, Generic[OfAnalysis]):
    """One analysis.

    paper: who proposed it. unit: `cell` (every cell, and its base beside it) or `model` (the base alone). table: the
    table that its rows stand in, one row per measure unless it is one of its own.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    unit: ClassVar[Literal["cell", "model"]] = "cell"
    table: ClassVar[str] = "profiles"
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: OfAnalysis) -> None:
        self.settings = settings

    @abstractmethod
    def run(self, subject: Subject, asked: Asked, first: int) -> pd.DataFrame:
        """Rows of COLUMNS, from block `first` on: below it a cell is its base.

        `subject` is installed, and `asked.texts` stand at block `first`; a subject that looks inside needs texts of its
        own.
        """
