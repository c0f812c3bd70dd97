"""C, the capability that an edit keeps: five parts relative to the base, and their mean, in each language.

Each part is 1 where nothing was lost and 0 where nothing more than chance is left (sentences: as bits per character
grow without end); a gain is above 1, and worse than chance below 0: nothing is clipped. A part with no rows, or one
at which the base itself is not MARGIN above chance, is absent, and C is the mean of the parts that are there.
"""

import numpy as np
import pandas as pd

from mute.evaluate.board import Board
from mute.evaluate.panel import Block, Measure, Panel, mean_of, over_groups, relative
from mute.names import unknown_name

KINDS = ("right", "other_value", "other_language", "other_both", "unknown", "neither")
# Answers in the language asked, right or not.
FAITHFUL = ("right", "other_value", "unknown")
KEPT_ROLES = ("retain_unseen", "bystander")
# The log-probability, in nats, of a text that a diverged model gives none: far below any real one, yet finite.
DIVERGED = -1e6

Columns = dict[str, np.ndarray]


def score_capability(
    board: Board, cell: Columns, base: Columns, answers: pd.DataFrame | None, base_answers: pd.DataFrame | None
) -> Measure | None:
    """Add C, its parts and their number (C_parts) to the board; returns C, or None if no part has any row.

    `cell` and `base`: columns of their item tables. Fidelity needs both answer tables.
    """
    panel = board.panel
    groups = panel.groups
    parts = {
        "C_sentences": _sentences(panel, cell, base),
        "C_reading": _kept(panel, panel.lines_block("reading"), cell, base),
        "C_facts": _kept(panel, panel.facts_block(panel.selected(*KEPT_ROLES)), cell, base),
        "C_fidelity": _fidelity(panel, answers, base_answers),
    }
    pairs = {
        f"C_{name}": _kept(panel, panel.lines_block(name), cell, base)
        for name in ("translation_seen", "translation_unseen")
    }
    seen_and_unseen = [part for part in pairs.values() if part is not None]
    parts["C_translation"] = mean_of(seen_and_unseen, groups)[0] if seen_and_unseen else None
    for name, part in {**parts, **pairs}.items():
        if part is not None:
            board.add(name, part, better="higher")
    present = [part for part in parts.values() if part is not None]
    if not present:
        return None
    whole, count = mean_of(present, groups)
    number = np.tile(count.astype(float), (1 + panel.draws, 1))
    board.add("C", whole, better="higher")
    board.add("C_parts", Measure(over_groups(number, groups), whole.n, whole.single))
    return whole


def _sentences(panel: Panel, cell: Columns, base: Columns) -> Measure | None:
    """Bits per character of the base over those of the cell, on sentences that state no fact: below 1 is worse."""
    block = panel.lines_block("sentences")
    if not len(block):
        return None
    # The characters are the same on both sides and cancel.
    before, after = (
        np.nan_to_num(side["logprob"], nan=DIVERGED, neginf=DIVERGED, posinf=DIVERGED) for side in (base, cell)
    )
    return block.ratio(before, after)


def _kept(panel: Panel, block: Block, cell: Columns, base: Columns) -> Measure | None:
    """Option accuracy above chance, relative to the base's; chance is the mean of 1 / number of options."""
    if not len(block):
        return None
    chance = block.mean(base["chance"])
    return relative(block.mean(cell["option"]), block.mean(base["option"]), chance, panel.groups)


def _fidelity(panel: Panel, answers: pd.DataFrame | None, base_answers: pd.DataFrame | None) -> Measure | None:
    """Share of answers in the language asked, relative to the base's, on facts to be kept; chance counts as 0."""
    if answers is None or base_answers is None:
        return None
    selected = panel.selected(*KEPT_ROLES)
    shares = []
    for table in (answers, base_answers):
        block = panel.answers_block(table, selected)
        if not len(block):
            return None
        shares.append(block.mean(kind_is(table, *FAITHFUL)))
    if (shares[0].n != shares[1].n).any():
        raise ValueError("the answer tables of cell and base have different rows: evaluate both alike")
    return relative(*shares, 0.0, panel.groups)


def kind_is(answers: pd.DataFrame, *kinds: str) -> np.ndarray:
    """1.0 where an answer is of one of these kinds, else 0.0. Raises ValueError if the table has an unknown kind."""
    for kind in answers["kind"].unique():
        if kind not in KINDS:
            raise ValueError(unknown_name("kind of answer", kind, KINDS))
    return np.isin(answers["kind"].to_numpy(object), kinds).astype(float)
