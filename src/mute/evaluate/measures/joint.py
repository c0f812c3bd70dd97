"""Facts that a model knows in all languages together, and in any of them.

A mean over languages does not say whether it is the same facts that are known in each. Who may choose the language
finds what is known in at least one; what is known in every one was untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.panel import ALL, GROUPS

if TYPE_CHECKING:
    from mute.evaluate.board import Board
    from mute.evaluate.panel import Block, Panel


class Joint(Measure):
    """Share of facts whose right option is the likeliest in any, and in every, language of a group."""

    name = "joint"
    paper = "ours"

    def score(self, board: Board, context: Context) -> None:
        """Of the groups source, heldout and all: `known_anywhere`, `known_everywhere`; kept facts' beside them."""
        panel, option = board.panel, context.tables["cell"]["option"].to_numpy(float)
        for role, before, facts in (("forget", "", "all"), ("retain_unseen", "retain_", "")):
            block = panel.facts_block(panel.selected(role))
            if not len(block):
                continue
            known = by_fact(panel, block, option)
            for place, group in enumerate(GROUPS[: ALL + 1]):
                own = known[:, block.groups[place]]
                asked = ~np.isnan(own).any(1) if own.shape[1] else np.zeros(len(own), bool)
                weights = panel.weights("facts", len(panel.facts))[:, asked]
                for name, hits in (("anywhere", own[asked].any(1)), ("everywhere", own[asked].all(1))):
                    with np.errstate(invalid="ignore", divide="ignore"):
                        values = weights @ hits.astype(float) / weights.sum(1)
                    board.add_group(f"{before}known_{name}", group, values, int(asked.sum()), facts=facts)


def by_fact(panel: Panel, block: Block, column: np.ndarray) -> np.ndarray:
    """A column of the whole table as [facts, languages], least over forms; NaN where a fact is not asked."""
    found = np.full((len(panel.facts), len(panel.languages)), np.nan)
    clusters = panel.facts.index.get_indexer(panel.items[block.rows])
    np.fmin.at(found, (clusters, panel.language[block.rows]), column[block.rows])
    return found
