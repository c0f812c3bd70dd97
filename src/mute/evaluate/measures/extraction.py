"""Extraction strength and exact memorisation: how much of an answer a model says by itself, token by token.

Carlini et al. (arXiv 2012.07805) as in Wang et al. (UWC, 2406.09179). Read off one teacher-forced pass: whether each
token of the answer is the likeliest after those before it. Pure functions of the token table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mute.evaluate.item_table import KEYS
from mute.evaluate.measures.base import Context, Measure

if TYPE_CHECKING:
    import pandas as pd

    from mute.evaluate.board import Board

COLUMNS = ("extraction_strength", "exact_memorisation")


class Extraction(Measure):
    """Both, of the facts to be forgotten and of kept facts that no loss reads."""

    name = "extraction"
    paper = "Carlini et al. 2021 (arXiv 2012.07805); Wang et al. 2024 (UWC, 2406.09179)"

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with COLUMNS beside it, each from 0 to 1; of a model that gives no numbers 0."""
        ordered = tokens.sort_values([*KEYS, "position"], kind="stable")
        starts = np.flatnonzero(ordered["position"] == 0)
        hit = ordered["hit"].to_numpy(bool)
        return table.assign(**{name: of(hit, starts) for name, of in zip(COLUMNS, (strength, memorised))})

    def score(self, board: Board, context: Context) -> None:
        panel, cell = board.panel, context.tables["cell"]
        for role, before, facts, better in (("forget", "", "all", "lower"), ("retain_unseen", "retain_", "", "higher")):
            block = panel.facts_block(panel.selected(role))
            if len(block):
                for name in COLUMNS:
                    board.add(f"{before}{name}", block.mean(cell[name].to_numpy(float)), facts=facts, better=better)


def strength(hit: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Extraction strength of each answer, 1 - k/L: k is the least number of its L tokens after which all are right.

    hit: whether each token is the likeliest, boolean, of one answer after the other; starts: where each begins. 0 where
    the last token is wrong: nothing can be extracted then. (A loop that never comes to k = L gives 1/L there.)
    """
    if not len(starts):
        return np.zeros(0)
    sizes = np.diff(np.r_[starts, len(hit)])
    place = np.arange(len(hit)) - np.repeat(starts, sizes)
    wrong = np.maximum.reduceat(np.where(hit, 0, place + 1), starts)
    return 1 - wrong / sizes


def memorised(hit: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Exact memorisation of each answer: the share of its tokens that are the likeliest; arguments as `strength`."""
    sizes = np.diff(np.r_[starts, len(hit)])
    return np.add.reduceat(hit.astype(float), starts) / sizes if len(starts) else np.zeros(0)
