"""Option scores that do not hang on how long an option is, and how much of the options' probability the gold one has.

An option's summed log-probability falls with its length, so that short ones are chosen too often. Here each is divided
by its tokens, or by its characters, before the likeliest is taken. Pure functions of the token table.
"""

from itertools import chain

import numpy as np
import pandas as pd

from mute.evaluate.board import Board
from mute.evaluate.item_table import KEYS
from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.panel import Better, relative

# Column of the item table, and the column of the token table that an option's score is divided by.
LENGTHS = {"option_per_token": "option_tokens", "option_per_char": "option_chars"}
COLUMNS = (*LENGTHS, "option_share")


class Normalised(Measure):
    """Option accuracy by token and by character, and the gold option's share of the options' probability."""

    name = "normalised"
    paper = "Gao et al. 2021 (lm-evaluation-harness)"

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with COLUMNS beside it, NaN where a question has no options.

        option_per_token, option_per_char: the gold option's log-probability per token or character is above that of
        every other (1.0 or 0.0; a tie or NaN is no hit). option_share: the gold one's share of the options'
        probability.
        """
        first = tokens[tokens["position"] == 0].sort_values(KEYS, kind="stable")
        made = {name: np.full(len(first), np.nan) for name in COLUMNS}
        counts = np.array([0 if o is None or np.ndim(o) == 0 else len(o) for o in first["options"]], np.int64)
        asked = np.flatnonzero((counts > 0) & (first["gold"].to_numpy() >= 0))
        if len(asked):
            own, sizes = first.iloc[asked], counts[asked]
            starts = np.cumsum(sizes) - sizes
            gold, logprob = starts + own["gold"].to_numpy(), _flat(own["options"])
            for name, lengths in LENGTHS.items():
                score = logprob / _flat(own[lengths])
                others = score.copy()
                others[gold] = -np.inf
                made[name][asked] = score[gold] > np.maximum.reduceat(others, starts)
            with np.errstate(invalid="ignore"):
                # Where no option has any probability, no share of it is the gold one's.
                weight = np.exp(logprob - np.repeat(np.maximum.reduceat(logprob, starts), sizes))
                made["option_share"][asked] = weight[gold] / np.add.reduceat(weight, starts)
        return table.assign(**made)

    def score(self, board: Board, context: Context) -> None:
        """Scores of the facts to be forgotten, and K from them; kept facts' beside them."""
        panel, about = board.panel, context.corpus.about
        form = about.get("options_form", about["headline_form"])
        columns = {
            name: {key: table[key].to_numpy(float) for key in (*COLUMNS, "chance")}
            for name, table in context.tables.items()
        }
        cell, base, oracle = columns["cell"], columns["base"], columns.get("oracle")
        roles: tuple[tuple[str, str, str, Better], ...] = (
            ("forget", "accuracy", "all", "lower"),
            ("retain_unseen", "retain", "", "higher"),
        )
        for role, prefix, facts, better in roles:
            block = panel.facts_block(panel.selected(role), form=form)
            if not len(block):
                continue
            for name in LENGTHS:
                how = name.removeprefix("option_")
                accuracy = block.mean(cell[name])
                board.add(f"{prefix}_{how}", accuracy, facts=facts, plain=True, better=better)
                if role == "forget":
                    floor = block.mean(base["chance"] if oracle is None else oracle[name])
                    knowledge = relative(accuracy, block.mean(base[name]), floor, panel.groups)
                    what = "chance" if oracle is None else "oracle"
                    board.add(f"K_{how}", knowledge, facts=facts, floor=what, better=better)
            board.add(f"{prefix}_share", block.mean(cell["option_share"]), facts=facts, better=better)


def _flat(lists: pd.Series) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), float)
