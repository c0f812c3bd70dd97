"""From token and answer tables to the scores of a cell: knowledge K, leak, capability C, reversibility B.

Every score is a pure function of tables, so a new one runs no model. An *item table* (`items`) has one row per
(set, item, language, form); those of a cell (an edited model), of the base and of the oracle (the base's training
without the forget set) have the same rows. Facts are scored at the headline form. Names of metrics are contracts.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mute.evaluate import divergence
from mute.evaluate.board import Board, summary
from mute.evaluate.capability import KINDS, Columns, kind_is, score_capability
from mute.evaluate.panel import GROUPS, Block, Measure, Panel, relative

TEACH = ("all", "taught", "transfer")
SPELLING = ("shared", "native")
NUMBERS = ("strict", "option", "logprob", "chance")
SOURCE, HELDOUT, ALL = -3, -2, -1  # where a Measure keeps its groups


def score_cell(
    board: Board,
    cell: pd.DataFrame,
    oracle: pd.DataFrame | None,
    *,
    answers: pd.DataFrame | None = None,
    base_answers: pd.DataFrame | None = None,
    texts: pd.DataFrame | None = None,
    further: Sequence[Callable[[Board], None]] = (),
) -> pd.DataFrame:
    """Every score of one cell with its band, by language and as unweighted means over source, held-out and all ones.

    board: an empty one, of the base's item table. cell, oracle: item tables; without an oracle the floor of K is
    chance. answers, base_answers: answer tables of cell and base. texts: the corpus's table. Without texts there is no
    `majority`, without answers no `answers_*`, without both answer tables no `C_fidelity`. further: measures of other
    modules, each of which adds its scores to the board.

    Facts of role retain_unseen that are for validation are in no score. Of a cell whose answers are no numbers every
    score is undefined (see `divergence`).

    Raises ValueError if the tables have different rows, and for kinds it does not know.
    """
    tables = _columns(board.panel, cell=cell, base=board.panel.base, oracle=oracle)
    _score_forget(board, tables, answers, texts)
    _score_retain(board, tables["cell"])
    _score_lines(board, tables)
    whole = score_capability(board, tables["cell"], tables["base"], answers, base_answers)
    if whole is not None:
        _add_gap(board, "excess_damage", whole, SOURCE, HELDOUT)
    for add in further:
        add(board)
    found = summary(*board.replicates())
    return found if divergence.gives_numbers(tables["cell"]["logprob"]) else divergence.blanked(found)


def score_bypass(
    panel: Panel, bypassed: pd.DataFrame, oracle_bypassed: pd.DataFrame | None, oracle: pd.DataFrame | None
) -> pd.DataFrame:
    """B, reversibility: K of the cell after its edit is bypassed; B_oracle: K of the oracle treated alike.

    All are item tables; the panel's base and `oracle` are untreated. Rows, bands and errors as in `score_cell`.
    Undefined where the treated model's answers are no numbers: treatment may break what the edit left whole.
    """
    board = Board(panel)
    tables = _columns(panel, base=panel.base, oracle=oracle, B=bypassed, B_oracle=oracle_bypassed)
    block = panel.facts_block(panel.selected("forget"))
    for name in ("B", "B_oracle"):
        if name in tables:
            score, floor = _knowledge(panel, block, tables[name], tables)
            if not divergence.gives_numbers(tables[name]["logprob"]):
                score = replace(score, values=np.full_like(score.values, np.nan))
            board.add(name, score, facts="all", floor=floor)
    return summary(*board.replicates())


def _columns(panel: Panel, **tables: pd.DataFrame | None) -> dict[str, Columns]:
    """The number columns of the tables that are there, once their rows are those of the panel."""
    found = {}
    for name, table in tables.items():
        if table is not None:
            panel.check(table, name)
            found[name] = {column: table[column].to_numpy(float) for column in NUMBERS}
    return found


def _knowledge(panel: Panel, block: Block, cell: Columns, tables: dict[str, Columns]) -> tuple[Measure, str]:
    """K = (A - A_floor) / (A_base - A_floor) of option accuracy A, and which floor: 1 untouched, 0 never knew."""
    if "oracle" in tables:
        floor, name = block.mean(tables["oracle"]["option"]), "oracle"
    else:
        floor, name = block.mean(tables["base"]["chance"]), "chance"
    return relative(block.mean(cell["option"]), block.mean(tables["base"]["option"]), floor, panel.groups), name


def _score_forget(
    board: Board, tables: dict[str, Columns], answers: pd.DataFrame | None, texts: pd.DataFrame | None
) -> None:
    """Scores of the facts to be forgotten: all of them, by teaching, and (K and leak alone) by spelling."""
    panel, cell, base = board.panel, tables["cell"], tables["base"]
    constant = None if texts is None else _majority(panel, texts)
    kinds = {} if answers is None else {kind: kind_is(answers, kind) for kind in KINDS}
    for which in (*TEACH, *SPELLING):
        selected = panel.selected("forget", kind=which)
        block = panel.facts_block(selected)
        if not len(block):
            continue
        knowledge, floor = _knowledge(panel, block, cell, tables)
        board.add("K", knowledge, facts=which, floor=floor)
        _add_gap(board, "leak", knowledge, HELDOUT, SOURCE, facts=which, floor=floor)
        if which in SPELLING:
            continue
        strict = block.mean(cell["strict"])
        board.add("accuracy_option", block.mean(cell["option"]), facts=which, plain=True)
        board.add("accuracy_strict", strict, facts=which, plain=True)
        erased = block.mean(base["strict"]).values - strict.values
        for name, where in (("source", SOURCE), ("heldout", HELDOUT)):
            board.add_group(f"UE_{name}", name, erased[:, where], int(strict.n[where]), facts=which)
        board.add("chance", block.mean(base["chance"]), facts=which)
        if constant is not None:
            board.add("majority", block.mean(constant), facts=which, plain=True)
        if answers is not None:
            said = panel.answers_block(answers, selected)
            for kind, column in kinds.items():
                board.add(f"answers_{kind}", said.mean(column), facts=which, plain=True)


def _score_retain(board: Board, cell: Columns) -> None:
    """Strict and option accuracy of facts to be kept, and MI, the paper's mean over all languages."""
    panel = board.panel
    for role in ("retain_seen", "retain_unseen", "bystander"):
        block = panel.facts_block(panel.selected(role))
        strict = block.mean(cell["strict"])
        board.add(f"{role}_strict", strict, plain=True)
        if role == "retain_unseen":
            board.add("retain_strict", strict, plain=True)
            board.add("retain_option", block.mean(cell["option"]), plain=True)
    kept = panel.facts_block(panel.selected("retain_seen", "retain_unseen")).mean(cell["strict"])
    board.add_group("MI", GROUPS[ALL], kept.values[:, ALL], int(kept.n[ALL]))


