"""Truth ratio and forget quality of any source whose questions have options, which stand for TOFU's wrong answers.

Maini et al., TOFU, arXiv 2401.06121: the ratio in its geometric and its arithmetic form, and the Kolmogorov-Smirnov
test of the geometric one against the oracle, each language against itself, for the scale hangs on how a language is cut
into tokens. Sources that ask for all of TOFU's measures have these as `tofu_...`.
"""

import numpy as np
import pandas as pd

from mute.corpus.schema import Corpus
from mute.evaluate.board import Board
from mute.evaluate.measures import base, tofu


class TruthRatio(base.Measure):
    """How likely wrong options are beside the right one, and whether an oracle's are told from it."""

    name = "truth_ratio"
    paper = "Maini et al. 2024, arXiv 2401.06121"

    def applies(self, corpus: Corpus) -> bool:
        return not tofu.TOFU().applies(corpus)

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with TOFU's columns beside it."""
        return tofu.TOFU().columns(table, tokens)

    def score(self, board: Board, context: base.Context) -> None:
        """Of facts to be forgotten, in the headline form: both ratios as TOFU counts them, and forget quality."""
        panel, cell = board.panel, context.tables["cell"]
        block = panel.facts_block(panel.selected("forget"))
        ratios = {name: cell[name].to_numpy(float) for name in ("truth_ratio", "truth_ratio_arithmetic")}
        if np.isnan(context.tables["base"]["truth_ratio"].to_numpy(float)[block.rows]).all():
            return  # No question has options.
        for name, ratio in ratios.items():
            board.add(name, block.mean(tofu.forgotten(ratio)), facts="forget", better="higher")
        if "oracle" in context.tables:
            oracle = context.tables["oracle"]["truth_ratio"].to_numpy(float)
            tofu.add_quality(board, block, ratios["truth_ratio"], oracle, "")
