"""The disruption budget: how far an edit moves the model on text that it was to leave alone, in nats per token.

KL(base ‖ cell) of the next token's distribution, mean over the tokens of a few lines in each language: texts of facts
to be kept, prompt and answer, and sentences that state no fact. Edits can be compared at equal budget.
"""

import numpy as np
import pandas as pd

from mute.evaluate.board import Board
from mute.evaluate.item_table import KEYS
from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.panel import ALL, Block, over_groups
from mute.evaluate.panel import Measure as Numbers

# Sets of questions whose tokens are compared: whole texts of facts to be kept, and sentences.
RETAIN, SENTENCES = SETS = ("retain_text", "sentences")


class Disruption(Measure):
    """KL to the base on texts of facts to be kept, and on sentences."""

    name = "disruption"
    paper = "ours"
    better = "lower"

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """With `kl`: its sum over the tokens of a line, NaN where a token table has none."""
        if "kl" not in tokens or not len(tokens):
            return table.assign(kl=np.nan)
        ordered = tokens.sort_values([*KEYS, "position"], kind="stable")
        starts = np.flatnonzero(ordered["position"] == 0)
        return table.assign(kl=np.add.reduceat(ordered["kl"].to_numpy(float), starts))

    def score(self, board: Board, context: Context) -> None:
        panel, cell = board.panel, context.tables["cell"]
        everything = np.ones(len(panel.facts), bool)
        blocks = {"KL_retain": panel.facts_block(everything, RETAIN), "KL_sentences": panel.lines_block(SENTENCES)}
        kl, tokens = cell["kl"].to_numpy(float), cell["tokens"].to_numpy(float)
        for metric, block in blocks.items():
            if len(block):
                board.add(metric, per_token(block, kl, tokens))


def per_token(block: Block, kl: np.ndarray, tokens: np.ndarray) -> Numbers:
    """Sum of KL over the number of tokens, of the lines that were compared; columns of the whole table."""
    total, length = block.mean(kl), block.mean(np.where(np.isnan(kl), np.nan, tokens))
    k = len(block.groups[ALL])
    with np.errstate(invalid="ignore", divide="ignore"):
        values = total.values[:, :k] / length.values[:, :k]
    return Numbers(over_groups(values, block.groups), total.n, np.zeros(k, bool))
