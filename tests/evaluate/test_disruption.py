"""KL to the base against whole forwards of both models, on what it is taken, and what it costs in memory."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from families import EMBEDDED
from mute.evaluate import disruption, item_table
from mute.evaluate.board import Board, summary
from mute.evaluate.measures import Context, load
from mute.evaluate.panel import Panel
from mute.evaluate.run import Evaluator, questions
from mute.evaluate.subject import Subject

LANGUAGES = ["en", "es", "hi"]
KEYS = ["set", "item", "language", "form"]


def asked(model, encoder, corpus) -> Evaluator:
    return Evaluator(model, encoder, corpus, LANGUAGES, corpus.asked_forms, compared=True)


def moved(model, scale: float) -> None:
    """Noise on every parameter, the same each time."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += scale * parameter.std().nan_to_num(0.1) * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("family", EMBEDDED)
def test_kl_is_what_whole_forwards_of_both_models_give(family, trained_model, encoder, corpus):
    base = trained_model(family)
    model = copy.deepcopy(base)
    evaluator = asked(model, encoder, corpus)
    moved(model, 0.3)
    evaluator.texts = evaluator.queries.texts(model)
    tokens, _ = evaluator.evaluate(Subject(model))
    compared = tokens[tokens["kl"].notna()]
    assert set(compared["set"]) == set(disruption.SETS)
    rows = evaluator.queries.rows
    for key, own in list(compared.groupby(KEYS))[::7]:
        at = int(np.flatnonzero((rows[KEYS] == list(key)).all(axis=1))[0])
        prompt, gold = evaluator.queries.prompts[at], evaluator.queries.golds[at]
        with torch.no_grad():
            ids = torch.tensor([prompt + gold])
            p, q = (m(ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1) for m in (base, model))
        wanted = (p.exp() * (p - q)).sum(-1).tolist()
        assert own.sort_values("position")["kl"].tolist() == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert (compared["kl"] > -1e-6).all()


def test_a_model_that_nothing_was_done_to_has_no_distance_and_the_order_of_rows_says_nothing(
    random_model, encoder, corpus
):
    model = copy.deepcopy(random_model("llama"))
    evaluator = asked(model, encoder, corpus)
    tokens, answers = evaluator.evaluate()

    def scores(tokens):
        table = item_table.items(tokens)
        measure = load("disruption")()
        made = measure.columns(table, tokens)
        setting = {"source": ["en", "es"], "heldout": ["hi"], "headline_form": corpus.about["headline_form"]}
        board = Board(Panel(made, corpus.facts, corpus.roles("domain"), **setting, draws=20, seed=0))
        with board.towards(measure.better):
            measure.score(board, Context({"cell": made, "base": made}, answers, corpus))
        return summary(*board.replicates())

    plain = scores(tokens)
    assert set(plain["metric"]) == {"KL_retain", "KL_sentences"}
    assert plain[["value", "low", "high"]].abs().max(axis=None) < 1e-6
    assert "worst" in set(plain["group"])
    # Of a model that was moved: by hand, and in another order.
    rng = np.random.default_rng(0)
    tokens = tokens.assign(kl=tokens["kl"] + rng.uniform(0, 2, len(tokens)))
    found = scores(tokens)
    pd.testing.assert_frame_equal(scores(tokens.sample(frac=1, random_state=1)), found)
    for metric, name in (("KL_retain", "retain_text"), ("KL_sentences", "sentences")):
        own = tokens[(tokens["set"] == name) & (tokens["language"] == "hi")]
        value = found[(found["metric"] == metric) & (found["language"] == "hi")]["value"].item()
        assert value == pytest.approx(own["kl"].mean()), "the mean over tokens, not over lines"


def test_without_a_reference_nothing_is_compared(random_model, encoder, corpus):
    tokens, _ = Evaluator(random_model("llama"), encoder, corpus, LANGUAGES, corpus.asked_forms).evaluate()
    assert tokens["kl"].isna().all()
    assert load("disruption")().columns(item_table.items(tokens), tokens)["kl"].isna().all()


def test_lines_are_the_same_in_every_language_and_of_no_forget_set(corpus):
    rows = questions(corpus, LANGUAGES, forms=corpus.asked_forms)
    kept = rows[rows["set"] == disruption.RETAIN]
    by_language = kept.groupby("language")["item"].agg(set)
    assert len(by_language) == len(LANGUAGES)
    assert all(items == by_language["en"] for items in by_language)
    assert len(by_language["en"]) <= disruption.LINES
    for forget_set in corpus.about["forget_sets"]:
        assert set(corpus.roles(forget_set)[sorted(by_language["en"])]) <= {"retain_seen", "retain_unseen"}
    facts = corpus.facts.set_index("item")
    assert not facts.loc[sorted(by_language["en"]), "validation"].any(), "tuning reads those"
    row = kept.iloc[0]
    own = (corpus.texts[KEYS[1:]] == row[KEYS[1:]].tolist()).all(axis=1)
    text = corpus.texts[own].iloc[0]
    assert row["answer"] == text["prefix"] + text["answer"] + text["suffix"]
    place = disruption.places(rows)
    assert set(rows["set"][place >= 0]) == set(disruption.SETS)
    assert place.max() < disruption.LINES
    shuffled = rows.sample(frac=1, random_state=2)
    again = disruption.places(shuffled)
    assert dict(zip(shuffled.index, again)) == dict(zip(rows.index, place))


def test_of_a_large_vocabulary_fewer_lines_are_kept(random_model, encoder, corpus, monkeypatch):
    model = random_model("llama")
    whole = asked(model, encoder, corpus).reference
    monkeypatch.setattr(disruption, "MOST", whole.probs.numel() * 4 / 4)
    few = asked(model, encoder, corpus)
    assert 0 < few.reference.probs.numel() <= whole.probs.numel() / 4
    tokens, _ = few.evaluate()
    own = tokens[tokens["kl"].notna()]
    counts = own.groupby(["set", "language"])["item"].nunique()
    assert (counts == counts.iloc[0]).all(), "equally many in every language"
    assert len(counts) == 2 * len(LANGUAGES)


def test_what_both_hold_impossible_adds_nothing_and_what_one_does_is_infinitely_far():
    reference = disruption.Reference.__new__(disruption.Reference)
    p = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]])
    reference.row_of, reference.probs = torch.tensor([0, -1, 1]), p
    reference.certainty = torch.special.entr(p).sum(-1).neg()
    seen = disruption.Comparison(reference)
    logprobs = torch.tensor([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]).log()
    seen.see(torch.tensor([2, 1, 0]), logprobs, torch.tensor([1, 0, 0]))
    wanted = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert seen.kl.tolist() == [pytest.approx(wanted, abs=1e-6), pytest.approx(np.nan, nan_ok=True), np.inf]
