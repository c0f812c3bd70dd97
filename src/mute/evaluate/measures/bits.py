"""Bits per character on sentences that state no fact: how well a model reads a language, whatever its tokenizer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mute.evaluate.measures.base import Context, Measure

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board


class Bits(Measure):
    """-log2 P(sentences) over their characters: 0 is certain. `C_sentences` is a ratio of two of these."""

    name = "bits"
    paper = "Graves 2013 (arXiv 1308.0850)"
    better = "none"

    def applies(self, corpus: Corpus) -> bool:
        """Whether the corpus has such sentences."""
        return bool((corpus.lines["probe"] == "sentences").any())

    def score(self, board: Board, context: Context) -> None:
        """`bits_per_character` of the cell by language."""
        block = board.panel.lines_block("sentences")
        if len(block):
            cell = context.tables["cell"]
            bits = -cell["logprob"].to_numpy(float) / math.log(2)
            board.add("bits_per_character", block.ratio(bits, cell["chars"].to_numpy(float)))