def _score_lines(board: Board, tables: dict[str, Columns]) -> None:
    """Reading about facts to be forgotten, of cell, base and oracle; and 'unknown' for unknown subjects."""
    panel = board.panel
    reading = panel.facts_block(panel.selected("forget"), "reading_forget")
    for name, columns in tables.items():
        suffix = "" if name == "cell" else f"_{name}"
        board.add(f"reading_forget{suffix}", reading.mean(columns["option"]), plain=True)
    board.add("unknown", panel.lines_block("unknown").mean(tables["cell"]["option"]), plain=True)


def _majority(panel: Panel, texts: pd.DataFrame) -> np.ndarray:
    """By row of the base's table: 1.0 where a fact's answer is the most frequent of its relation, in its language.

    Frequent among the facts to be forgotten, so that this is the best that an answer by relation alone can do. NaN
    for facts that are not among them. Of equally frequent answers the first in sorting order counts.
    """
    forget = panel.facts.index[panel.selected("forget")]
    known = texts.loc[
        (texts["form"] == panel.headline_form) & texts["item"].isin(forget), ["item", "language", "answer"]
    ]
    known = known.assign(relation=panel.facts["relation"].reindex(known["item"]).to_numpy())
    count = known.groupby(["language", "relation", "answer"]).size().rename("count").reset_index()
    # Groups are sorted and so is a stable sort within them: the first of the largest stays.
    best = count.sort_values("count", ascending=False, kind="stable").drop_duplicates(["language", "relation"])
    hits = known.merge(best[["language", "relation", "answer"]].assign(hit=1.0), how="left").fillna({"hit": 0.0})
    by_item = hits.set_index(["item", "language"])["hit"]
    column = by_item.reindex(pd.MultiIndex.from_arrays([panel.items, panel.base["language"]])).to_numpy(float)
    return np.where(panel.sets == "facts", column, np.nan)


def _add_gap(
    board: Board, metric: str, measure: Measure, more: int, less: int, *, facts: str = "", floor: str = ""
) -> None:
    """The difference of two groups' means, where both groups have something to measure."""
    if measure.n[more] and measure.n[less]:
        values = measure.values[:, more] - measure.values[:, less]
        board.add_group(metric, GROUPS[ALL], values, int(measure.n[ALL]), facts=facts, floor=floor)
