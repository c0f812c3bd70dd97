"""Mirage: paths and scores against golden values, what a residual is, and the scores of tables made by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mute.corpus import graph
from mute.corpus.linked import PROBE
from mute.evaluate import measures
from mute.evaluate.board import Board, summary
from mute.evaluate.measures import mirage
from mute.evaluate.panel import Measure, Panel, groups_of, mean_of, over_groups
from mute.evaluate.run import questions

TESTS = Path(__file__).parents[1]
GOLDEN = json.loads((TESTS / "golden/evaluations.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
GROUPS = groups_of(["en"], [], {})


def measured(value: float) -> Measure:
    return Measure(over_groups(np.array([[value]]), GROUPS), np.ones(6, int), np.zeros(1, bool))


def test_simple_paths_are_the_golden_ones():
    entry = ENTRIES["mirage simple paths"]
    pairs = [edge.split(">") for edge in entry["inputs"].split("edges ")[1].split(";")[0].split()]
    edges = {a: [other for one, other in pairs if one == a] for a, _ in pairs}
    assert ["".join(path) for path in graph.simple_paths(edges, "a", 3)] == entry["value"]


def test_scores_are_the_golden_ones():
    wanted = ENTRIES["mirage scores"]["value"]
    forgotten, retained = (
        mean_of([measured(value) for value in values], GROUPS)[0].values[:, :1]
        for values in ((0.1, 0.3, 0.4), (0.8, 0.6, 0.7))
    )
    assert forgotten == pytest.approx(wanted["FS"], rel=1e-9)
    assert retained == pytest.approx(wanted["RS"], rel=1e-9)
    assert mirage.overall(forgotten, retained) == pytest.approx(wanted["overall"], rel=1e-9)


def test_perfect_forgetting_is_one_and_no_change_zero():
    assert mirage.overall(np.array([0.0, 1.0, 0.5, 0.0]), np.array([1.0, 1.0, 0.5, 0.0])) == pytest.approx(
        [1, 0, 0.5, 0]
    )


def test_a_residual_is_a_wrong_answer_with_another_question_right():
    plain = np.array([1, 1, 0, 0, 0])
    others = np.array([[0, 0], [1, 1], [0, 0], [0, 1], [1, 0]])
    assert mirage.residual(plain, others).tolist() == [False, False, False, True, True]


CODES = ["en", "es", "hi"]


def tables(corpus, right) -> pd.DataFrame:
    """An item table of all questions, right as a function of a row says."""
    asked = questions(corpus, CODES, forms=[1, 2]).drop_duplicates(["set", "item", "language", "form"])
    asked = asked.sort_values(["set", "item", "language", "form"]).reset_index(drop=True)
    hit = [float(right(row)) for row in asked.itertuples()]
    options = asked["options"].map(len).to_numpy() > 0
    return asked[["set", "item", "language", "form"]].assign(option=np.where(options, hit, np.nan))


def scores(corpus, cell, base=lambda row: True, name="mirage"):
    table = {"cell": tables(corpus, cell), "base": tables(corpus, base)}
    panel = Panel(
        table["base"],
        corpus.facts,
        corpus.roles("domain"),
        source=["en", "es"],
        heldout=["hi"],
        headline_form=2,
        draws=5,
        seed=0,
    )
    board = Board(panel)
    measures.load(name)().score(board, measures.Context(table, pd.DataFrame(), corpus))
    found = summary(*board.replicates())
    return {(row.metric, row.facts, row.language or row.group): row.value for row in found.itertuples()}


def forgotten(row) -> bool:
    return row.item.startswith("chemistry")


def test_tables_of_one_that_forgot_all_of_one_that_did_not_and_of_one_that_forgot_a_form(linked_corpus):
    never = scores(linked_corpus, lambda row: not forgotten(row))
    same = scores(linked_corpus, lambda row: True)
    # Trained on the question alone: all other ways to the fact are open.
    form = scores(linked_corpus, lambda row: not (forgotten(row) and row.set == "facts" and row.form == 2))
    for code in (*CODES, "all", "worst"):
        assert (never["mirage_FS", "all", code], never["mirage", "all", code], never["residual", "all", code]) == (
            0,
            1,
            0,
        )
        assert (same["mirage_FS", "all", code], same["mirage", "all", code], same["residual", "all", code]) == (1, 0, 0)
        assert form["mirage_FS", "all", code] == pytest.approx(2 / 3)
        assert form["mirage", "all", code] == pytest.approx(0.5)
        assert form["residual", "all", code] == 1
        assert never["mirage_RS", "all", code] == same["mirage_RS", "all", code] == 1


def test_hops_that_the_base_does_not_answer_say_nothing(linked_corpus):
    def answered(row):
        return row.set != PROBE + "two_hop" or row.language != "hi"

    found = scores(linked_corpus, answered, answered)
    assert np.isnan(found["mirage", "all", "hi"])
    assert np.isnan(found["mirage", "all", "heldout"])
    assert found["mirage", "all", "en"] == 0
    third = scores(
        linked_corpus, lambda row: row.set != PROBE + "three_hop", lambda row: row.set != PROBE + "three_hop"
    )
    assert third["mirage_FS", "all", "hi"] == 1, "the mean of the hops that the base answers"


def test_what_the_base_never_had_is_no_residual(linked_corpus):
    found = scores(linked_corpus, lambda row: row.form != 2, lambda row: row.set != PROBE + "alias")
    assert all(np.isnan(value) for (metric, *_), value in found.items() if metric == "residual")


def test_neighbours_are_scored_apart_by_what_they_share(linked_corpus):
    found = scores(linked_corpus, lambda row: not row.item.startswith("law"), name="neighbours")
    assert {facts for _, facts, _ in found} == {"value"}, "of a whole domain no subject stays"
    roles, near = (
        linked_corpus.roles("domain"),
        graph.neighbours(linked_corpus, [i for i in linked_corpus.facts["item"] if i.startswith("chemistry")]),
    )
    asked = linked_corpus.facts[linked_corpus.facts["item"].isin(near["value"]) & ~linked_corpus.facts["validation"]]
    asked = asked[asked["item"].map(roles).str.startswith("retain")]
    assert found["retain_neighbours", "value", "en"] == pytest.approx((asked["domain"] != "law").mean())
