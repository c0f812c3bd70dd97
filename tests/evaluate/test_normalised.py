"""Option scores by length against loops over plain lists, and on MMLU asked for real."""

import math

import numpy as np
import pandas as pd
import pytest
import test_mmlu_source as source
from hypothesis import given, settings
from hypothesis import strategies as st

from mute.evaluate import item_table, metrics, tables
from mute.evaluate.board import Board
from mute.evaluate.measures import Context, normalised
from mute.evaluate.panel import Panel

KEYS = ["set", "item", "language", "form"]


def items(tokens: pd.DataFrame) -> pd.DataFrame:
    return normalised.Normalised().columns(item_table.items(tokens), tokens)


def token_table(questions: list[dict]) -> pd.DataFrame:
    """One row per question, whose answers have one token."""
    rows = [
        {"set": "facts", "item": f"q{i:03}", "language": "en", "form": 0, "position": 0, "hit": True, "chars": 3}
        | {"logprob": -1.0, **question}
        for i, question in enumerate(questions)
    ]
    return pd.DataFrame(rows)


def asked(draw_of) -> dict:
    logprobs, tokens, chars, gold = draw_of
    size = min(map(len, (logprobs, tokens, chars)))
    lengths = {"option_tokens": tokens[:size], "option_chars": chars[:size]}
    return {"options": logprobs[:size], **lengths, "gold": gold % size}


numbers = st.lists(st.floats(-40, -0.01), min_size=2, max_size=6)
lengths = st.lists(st.integers(1, 9), min_size=2, max_size=6)
question = st.tuples(numbers, lengths, lengths, st.integers(0, 5)).map(asked)
none = st.just({"options": None, "option_tokens": None, "option_chars": None, "gold": -1})


@settings(max_examples=40)
@given(st.lists(st.one_of(question, none), min_size=1, max_size=8))
def test_each_question_is_scored_by_the_length_of_its_options(questions):
    table = items(token_table(questions))
    pd.testing.assert_frame_equal(table[item_table.ITEM_COLUMNS], item_table.items(token_table(questions)))
    for row, q in zip(table.to_dict("records"), questions):
        if q["options"] is None:
            assert all(math.isnan(row[name]) for name in normalised.COLUMNS)
            continue
        for name, by in (("option_per_token", "option_tokens"), ("option_per_char", "option_chars")):
            score = [value / size for value, size in zip(q["options"], q[by])]
            others = [s for i, s in enumerate(score) if i != q["gold"]]
            assert row[name] == float(all(score[q["gold"]] > s for s in others))
        weights = [math.exp(value) for value in q["options"]]
        assert row["option_share"] == pytest.approx(weights[q["gold"]] / sum(weights), rel=1e-9)


def test_short_options_win_no_longer_for_being_short():
    long = {"options": [-4.0, -3.0], "option_tokens": [4, 1], "option_chars": [10, 9], "gold": 0}
    row = items(token_table([long])).iloc[0]
    assert (row["option"], row["option_per_token"], row["option_per_char"]) == (0, 1, 0)


def test_a_model_that_gives_no_numbers_hits_nothing():
    dead = {"options": [math.nan, math.nan], "option_tokens": [1, 2], "option_chars": [1, 2], "gold": 0}
    row = items(token_table([dead])).iloc[0]
    assert (row["option_per_token"], row["option_per_char"]) == (0, 0)
    assert math.isnan(row["option_share"])


def test_parquet_gives_the_same(tmp_path):
    q = {"options": [-4.0, -3.0], "option_tokens": [4, 1], "option_chars": [10, 9], "gold": 0}
    table = token_table([q, {"options": None, "option_tokens": None, "option_chars": None, "gold": -1}])
    table.to_parquet(tmp_path / "t.parquet", index=False)
    pd.testing.assert_frame_equal(items(pd.read_parquet(tmp_path / "t.parquet")), items(table))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return source.build(source.write(tmp_path_factory.mktemp("mmlu")), limit=6)


@pytest.fixture(scope="module")
def model(corpus):
    """A tiny random Llama and the encoder of its tokenizer."""
    from mute.models import embedded, tokenizer
    from mute.models.texts import training_texts

    groups = training_texts(corpus, source.CODES)
    assert set(groups["facts"]["form"]) == {0, 1, 2}
    rows = [row for g in groups.values() for row in zip(g["prefix"], g["answer"], g["suffix"])]
    made = tokenizer.train((part for row in rows for part in tokenizer.parts(*row)), 600)
    network = embedded.create("llama", 0, vocabulary=len(made), blocks=2, hidden=32, heads=2)
    return network.requires_grad_(False), tokenizer.Encoder(made)


