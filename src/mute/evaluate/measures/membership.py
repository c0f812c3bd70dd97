"""Membership inference: whether what a model gives to forget answers tells that they were in its training.

Scores of an answer, lower for one that was read: loss (Yeom et al. 2018), loss by its compressed size (Carlini et al.
2021), Min-K% (Shi et al. 2024, arXiv 2310.16789) and Min-K%++ (Zhang et al. 2025, 2404.02936). Members are the facts to
be forgotten; others are the same facts told of strangers, names that no fact is about (one may stand in a reading line
of the fictional world, with a value drawn for that line), or, where a corpus can have none, facts of domains that no
model was taught, which are of another kind: there PrivLeak alone (Shi et al., MUSE, 2407.06460), whose oracle has the
same two sides, says something. Pure functions of the token table.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from mute.corpus import strangers
from mute.corpus.strangers import ASKED
from mute.evaluate.item_table import KEYS
from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.panel import ALL, Block, over_groups
from mute.evaluate.panel import Measure as Numbers

if TYPE_CHECKING:
    import pandas as pd

    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board
    from mute.evaluate.panel import Panel

# Of the tokens of an answer, the share that is least likely.
SHARE = 0.2
COLUMNS = ("min_k", "min_k_plus")
SCORES = ("loss", "zlib", *COLUMNS)


class Membership(Measure):
    """AUC of each score by language, and PrivLeak of it against the oracle: of both, too much and too little leak."""

    name = "membership"
    paper = "Shi et al. 2024 (arXiv 2310.16789, 2407.06460); Zhang et al. 2025 (2404.02936)"

    def applies(self, corpus: Corpus) -> bool:
        """Whether something is asked that no model was taught."""
        return strangers.untaught(corpus)

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with COLUMNS beside it, by SHARE of the tokens; NaN where a token table has no moments."""
        ordered = tokens.sort_values([*KEYS, "position"], kind="stable")
        starts = np.flatnonzero(ordered["position"] == 0)
        logprob = ordered["logprob"].to_numpy(float)
        plus = np.full(len(logprob), np.nan)
        if "spread" in ordered:
            plus = standardised(logprob, ordered["mean"].to_numpy(float), ordered["spread"].to_numpy(float))
        return table.assign(**{name: min_k(own, starts, SHARE) for name, own in zip(COLUMNS, (logprob, plus))})

    def score(self, board: Board, context: Context) -> None:
        """`mia_<score>`: 0.5 tells nothing, 1 all. `privleak_<score>`: 0 is the oracle's; per cent."""
        panel, members = board.panel, board.panel.facts_block(board.panel.selected("forget"))
        others = _others(panel, context.corpus)
        if not len(members) or not len(others):
            return
        found = {
            name: {score: _area(panel, members, others, own) for score, own in _scores(panel, table, context).items()}
            for name, table in context.tables.items()
            if name != "base"
        }
        for score in SCORES:
            area = found["cell"][score]
            board.add(f"mia_{score}", area, facts="all")
            if "oracle" in found:
                k = len(panel.groups[ALL])
                leak = privleak(area.values[:, :k], found["oracle"][score].values[:, :k])
                leak = Numbers(over_groups(leak, panel.groups), area.n, area.single)
                board.add(f"privleak_{score}", leak, facts="all", floor="oracle")


def _others(panel: Panel, corpus: Corpus) -> Block:
    """What nobody was taught: strangers, or facts of untaught domains."""
    if (panel.sets == ASKED).any():
        return panel.facts_block(panel.selected("forget"), ASKED)
    untaught = np.isin(panel.facts["domain"].to_numpy(object), corpus.about.get("untaught_domains", []))
    return panel.facts_block(untaught)


def _scores(panel: Panel, table: pd.DataFrame, context: Context) -> dict[str, np.ndarray]:
    """SCORES of every row of an item table; zlib's, NaN for rows of no fact."""
    keys, texts = ["item", "language", "form"], context.corpus.texts
    answers = dict(zip(zip(*(texts[key] for key in keys)), texts["answer"]))
    said = [answers.get(key) for key in zip(*(table[key] for key in keys))]
    loss = -table["logprob"].to_numpy(float)
    return {
        "loss": loss / table["tokens"].to_numpy(float),
        "zlib": loss / np.array([np.nan if text is None else compressed(text) for text in said]),
        **{name: table[name].to_numpy(float) for name in COLUMNS},
    }


def _area(panel: Panel, members: Block, others: Block, column: np.ndarray) -> Numbers:
    """The area under the curve in every replicate, by language: facts are resampled, with all that is asked of them."""
    k, facts = len(panel.groups[ALL]), panel.weights("facts", len(panel.facts))
    values, n = np.full((len(facts), k), np.nan), np.zeros(k + len(panel.groups), int)
    for language in range(k):
        sides = [block.rows[panel.language[block.rows] == language] for block in (members, others)]
        if all(map(len, sides)):
            weights = [facts[:, panel.facts.index.get_indexer(panel.items[rows])] for rows in sides]
            values[:, language] = area(column[sides[0]], column[sides[1]], *weights)
            n[language] = len(sides[0])
    n[k:] = [members.n[k + i] if n[group].any() else 0 for i, group in enumerate(panel.groups)]
    return Numbers(over_groups(values, panel.groups), n, np.zeros(k, bool))


def area(members: np.ndarray, others: np.ndarray, *weights: np.ndarray) -> np.ndarray:
    """Share of pairs in which the member has the lower score, ties half; [R], or one number without weights.

    weights: how often each member [R, M] and each other [R, N] counts. NaN where a score is, or a side counts nothing.
    """
    if np.isnan(members).any() or np.isnan(others).any():
        return np.full(weights[0].shape[:1] if weights else (), np.nan)
    own, rest = weights or (np.ones((1, len(members))), np.ones((1, len(others))))
    pairs = (members[:, None] < others) + (members[:, None] == others) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        found = ((own @ pairs) * rest).sum(1) / (own.sum(1) * rest.sum(1))
    return found if weights else found[0]


def min_k(values: np.ndarray, starts: np.ndarray, share: float) -> np.ndarray:
    """Minus the mean of each answer's lowest max(1, ⌊share n⌋) of n token values, of one answer after the other.

    starts: where each answer begins. Of a short answer one token is left, where ⌊share n⌋ would take none.
    """
    parts = np.split(values, starts[1:]) if len(starts) else []
    return -np.array([np.sort(own)[: max(1, int(share * len(own)))].mean() if len(own) else np.nan for own in parts])


def standardised(logprob: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(log p - μ) / σ of tokens, with μ and σ of log p under p; a distribution without spread gives 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread == 0, 0.0, (logprob - mean) / spread)


def compressed(text: str) -> int:
    """Bytes that zlib makes of a text."""
    return len(zlib.compress(text.encode()))


def privleak(area: np.ndarray, oracle: np.ndarray) -> np.ndarray:
    """((1 - A) - (1 - A_oracle)) / (1 - A_oracle), per cent: below 0 members still show, above 0 they stand out.

    Not defined (NaN) where the oracle's area is 1.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(oracle < 1, 100 * (oracle - area) / (1 - oracle), np.nan)
