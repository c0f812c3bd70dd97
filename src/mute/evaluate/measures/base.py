"""What a measure is, and what it may read: the tables of a cell, of its base and of its oracle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mute.evaluate.panel import Better

if TYPE_CHECKING:
    import pandas as pd

    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board


@dataclass(frozen=True)
class Context:
    """What a cell is measured by.

    tables: item tables, with the columns of all measures, of `cell`, `base` and, where there is one, `oracle`; all have
    the same rows. answers: the cell's answer table. corpus: what was asked. trainings: of other trainings of the model,
    where the study asks for these (`evaluation.lira`), item tables of the base and of its oracle.
    """

    tables: Mapping[str, pd.DataFrame]
    answers: pd.DataFrame
    corpus: Corpus
    trainings: Sequence[tuple[pd.DataFrame, pd.DataFrame]] = ()


class Measure(ABC):
    """One measure, or a few that are read together.

    paper: who proposed it. better: of its scores that do not say so themselves, whether less or more means that more is
    forgotten, or kept; those that have such a way have groups by script and a worst language beside the others.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    better: ClassVar[Better] = "none"

    def applies(self, corpus: Corpus) -> bool:
        """Whether a corpus has what it is read from."""
        return True

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """The item table with further columns, from the token table that it was made of: same rows, same order."""
        return table

    @abstractmethod
    def score(self, board: Board, context: Context) -> None:
        """Add its scores of the cell to the board, by language and group."""
