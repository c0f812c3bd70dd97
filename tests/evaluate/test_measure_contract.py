"""What every registered measure keeps to, on each corpus that it applies to; a measure's new file joins here.

The tables are those of tiny models that were never trained: what they say is wrong, and stands in every column.
"""

import re
from pathlib import Path

import pandas as pd
import pytest
import test_tofu_source as tofu_source

from mute.evaluate import item_table, measures, tables
from mute.evaluate.board import Board, summary
from mute.evaluate.panel import Panel
from mute.evaluate.run import Evaluator

ROOT = Path(__file__).parents[2]
LANGUAGES = ["en", "es", "hi"]
CORPORA = ("world", "tofu", "linked")
SIZES = {"forget10_perturbed": 6, "retain_perturbed": 8, "real_authors_perturbed": 4, "world_facts_perturbed": 4}
# The first column of the tables of the page's section on scores.
SECTION = (ROOT / "docs/tables.md").read_text(encoding="utf-8").split("\n## `scores.csv`")[1].split("\n## ")[0]
DOCUMENTED = {name for row in re.findall(r"^\| (.*?) \|", SECTION, re.M) for name in re.findall(r"`(\w+)`", row)}


@pytest.fixture(scope="module")
def asked(corpus, linked_corpus, random_model, encoder, tmp_path_factory):
    """By corpus: the corpus, a token table of cell and base, and the cell's answers."""
    folder = tofu_source.write(tmp_path_factory.mktemp("tofu"), sizes=SIZES)
    found = {}
    for name, own in (("world", corpus), ("tofu", tofu_source.build(folder)), ("linked", linked_corpus)):
        said = [
            Evaluator(random_model(family), encoder, own, LANGUAGES, own.asked_forms, compared=True).evaluate()
            for family in ("llama", "bloom")
        ]
        found[name] = own, said[0][0], said[1][0], said[0][1]
    return found


def applying(name: str, asked) -> list[str]:
    return [corpus for corpus in CORPORA if measures.load(name)().applies(asked[corpus][0])]


def scored(name: str, corpus, found: dict[str, pd.DataFrame], answers: pd.DataFrame) -> pd.DataFrame:
    setting = {"source": ["en", "es"], "heldout": ["hi"], "headline_form": corpus.about["headline_form"]}
    board = Board(Panel(found["base"], corpus.facts, corpus.roles("domain"), **setting, draws=5, seed=0))
    measures.load(name)().score(board, measures.Context(found, answers, corpus))
    return summary(*board.replicates())


@pytest.mark.parametrize("name", measures.names())
def test_every_measure_says_what_it_is(name, asked):
    measure = measures.load(name)
    assert measure.name == name == measure.__module__.rsplit(".", 1)[1]
    assert measure.paper
    assert applying(name, asked), "none of these corpora has what it is read from: add one that has"


@pytest.mark.parametrize("name", measures.names())
def test_columns_stand_beside_the_item_table_row_by_row(name, asked):
    for corpus in applying(name, asked):
        tokens = asked[corpus][1]
        given, table = tokens.copy(deep=True), item_table.items(tokens)
        kept = table.copy(deep=True)
        made = measures.load(name)().columns(table, tokens)
        pd.testing.assert_frame_equal(made[list(kept)], kept)
        pd.testing.assert_frame_equal(table, kept)
        pd.testing.assert_frame_equal(tokens, given)
        pd.testing.assert_frame_equal(measures.load(name)().columns(table, tokens), made)
        # The order in which questions stand in the token table says nothing.
        mixed = tokens.sample(frac=1, random_state=0)
        pd.testing.assert_frame_equal(measures.load(name)().columns(item_table.items(mixed), mixed), made)


@pytest.mark.parametrize("oracle", [True, False])
@pytest.mark.parametrize("name", measures.names())
def test_scores_are_a_pure_function_of_tables_and_are_documented(name, oracle, asked):
    for each in applying(name, asked):
        corpus, cell, base, answers = asked[each]
        found = {"cell": tables.measured(cell, corpus), "base": tables.measured(base, corpus)}
        found |= {"oracle": found["base"]} if oracle else {}
        kept = {key: table.copy(deep=True) for key, table in found.items()}
        said, texts = answers.copy(deep=True), corpus.texts.copy(deep=True)
        scores = scored(name, corpus, found, answers)
        assert len(scores), "it adds a score"
        pd.testing.assert_frame_equal(scored(name, corpus, found, answers), scores)
        for key, table in found.items():
            pd.testing.assert_frame_equal(table, kept[key])
        pd.testing.assert_frame_equal(answers, said)
        pd.testing.assert_frame_equal(corpus.texts, texts)
        assert set(scores["language"]) <= {*LANGUAGES, ""}
        assert set(scores["metric"]) <= DOCUMENTED, "each has its row in docs/tables.md"


def test_no_two_measures_write_the_same_column_or_score(asked):
    for corpus, cell, base, answers in asked.values():
        table = item_table.items(cell)
        columns, metrics = list(table), []
        found = {"cell": tables.measured(cell, corpus), "base": tables.measured(base, corpus)}
        for name in measures.names():
            measure = measures.load(name)()
            if measure.applies(corpus):
                columns += [column for column in measure.columns(table, cell) if column not in table]
                metrics += scored(name, corpus, found, answers)["metric"].unique().tolist()
        assert len(columns) == len(set(columns))
        assert len(metrics) == len(set(metrics))


def test_forget_quality_tells_a_model_from_an_oracle_that_differs_and_says_nothing_without_options(asked):
    corpus, cell, base, answers = asked["world"]
    own, other = tables.measured(cell, corpus), tables.measured(base, corpus)

    def quality(oracle):
        found = {"cell": own, "base": other, "oracle": oracle}
        rows = scored("truth_ratio", corpus, found, answers).set_index(["metric", "language"])["value"]
        return {code: (rows["forget_quality", code], rows["ks", code]) for code in LANGUAGES}

    assert quality(own) == dict.fromkeys(LANGUAGES, (1.0, 0.0))
    assert all(p < 1 and ks > 0 for p, ks in quality(other).values())
    bare = [table.assign(truth_ratio=float("nan"), truth_ratio_arithmetic=float("nan")) for table in (own, other)]
    assert scored("truth_ratio", corpus, dict(zip(("cell", "base"), bare)), answers).empty