@pytest.fixture(scope="module")
def evaluated(corpus, model):
    """What it is asked and says."""
    from mute.evaluate.run import Evaluator

    return Evaluator(*model, corpus, source.CODES, corpus.asked_forms).evaluate()


def test_mmlu_is_asked_for_letters_and_for_the_words_of_the_options(corpus, evaluated):
    tokens, answers = evaluated
    facts = tokens[(tokens["set"] == "facts") & (tokens["position"] == 0)]
    assert set(facts["form"]) == set(corpus.asked_forms) == {1, 2}
    letters, words = (facts[facts["form"] == form] for form in (2, 1))
    assert all(list(sizes) == [1, 1, 1, 1] for sizes in letters["option_chars"])
    assert all(min(sizes) > 10 for sizes in words["option_chars"])
    # Sentences have no options, and so no lengths of them.
    lines = tokens[(tokens["set"] == "sentences") & (tokens["position"] == 0)]
    assert lines["options"].isna().all()
    assert lines["option_tokens"].isna().all()
    assert len(lines) == 9
    assert len(answers) == 18 * 3 * 2


def test_a_shuffled_letter_is_judged_by_its_own_form(corpus, model):
    """The right letter of the plain form is a wrong one where the options stand in another order."""
    from mute.evaluate.run import Evaluator

    evaluator = Evaluator(*model, corpus, ["en", "es"], [0, 2])
    texts = corpus.texts[corpus.texts["language"] == "en"].set_index(["item", "form"])
    item = next(i for i in corpus.facts["item"] if texts.loc[(i, 0), "answer"] != texts.loc[(i, 2), "answer"])
    plain = texts.loc[(item, 0), "answer"]
    assert evaluator.words_of[0].kind(item, "en", plain) == "right"
    assert evaluator.words_of[2].kind(item, "en", plain) == "other_value"


@pytest.mark.parametrize("oracle", [True, False])
def test_scores_by_length_stand_beside_the_plain_ones(corpus, evaluated, oracle):
    tokens, answers = evaluated
    base = tables.measured(tokens, corpus)
    knowing = base.assign(
        **{name: base[name].where(base[name].isna(), 1.0) for name in ("option", *normalised.LENGTHS)}
    )
    found = {"cell": base, "base": knowing, **({"oracle": base} if oracle else {})}
    setting = {"source": ["en", "es"], "heldout": ["hi"], "headline_form": 2, "draws": 20, "seed": 0}
    scores = metrics.score_cell(
        Board(Panel(knowing, corpus.facts, corpus.roles("domain"), **setting)),
        base,
        base if oracle else None,
        answers=answers,
        base_answers=answers,
        texts=corpus.texts,
        further=[lambda board: normalised.Normalised().score(board, Context(found, answers, corpus))],
    ).set_index(["metric", "facts", "language", "group"])["value"]
    forget = corpus.facts.loc[corpus.in_forget_set("domain").to_numpy(), "item"]
    own = base[base["item"].isin(forget) & (base["language"] == "hi") & (base["form"] == 1)]
    at = ("all", "hi", "heldout")
    assert scores[("accuracy_per_char", *at)] == pytest.approx(own["option_per_char"].mean())
    assert scores[("accuracy_per_token", *at)] == pytest.approx(own["option_per_token"].mean())
    assert scores[("accuracy_share", *at)] == pytest.approx(own["option_share"].mean())
    accuracy = own["option_per_token"].mean()
    floor = accuracy if oracle else 0.25
    assert scores[("K_per_token", *at)] == pytest.approx((accuracy - floor) / (1 - floor))
    kept = corpus.roles("domain").eq("retain_unseen") & ~corpus.facts.set_index("item")["validation"]
    own = base[base["item"].isin(kept.index[kept]) & (base["language"] == "hi") & (base["form"] == 1)]
    assert scores[("retain_per_char", "", "hi", "heldout")] == pytest.approx(own["option_per_char"].mean())
    # No fact is transferred, so that nothing is said of such.
    assert "transfer" not in set(scores.index.get_level_values("facts"))
    assert np.isfinite(scores[("K", "taught", "", "all")])
