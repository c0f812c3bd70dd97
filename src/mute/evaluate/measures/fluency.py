"""Fluency: how many different n-grams generated answers have, of corpora whose answers are whole sentences.

A model that a wrong edit has broken says the same word again and again. Entropy is not quality: words in random order
have more of it than sentences, so that it is read beside the base's from both sides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mute.evaluate import rouge
from mute.evaluate.measures.base import Context, Measure

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board

# How much the entropy of n-grams counts, by n.
WEIGHTS = {2: 2 / 3, 3: 4 / 3}
# Whose answers, by the name in the column `facts`.
ASKED = {"forget": ("forget",), "retain": ("retain_seen", "retain_unseen")}


class Fluency(Measure):
    """Mean over answers of the weighted entropy of their 2- and 3-grams, in bits."""

    name = "fluency"
    paper = "Meng et al. 2022 (ROME, arXiv 2202.05262); Jin et al. 2024 (RWKU, 2406.10890)"

    def applies(self, corpus: Corpus) -> bool:
        """Whether answers are said to their end: of an answer that is one word there is no n-gram."""
        return bool(corpus.about.get("whole_answers"))

    def score(self, board: Board, context: Context) -> None:
        """Words are those of ROUGE here: letters, where a script puts no spaces between words."""
        panel, said = board.panel, context.answers["text"].fillna("")
        found = np.array([entropy(rouge.words(text)) for text in said])
        for facts, roles in ASKED.items():
            block = panel.answers_block(context.answers, panel.selected(*roles))
            if len(block):
                board.add("fluency", block.mean(found), facts=facts)


def entropy(words: Sequence[str]) -> float:
    """Mean over n of WEIGHTS of the entropy, in bits, of the n-grams of a text; 0 where it has fewer than two."""
    return sum(weight * _entropy(words, n) for n, weight in WEIGHTS.items()) / len(WEIGHTS)


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(zip(*(words[i:] for i in range(n))))
    shares = [count / counts.total() for count in counts.values()]
    return -sum(share * math.log2(share) for share in shares)
