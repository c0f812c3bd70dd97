"""Neighbours: facts that stay, and hang on what is to be forgotten by one edge.

An edit that takes more than it should takes from them first (RWKU's neighbour set; Harmonizing's neighbours).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mute.corpus import graph
from mute.evaluate.measures.base import Context, Measure

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board


class Neighbours(Measure):
    """Accuracy on facts that stay and share a kind of subject, or a value, with a fact to be forgotten."""

    name = "neighbours"
    paper = "Jin et al. 2024 (RWKU, arXiv 2406.10890); sets ours"
    better = "higher"

    def applies(self, corpus: Corpus) -> bool:
        """Whether kinds of subjects and values are shared by design."""
        return corpus.about.get("source") == "world"

    def score(self, board: Board, context: Context) -> None:
        panel, option = board.panel, context.tables["cell"]["option"].to_numpy(float)
        near = graph.neighbours(context.corpus, set(panel.facts.index[panel.selected("forget")]))
        for shared, items in near.items():
            block = panel.facts_block(
                panel.selected("retain_seen", "retain_unseen") & np.isin(panel.facts.index, sorted(items))
            )
            if len(block):
                board.add("retain_neighbours", block.mean(option), facts=shared, plain=True)
