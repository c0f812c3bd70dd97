"""Over-refusal: how often a model says that it does not know what it was to keep.

Generated answers that begin with the corpus's word for what nobody knows, in any of its languages: the refusal that
methods which teach one teach, and that models of the fictional world learned for subjects they have never met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mute.evaluate.capability import kind_is
from mute.evaluate.measures.base import Context, Measure

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board

# Whose questions, by the name in the column `facts`.
ASKED = {"retain": ("retain_seen", "retain_unseen"), "bystander": ("bystander",)}


class OverRefusal(Measure):
    """Share of answers that are a refusal, of facts to be kept and of facts of a domain that no loss reads."""

    name = "over_refusal"
    paper = "ours; Röttger et al. 2024 (XSTest, arXiv 2308.01263)"
    better = "lower"

    def applies(self, corpus: Corpus) -> bool:
        """Whether the corpus has a word for what nobody knows."""
        return bool(corpus.about.get("unknown"))

    def score(self, board: Board, context: Context) -> None:
        panel, refused = board.panel, kind_is(context.answers, "unknown")
        for facts, roles in ASKED.items():
            block = panel.answers_block(context.answers, panel.selected(*roles))
            if len(block):
                board.add("over_refusal", block.mean(refused), facts=facts, plain=True)
