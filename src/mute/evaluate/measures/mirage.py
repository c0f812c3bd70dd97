"""Mirage: what is left of a fact where the question goes further than it, and what such questions cost elsewhere.

Forgetting (FS) is the mean accuracy on facts to be forgotten over paths of one to three hops: the fact, the sign of its
value, and that by the subject's second name. Retention (RS) is the mean of one hop and two hops beside the forgotten
facts and of the same relations elsewhere, in a domain that no loss reads. The whole is the harmonic mean of 1 - FS and
RS. Only what the base answers counts: hops that it answers in less than ANSWERED of the cases are left out of FS, and
where these are two hops there is no score. A residual is a fact whose question is answered wrong and its alias or
paraphrase right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mute.corpus.linked import PROBE
from mute.evaluate.measures.base import Context, Measure
from mute.evaluate.panel import Measure as Measured
from mute.evaluate.panel import mean_of, over_groups

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus
    from mute.evaluate.board import Board
    from mute.evaluate.panel import Block, Panel

ANSWERED = 0.5  # share of questions of two hops that a base must answer, that of Mirage
# Roles of facts by the part of RS that they are read for.
BESIDE, ELSEWHERE = "retain_unseen", "bystander"


class Mirage(Measure):
    """FS, RS and their harmonic mean, and the share of residuals, of corpora whose graph is asked along."""

    name = "mirage"
    paper = "Mirage 2025; paths and questions ours"

    def applies(self, corpus: Corpus) -> bool:
        """Whether the corpus has signs of values, or second names."""
        drawn = corpus.about.get("graph", {})
        return bool(drawn.get("signs") or drawn.get("aliases"))

    def score(self, board: Board, context: Context) -> None:
        panel = board.panel
        cell, base = (context.tables[name]["option"].to_numpy(float) for name in ("cell", "base"))
        forget = panel.selected("forget")
        hops = [panel.facts_block(forget), *(panel.facts_block(forget, PROBE + n) for n in ("two_hop", "three_hop"))]
        kept = panel.selected(BESIDE)
        stays = [panel.facts_block(kept), panel.facts_block(kept, PROBE + "two_hop")]
        stays.append(panel.facts_block(panel.selected(ELSEWHERE)))
        if all(map(len, (hops[1], *stays))):
            forgotten = mean_of([_answered(block, cell, base) for block in hops if len(block)], panel.groups)[0]
            retained = mean_of([block.mean(cell) for block in stays], panel.groups)[0]
            two = _answered(hops[1], cell, base)
            for name, values, better in (
                ("mirage_FS", forgotten.values, "lower"),
                ("mirage_RS", retained.values, "higher"),
                ("mirage", overall(forgotten.values, retained.values), "higher"),
            ):
                board.add(name, _where(two, values, panel), facts="all", better=better)
        alias = panel.facts_block(forget, PROBE + "alias")
        if len(alias):
            board.add("residual", alias.mean(residuals(panel, alias, cell, base)), facts="all", better="lower")


def overall(forgotten: np.ndarray, retained: np.ndarray) -> np.ndarray:
    """The harmonic mean of 1 - FS and RS, 0 where either is 0; any shape."""
    gone = 1 - forgotten
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((gone <= 0) | (retained <= 0), 0.0, 2 * gone * retained / (gone + retained))


def residual(plain: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Boolean per fact [N]: its question is answered wrong (plain [N]) and any other one right (others [N, M])."""
    return ~plain.astype(bool) & others.astype(bool).any(1)


def residuals(panel: Panel, alias: Block, cell: np.ndarray, base: np.ndarray) -> np.ndarray:
    """By row of the whole table whether a question under a second name is of a residual; NaN for all other rows.

    And where the base answers the fact or its alias wrong: what it never had cannot be left. Paraphrases are the fact
    in the other forms that were asked.
    """
    forms = panel.base["form"].to_numpy()
    asked: dict[tuple[str, int], list[int]] = {}
    for row in np.flatnonzero(panel.sets == "facts"):
        asked.setdefault((panel.items[row], panel.language[row]), []).append(row)
    found = np.full(len(cell), np.nan)
    for row in alias.rows:
        rows = asked.get((panel.items[row], panel.language[row]), [])
        plain = [own for own in rows if forms[own] == panel.headline_form]
        if plain and base[plain[0]] == 1 and base[row] == 1:
            others = [row, *(own for own in rows if own != plain[0])]
            found[row] = float(residual(cell[plain], cell[others][None])[0])
    return found


def _answered(block: Block, cell: np.ndarray, base: np.ndarray) -> Measured:
    """Accuracy on a block, without the languages in which the base does not answer it."""
    own, known = block.mean(cell), block.mean(base).values[0]
    return replace(own, values=np.where(known >= ANSWERED, own.values, np.nan))


def _where(answered: Measured, values: np.ndarray, panel: Panel) -> Measured:
    """Values by language where two hops are answered, with the means over these."""
    k = len(panel.languages)
    own = np.where(np.isfinite(answered.values[:, :k]), values[:, :k], np.nan)
    return replace(answered, values=over_groups(own, panel.groups), single=np.zeros(k, bool))
