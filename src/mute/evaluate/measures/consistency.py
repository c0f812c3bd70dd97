"""Consistency of languages: whether a fact's options stand in the same order in a language as in the source languages.

RankC (Qi et al. 2023, arXiv 2310.10378) with the options as candidates, which are aligned by their place. An edit that
reaches the source languages alone takes the others apart from them, even where no right answer is lost. Pure functions
of the token table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mute.evaluate.item_table import KEYS
from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.panel import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mute.evaluate.board import Board
    from mute.evaluate.panel import Block, Panel

COLUMN = "option_order"


class Consistency(Measure):
    """RankC of each language with the source languages, but itself, of facts to be forgotten and of kept ones."""

    name = "consistency"
    paper = "Qi et al. 2023 (arXiv 2310.10378)"

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with COLUMN beside it: the places of the options, likeliest first, the gold one's place before
        them; None without two options, or where a model gives no numbers.
        """
        first = tokens[tokens["position"] == 0].sort_values(KEYS, kind="stable")
        found = np.full(len(table), None, object)
        for i, (listed, gold) in enumerate(zip(first["options"], first["gold"])):
            # What is no number is stored as null.
            values = np.empty(0) if listed is None or np.ndim(listed) == 0 else np.asarray(listed, float)
            if len(values) > 1 and not np.isnan(values).any():
                found[i] = (int(gold), *np.argsort(-values, kind="stable").tolist())
        return table.assign(**{COLUMN: found})

    def score(self, board: Board, context: Context) -> None:
        panel, order = board.panel, context.tables["cell"][COLUMN].to_numpy(object)
        for role, before, facts in (("forget", "", "all"), ("retain_unseen", "retain_", "")):
            block = panel.facts_block(panel.selected(role))
            if len(block):
                board.add(f"{before}rankc", block.mean(with_sources(panel, block, order)), facts=facts)


def with_sources(panel: Panel, block: Block, order: np.ndarray) -> np.ndarray:
    """By row of the whole table, mean RankC with the same question in the source languages but its own; NaN without.

    Where gold options stand at different places, options are not aligned, and nothing can be compared.
    """
    sources = set(block.groups[SOURCE].tolist())
    forms = panel.base["form"].to_numpy()
    asked: dict[tuple[str, int], list[int]] = {}
    for row in block.rows:
        if panel.language[row] in sources:
            asked.setdefault((panel.items[row], forms[row]), []).append(row)
    found = np.full(len(order), np.nan)
    for row in block.rows:
        own = order[row]
        others = [order[other] for other in asked.get((panel.items[row], forms[row]), ()) if other != row]
        alike = [other for other in others if own and other and other[0] == own[0] and len(other) == len(own)]
        if alike:
            found[row] = np.mean([rankc(own[1:], other[1:]) for other in alike])
    return found


def rankc(left: Sequence[int], right: Sequence[int]) -> float:
    """RankC of two orders of the same n candidates, 0 to 1; 1 for equal orders, 0.2 for two of eight at random.

    Σ_j w_j |first j of both| / j with w = softmax(n, n - 1, .., 1).
    """
    n = len(left)
    place = np.empty((2, n), int)
    place[0, list(left)] = place[1, list(right)] = np.arange(n)
    # A candidate is among the first j of both from the later of its two places on.
    both = np.bincount(place.max(0), minlength=n).cumsum() / np.arange(1, n + 1)
    weights = np.exp(-np.arange(n, dtype=float))
    return float(both @ (weights / weights.sum()))
