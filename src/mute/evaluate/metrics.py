"""From token and answer tables to the scores of a cell: knowledge K, leak, capability C, recovery R.

Every score is a pure function of tables, so a new one runs no model. An *item table* (`items`) has one row per
(set, item, language, form); those of a cell (an edited model), of the base and of the oracle (the base's training
without the forget set) have the same rows. Facts are scored at the headline form. Names of metrics are contracts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mute.corpus import romanised
from mute.evaluate import divergence
from mute.evaluate.board import Board, summary
from mute.evaluate.capability import KINDS, Columns, kind_is, score_capability
from mute.evaluate.panel import ALL, GROUPS, HELDOUT, SOURCE, Block, Measure, Panel, over_groups, relative

TEACH = ("all", "taught", "transfer")
SPELLING = ("shared", "native", "untold")
NUMBERS = ("strict", "option", "logprob", "chance")
# Kinds of answers in another language than asked: they imitate forgetting.
ELSEWHERE = ("other_language", "other_both")


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
    """Every score of one cell with its band, by language as unweighted means over groups, and of the worst one.

    board: an empty one, of the base's item table. cell, oracle: item tables; without an oracle the floor of K is what
    one guesses who does not know the subject, where the base was asked so, or chance. answers, base_answers: answer
    tables of cell and base. texts: the corpus's table. Without texts there is no `majority`, without answers no
    `answers_*` and no `confusion`, without both answer tables no `C_fidelity`; nor is there
    `confusion` where answers are the same in all languages. further: measures of other modules, each of which adds its
    scores to the board.

    Facts of role retain_unseen that are for validation are in no score. Of a cell whose answers are no numbers every
    score is undefined (see `divergence`).

    Raises ValueError if the tables have different rows, and for kinds it does not know.
    """
    tables = _columns(board.panel, cell=cell, base=board.panel.base, oracle=oracle)
    _score_forget(board, tables, answers, base_answers, texts)
    if "guess" in tables["base"]:
        # Of which languages there are enough, `Panel` judges by it.
        panel = board.panel
        every = panel.facts_block(np.ones(len(panel.facts), bool)).mean(np.ones(len(panel.base)))
        board.add("facts_asked", replace(every, values=np.broadcast_to(every.n.astype(float), every.values.shape)))
    _score_scripts(board, tables)
    _score_retain(board, tables["cell"])
    _score_lines(board, tables)
    whole = score_capability(board, tables["cell"], tables["base"], answers, base_answers)
    if whole is not None:
        board.add_gap("excess_damage", whole, more=SOURCE)
    for add in further:
        add(board)
    found = summary(*board.replicates())
    return found if divergence.gives_numbers(tables["cell"]["logprob"]) else divergence.blanked(found)


def score_attack(
    panel: Panel,
    attacked: Mapping[str, pd.DataFrame],
    oracle: pd.DataFrame | None,
    metric: str,
    cell: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """K after an attack, of each victim that is there: `metric` of the cell, with `_base` and `_oracle` the others'.

    And `recovery`, that of the cell less that of the oracle, fact by fact: what comes back and was not learnt anew.
    With the `cell` before the attack `regained` too, the share of what was forgotten that the attack brings back, less
    the share that it brings the oracle: (R - K)/(1 - K) - R_oracle; undefined where next to nothing was forgotten.
    attacked: item tables by victim, `cell`, `base`, `oracle`; the panel's base, `oracle` and `cell` are untreated.
    Rows, bands and errors as in `score_cell`. Undefined where a victim's answers are no numbers: an attack may break
    what the edit left whole.
    """
    board = Board(panel)
    tables = _columns(panel, base=panel.base, oracle=oracle)
    own = _columns(panel, cell=cell)
    block, scores, floor = panel.facts_block(panel.selected("forget")), {}, ""
    for victim, columns in _columns(panel, **attacked).items():
        score, floor = _knowledge(panel, block, columns, tables)
        if not divergence.gives_numbers(columns["logprob"]):
            score = replace(score, values=np.full_like(score.values, np.nan))
        scores[victim] = score
        name, better = (metric, "lower") if victim == "cell" else (f"{metric}_{victim}", "none")
        board.add(name, score, facts="all", floor=floor, better=better)
    if {"cell", "oracle"} <= scores.keys():
        k = len(panel.languages)
        back = over_groups(scores["cell"].values[:, :k] - scores["oracle"].values[:, :k], panel.groups)
        recovery = replace(scores["cell"], values=back)
        board.add("recovery", recovery, facts="all", floor=floor, better="lower")
        if "cell" in own:
            before, _ = _knowledge(panel, block, own["cell"], tables)
            whole = replace(before, values=np.ones_like(before.values))
            share = relative(scores["cell"], whole, before, panel.groups).values[:, :k]
            regained = replace(recovery, values=over_groups(share - scores["oracle"].values[:, :k], panel.groups))
            board.add("regained", regained, facts="all", floor=floor, better="lower")
    return summary(*board.replicates())


def _columns(panel: Panel, **tables: pd.DataFrame | None) -> dict[str, Columns]:
    """The number columns of the tables that are there, once their rows are those of the panel."""
    found = {}
    for name, table in tables.items():
        if table is not None:
            panel.check(table, name)
            more = ["guess"] if "guess" in table else []
            found[name] = {column: table[column].to_numpy(float) for column in (*NUMBERS, *more)}
    return found


def _knowledge(panel: Panel, block: Block, cell: Columns, tables: dict[str, Columns]) -> tuple[Measure, str]:
    """K = (A - A_floor) / (A_base - A_floor) of option accuracy A, and which floor: 1 untouched, 0 never knew.

    Without an oracle, what an attack gives away is no knowledge: where its questions have a `guess` of their own that
    is higher, that is the floor.
    """
    base = tables["base"]
    if "oracle" in tables:
        known, name = tables["oracle"]["option"], "oracle"
    else:
        name = "guess" if "guess" in base else "chance"
        known = np.maximum(base[name], cell.get("guess", 0.0))
    return relative(block.mean(cell["option"]), block.mean(base["option"]), block.mean(known), panel.groups), name


def _score_forget(
    board: Board,
    tables: dict[str, Columns],
    answers: pd.DataFrame | None,
    base_answers: pd.DataFrame | None,
    texts: pd.DataFrame | None,
) -> None:
    """Scores of the facts to be forgotten: all of them, by teaching, and (K and leak alone) by spelling."""
    panel, cell, base = board.panel, tables["cell"], tables["base"]
    constant = None if texts is None else _majority(panel, texts)
    kinds = {} if answers is None else {kind: kind_is(answers, kind) for kind in KINDS}
    # Letters and numbers are of no language: none of them can be in another one than asked.
    of_languages = texts is None or _differ_between_languages(panel, texts)
    for which in (*TEACH, *SPELLING):
        selected = panel.selected("forget", kind=which)
        block = panel.facts_block(selected)
        if not len(block):
            continue
        knowledge, floor = _knowledge(panel, block, cell, tables)
        board.add("K", knowledge, facts=which, floor=floor, better="lower")
        board.add_gap("leak", knowledge, more=HELDOUT, facts=which, floor=floor)
        if which in SPELLING:
            continue
        strict = block.mean(cell["strict"])
        board.add("accuracy_option", block.mean(cell["option"]), facts=which, plain=True, better="lower")
        board.add("accuracy_strict", strict, facts=which, plain=True, better="lower")
        erased = block.mean(base["strict"]).values - strict.values
        for name, where in (("source", SOURCE), ("heldout", HELDOUT)):
            board.add_group(f"UE_{name}", name, erased[:, where], int(strict.n[where]), facts=which)
        board.add("chance", block.mean(base["chance"]), facts=which)
        if "guess" in base:
            board.add("guess", block.mean(base["guess"]), facts=which)
        if constant is not None:
            board.add("majority", block.mean(constant), facts=which, plain=True)
        if answers is not None:
            said = panel.answers_block(answers, selected)
            for kind, column in kinds.items():
                board.add(f"answers_{kind}", said.mean(column), facts=which, plain=True)
            if of_languages:
                confused = said.mean(kind_is(answers, *ELSEWHERE))
                board.add("confusion", confused, facts=which, plain=True, better="lower")
        if base_answers is not None and of_languages:
            before = panel.answers_block(base_answers, selected).mean(kind_is(base_answers, *ELSEWHERE))
            board.add("confusion_base", before, facts=which, plain=True)


def _score_scripts(board: Board, tables: dict[str, Columns]) -> None:
    """Of each language that is there romanised, too, K in both scripts on the facts asked in both, and the difference.

    The same language, the same facts and the same resamples of them: what differs is the script.
    """
    panel = board.panel
    codes = list(panel.languages)
    for code in codes:
        if code == romanised.base(code) or romanised.base(code) not in codes:
            continue
        places = [codes.index(code), codes.index(romanised.base(code))]
        block = panel.facts_block(panel.selected("forget") & panel.asked_in(*(codes[i] for i in places)))
        knowledge, floor = _knowledge(panel, block, tables["cell"], tables)
        gap = np.full_like(knowledge.values, np.nan)
        gap[:, places[0]] = knowledge.values[:, places[0]] - knowledge.values[:, places[1]]
        for metric, values, shown in (("K_paired", knowledge.values, places), ("script_gap", gap, places[:1])):
            n = np.zeros_like(knowledge.n)
            n[shown] = knowledge.n[shown]
            board.add(metric, replace(knowledge, values=values, n=n), facts="all", floor=floor, better="none")


def _score_retain(board: Board, cell: Columns) -> None:
    """Strict and option accuracy of facts to be kept, and MI, the paper's mean over all languages."""
    panel = board.panel
    for role in ("retain_seen", "retain_unseen", "bystander"):
        block = panel.facts_block(panel.selected(role))
        strict = block.mean(cell["strict"])
        board.add(f"{role}_strict", strict, plain=True, better="higher")
        if role == "retain_unseen":
            board.add("retain_strict", strict, plain=True, better="higher")
            board.add("retain_option", block.mean(cell["option"]), plain=True, better="higher")
    kept = panel.facts_block(panel.selected("retain_seen", "retain_unseen")).mean(cell["strict"])
    board.add_group("MI", GROUPS[ALL], kept.values[:, ALL], int(kept.n[ALL]))


def _score_lines(board: Board, tables: dict[str, Columns]) -> None:
    """Reading about facts to be forgotten, of cell, base and oracle; and 'unknown' for unknown subjects."""
    panel = board.panel
    reading = panel.facts_block(panel.selected("forget"), "reading_forget")
    for name, columns in tables.items():
        suffix = "" if name == "cell" else f"_{name}"
        board.add(f"reading_forget{suffix}", reading.mean(columns["option"]), plain=True)
    board.add("unknown", panel.lines_block("unknown").mean(tables["cell"]["option"]), plain=True, better="higher")


def _differ_between_languages(panel: Panel, texts: pd.DataFrame) -> bool:
    """Whether any answer to be forgotten is another one in another language."""
    forget = texts[texts["item"].isin(panel.facts.index[panel.selected("forget")])]
    return bool((forget.groupby(["item", "form"])["answer"].nunique() > 1).any())


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
