"""LiRA: whether what a model gives to forget answers is likelier of one that read them, or of one that never did.

The likelihood-ratio attack of Carlini et al. 2022 (arXiv 2112.03570), as in-context unlearning is judged by it
(Pawelczyk et al. 2024, 2310.07579): phi, the log-odds of the right answer, has a Gaussian over models that read the
fact and one over models that did not. Here these are the bases and the oracles of the study's other trainings of the
same model on the same world. A mean is of each fact in each language; a spread is of a language and side, over all its
facts, for of a few trainings no fact has a spread of its own. Languages are never pooled: their scales differ, and that
looks like membership. The ratio of the cell's phi is held against that of its own oracle's, on the same facts. Pure
functions of the token tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mute.evaluate.item_table import KEYS
from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.measures.membership import area
from mute.evaluate.panel import ALL, Block, over_groups
from mute.evaluate.panel import Measure as Numbers

if TYPE_CHECKING:
    from mute.evaluate.board import Board
    from mute.evaluate.panel import Panel

COLUMN = "log_odds"
# Of other trainings, each with its oracle: of two there is a spread. The paper has dozens of models.
LEAST = 2
# Share of what never was read that may be taken for read where it is asked how much of what was read is found.
FALSE = 0.05


class Lira(Measure):
    """Mean log-odds; and of studies that ask for it, AUC and true positives of the likelihood ratio, by language."""

    name = "lira"
    paper = "Carlini et al. 2022 (arXiv 2112.03570); Pawelczyk et al. 2024 (ICUL, 2310.07579)"

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with COLUMN beside it: phi; NaN without two options, or where a model gives no numbers."""
        first = tokens[tokens["position"] == 0].sort_values(KEYS, kind="stable")
        found = np.full(len(table), np.nan)
        for i, (listed, gold) in enumerate(zip(first["options"], first["gold"])):
            if listed is not None and np.ndim(listed) and len(listed) > 1 and gold >= 0:
                found[i] = log_odds(np.asarray(listed, float), int(gold))
        return table.assign(**{COLUMN: found})

    def score(self, board: Board, context: Context) -> None:
        """`log_odds`; `lira_auc`, 0.5 tells nothing and 1 all, and `lira_tpr`, where FALSE tells nothing."""
        panel, cell = board.panel, context.tables["cell"]
        block = panel.facts_block(panel.selected("forget"))
        if not len(block):
            return
        board.add(COLUMN, block.mean(cell[COLUMN].to_numpy(float)), facts="all")
        given = [_aligned(panel, [pair[side] for pair in context.trainings]) for side in (0, 1)]
        # Models of another world were asked about other facts.
        same = np.isfinite(np.array(given)[:, :, block.rows]).any(2).all(0)
        if "oracle" not in context.tables or same.sum() < LEAST:
            return
        given = [own[same] for own in given]
        asked = [context.tables[name][COLUMN].to_numpy(float) for name in ("cell", "oracle")]
        for metric, numbers in _told(panel, block, asked, given).items():
            board.add(metric, numbers, facts="all", floor="oracle")


def log_odds(options: np.ndarray, gold: int) -> float:
    """phi = log p_y - log Σ p_y' over the other options y', from log-probabilities, of whatever scale; NaN of none."""
    others = np.delete(options, gold)
    if np.isnan(options).any() or np.isneginf(others).all():
        return np.nan
    largest = others.max()
    return float(options[gold] - largest - np.log(np.exp(others - largest).sum()))


def ratio(phi: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """log N(phi; in) - log N(phi; out) of each fact [N], by trainings that read it and such that did not [T, N].

    The mean of a fact is its own; the sample variance of a side is the mean over its facts.
    """
    return _density(phi, inside) - _density(phi, outside)


def _density(phi: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Log-density but for its constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(given.var(0, ddof=1).mean())
        return -np.log(spread) - ((phi - given.mean(0)) / spread) ** 2 / 2


def found(members: np.ndarray, others: np.ndarray, own: np.ndarray, rest: np.ndarray, share: float) -> np.ndarray:
    """Share of members whose score is above all but a `share` of the others', [R]; own [R, M] and rest [R, N] count."""
    order = np.argsort(-others, kind="stable")
    passed = rest[:, order].cumsum(1) / rest.sum(1, keepdims=True)
    # The first that would be one too many; rounding must not make it of no weight.
    line = others[order][np.minimum((passed <= share + 1e-12).sum(1), len(others) - 1)]
    return (own * (members > line[:, None])).sum(1) / own.sum(1)


def _aligned(panel: Panel, tables: list[pd.DataFrame]) -> np.ndarray:
    """phi of other trainings in the rows of the panel's base, [T, rows]; NaN where a training was not asked."""
    rows = pd.MultiIndex.from_frame(panel.base[KEYS])
    found = [table.set_index(KEYS)[COLUMN].reindex(rows).to_numpy(float) for table in tables]
    return np.array(found).reshape(len(tables), len(rows))


def _told(panel: Panel, block: Block, asked: list[np.ndarray], given: list[np.ndarray]) -> dict[str, Numbers]:
    """Both scores by language, in every replicate: a fact is resampled on both sides at once."""
    k, facts = len(panel.groups[ALL]), panel.weights("facts", len(panel.facts))
    values = {name: np.full((len(facts), k), np.nan) for name in ("lira_auc", "lira_tpr")}
    n = np.zeros(k + len(panel.groups), int)
    known = np.all(np.isfinite([*asked, *given[0], *given[1]]), axis=0)
    for language in range(k):
        rows = block.rows[panel.language[block.rows] == language]
        rows = rows[np.isin(rows, np.flatnonzero(known))]
        if not len(rows):
            continue
        weights = facts[:, panel.facts.index.get_indexer(panel.items[rows])]
        cell, oracle = (ratio(phi[rows], given[0][:, rows], given[1][:, rows]) for phi in asked)
        if np.isfinite(cell).all() and np.isfinite(oracle).all():
            values["lira_auc"][:, language] = area(-cell, -oracle, weights, weights)
            with np.errstate(invalid="ignore", divide="ignore"):
                values["lira_tpr"][:, language] = found(cell, oracle, weights, weights, FALSE)
            n[language] = len(rows)
    # Facts that all trainings were asked, and not all facts of the block.
    n[k:] = [n[group].max(initial=0) for group in panel.groups]
    return {name: Numbers(over_groups(own, panel.groups), n, np.zeros(k, bool)) for name, own in values.items()}
