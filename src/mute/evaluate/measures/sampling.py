"""Leak by sampling: how likely it is that one of k sampled answers is the right one.

A model that no longer gives an answer greedily may still give it now and then. With p the probability of the whole
answer, samples are independent draws, so that the chance is known exactly and nothing is sampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mute.evaluate.measures.base import Context, Measure

if TYPE_CHECKING:
    from mute.evaluate.board import Board

SAMPLES = (1, 8, 64)


class Sampling(Measure):
    """leak@k at temperature 1 of facts to be forgotten, in the headline form."""

    name = "sampling"
    paper = "ours, after pass@k (Chen et al. 2021, arXiv 2107.03374)"
    better = "lower"

    def score(self, board: Board, context: Context) -> None:
        block = board.panel.facts_block(board.panel.selected("forget"))
        if len(block):
            logprob = context.tables["cell"]["logprob"].to_numpy(float)
            for k in SAMPLES:
                board.add(f"leak_at_{k}", block.mean(leaked(logprob, k)), facts="all")


def leaked(logprob: np.ndarray, k: int) -> np.ndarray:
    """1 - (1 - p)^k, 0 to 1, of answers with log-probability log p (nats, at most 0); NaN where that is NaN."""
    with np.errstate(divide="ignore"):
        # log(1 - p), without losing a small p beside 1.
        missed = np.log1p(-np.exp(np.minimum(logprob, 0.0)))
    return -np.expm1(k * missed)
