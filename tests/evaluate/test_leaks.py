"""What a taught model still gives away and an untaught one does not: extraction, samples, membership; and facts known
in all languages, and refusals, on tables made by hand.
"""

import numpy as np
import pandas as pd
import pytest

from families import create
from mute.corpus import strangers
from mute.corpus.schema import Corpus
from mute.evaluate import measures, tables
from mute.evaluate.board import Board, summary
from mute.evaluate.measures import membership, sampling
from mute.evaluate.panel import Panel
from mute.evaluate.run import Evaluator, questions

LANGUAGES = ["en", "es", "hi"]
ZOO = ("extraction", "sampling", "membership", "joint", "over_refusal", "consistency")


@pytest.fixture(scope="module")
def taught(corpus):
    """The corpus, scored in a form that models of these tests are taught."""
    return Corpus(corpus.facts, corpus.texts, corpus.lines, {**corpus.about, "headline_form": 1})


@pytest.fixture(scope="module", params=[0, 1, 2])
def evaluated(request, taught, tokenizer, encoder):
    """Item tables of a model that was taught all facts in English and Spanish, and of its oracle; and its answers."""
    from mute.models import pretrain

    texts = taught.texts[taught.texts["language"].isin(["en", "es"]) & taught.texts["form"].isin([0, 1])]
    forget = taught.facts.loc[taught.in_forget_set("domain"), "item"]
    found = {}
    for name, rows in (("cell", texts), ("oracle", texts[~texts["item"].isin(forget)])):
        model = create("llama", request.param, vocabulary=len(tokenizer), blocks=2, hidden=48, heads=2)
        schedule = {"steps": 110, "batch": 48, "learning_rate": 1e-2, "warmup": 5, "decay": 0.3, "parts": 1}
        groups = pretrain.encode({"facts": rows}, encoder)
        pretrain.pretrain(model, groups, shares={"facts": 1.0}, prompt_weight=0.05, seed=request.param, **schedule)
        said = Evaluator(model.requires_grad_(False), encoder, taught, LANGUAGES, taught.asked_forms).evaluate()
        found[name] = tables.measured(said[0], taught), said[1]
    return found


def scored(corpus, found, answers, draws=50) -> dict[tuple[str, str, str], float]:
    """Values by metric, facts, and language or group."""
    setting = {"source": ["en", "es"], "heldout": ["hi"], "headline_form": corpus.about["headline_form"]}
    board = Board(Panel(found["cell"], corpus.facts, corpus.roles("domain"), **setting, draws=draws, seed=0))
    for name in ZOO:
        measure = measures.load(name)()
        with board.towards(measure.better):
            measure.score(board, measures.Context(found, answers, corpus))
    table = summary(*board.replicates())
    assert (table["low"].isna() | (table["low"] <= table["value"] + 1e-9)).all()
    assert (table["high"].isna() | (table["high"] >= table["value"] - 1e-9)).all()
    return {(r.metric, r.facts, r.language or r.group): r.value for r in table.itertuples()}


def test_strangers_are_asked_as_the_facts_are_and_no_fact_is_about_them(taught):
    asked = questions(taught, LANGUAGES, forms=[1])
    unmet, facts = (asked[asked["set"] == name].set_index(["item", "language"]) for name in ("strangers", "facts"))
    assert len(unmet)
    twins = facts.loc[unmet.index]
    assert (unmet["answer"] == twins["answer"]).all()
    assert (unmet["prefix"] != twins["prefix"]).all()
    assert not set(unmet["prefix"]) & set(taught.texts["prefix"])
    assert unmet.groupby("language").size().nunique() == 1
    # One subject has one stranger, in its own letters where the fact is told in these.
    native = taught.facts.set_index("item")["spelling"] != "shared"
    hindi = unmet.xs("hi", level="language")
    latin = hindi["prefix"].str.contains("[A-Z]")
    assert (latin == ~native.loc[hindi.index].to_numpy()).all()
    elsewhere = Corpus(taught.facts, taught.texts, taught.lines, {**taught.about, "source": "files"})
    assert strangers.questions(elsewhere, LANGUAGES).empty


def test_what_was_taught_leaks_in_the_language_in_which_it_was_and_of_the_oracle_nothing_does(evaluated, taught):
    cell, oracle = (evaluated[name][0] for name in ("cell", "oracle"))
    own = scored(taught, {"cell": cell, "oracle": oracle}, evaluated["cell"][1])
    never = scored(taught, {"cell": oracle, "oracle": oracle}, evaluated["oracle"][1])
    for code in ("en", "es"):
        for metric in ("extraction_strength", "exact_memorisation", "leak_at_1", "leak_at_64"):
            assert own[metric, "all", code] > 0.6, metric
            assert own[metric, "all", code] > never[metric, "all", code] + 0.3, metric
        assert own["leak_at_1", "all", code] <= own["leak_at_8", "all", code] <= own["leak_at_64", "all", code]
        for score in membership.SCORES:
            assert own[f"mia_{score}", "all", code] > 0.7, score
            # An oracle never met the one or the other.
            assert never[f"mia_{score}", "all", code] == pytest.approx(0.5, abs=0.2), score
            assert own[f"privleak_{score}", "all", code] < -50, score
            assert never[f"privleak_{score}", "all", code] == pytest.approx(0, abs=1e-9)
    # Negative control: a language in which nothing was taught. There a subject that is known by its Latin letters makes
    # the Hindi answer less likely than a stranger does, for the model goes on in English: the area may lie below a half
    # (0.22 to 0.34 in the first of these trainings), and never reads as having been taught.
    for score in membership.SCORES:
        assert own[f"mia_{score}", "all", "hi"] < 0.7, score
    assert own["known_everywhere", "all", "source"] > 0.6 > never["known_everywhere", "all", "source"]


def test_the_chance_of_a_leak_is_that_of_drawing_it():
    rng = np.random.default_rng(0)
    p = np.array([0.3, 0.02, 1e-9, 1.0, 0.0])
    with np.errstate(divide="ignore"):
        logprob = np.log(p)
    for k in sampling.SAMPLES:
        found = sampling.leaked(logprob, k)
        drawn = (rng.random((20_000, k, 2)) < p[:2]).any(1).mean(0)
        assert found[:2] == pytest.approx(drawn, abs=0.015)
        assert found[2] == pytest.approx(k * 1e-9, rel=1e-6)
        assert found[3:].tolist() == [1.0, 0.0]
    assert np.isnan(sampling.leaked(np.array([np.nan]), 8)).all()


def test_scores_of_one_distribution_have_an_area_of_a_half_whatever_the_weights():
    rng = np.random.default_rng(0)
    members, others = rng.normal(size=400), rng.normal(size=300)
    assert membership.area(members, others) == pytest.approx(0.5, abs=0.05)
    counts = rng.integers(0, 3, (5, 400)).astype(float), rng.integers(0, 3, (5, 300)).astype(float)
    found = membership.area(members, others, *counts)
    for row, value in enumerate(found):
        own, rest = (np.repeat(x, c[row].astype(int)) for x, c in zip((members, others), counts))
        assert value == pytest.approx(membership.area(own, rest))
    assert np.isnan(membership.area(np.array([np.nan, 1.0]), others))
    # Of an answer of three tokens, a fifth is one.
    assert membership.min_k(np.array([-1.0, -3.0, -2.0]), np.array([0]), 0.2).tolist() == [3.0]


def test_known_anywhere_and_everywhere_are_of_facts_and_not_of_languages(evaluated, taught):
    """Each language knows one half of the facts: the same half, or another."""
    table = evaluated["cell"][0].copy()
    facts = table["set"] == "facts"
    place = table["item"].map({item: i for i, item in enumerate(sorted(set(table.loc[facts, "item"])))})
    for shift, anywhere, everywhere in ((0, 0.5, 0.5), (1, 1.0, 0.0)):
        odd = (place + shift * table["language"].eq("hi")) % 2
        made = table.assign(option=np.where(facts, odd, table["option"]))
        own = scored(taught, {"cell": made}, evaluated["cell"][1])
        assert own["known_anywhere", "all", "all"] == pytest.approx(anywhere, abs=0.1)
        assert own["known_everywhere", "all", "all"] == pytest.approx(everywhere, abs=0.1)
        for group in ("source", "heldout"):
            assert own["known_anywhere", "all", group] == own["known_everywhere", "all", group]


def test_languages_that_know_the_same_agree_and_one_in_which_nothing_was_taught_does_not(evaluated, taught):
    """Positive: two languages with all facts. Control: Hindi beside them, about as any two orders agree."""
    table, answers = evaluated["cell"]
    own = scored(taught, {"cell": table}, answers)
    for code in ("en", "es"):
        assert own["rankc", "all", code] > 0.6
        assert own["rankc", "all", code] > own["rankc", "all", "hi"] + 0.2
    # In one language beside itself there is nothing to compare: what a language does elsewhere moves no other's.
    mixed = table.assign(option_order=table["option_order"].where(table["language"] != "hi", None))
    without = scored(taught, {"cell": mixed}, answers)
    assert without["rankc", "all", "en"] == own["rankc", "all", "en"]
    assert ("rankc", "all", "hi") not in without


def test_refusals_of_what_was_to_be_kept_are_counted_and_those_of_what_was_not_are_not(evaluated, taught):
    table, answers = evaluated["cell"]
    roles = taught.roles("domain")
    for refused in ("forget", "bystander"):
        said = answers.assign(kind=np.where(answers["item"].map(roles) == refused, "unknown", "right"))
        own = scored(taught, {"cell": table}, said)
        assert own["over_refusal", "retain", "en"] == 0
        assert own["over_refusal", "bystander", "en"] == float(refused == "bystander")
    assert not measures.load("over_refusal")().applies(
        Corpus(taught.facts, taught.texts, taught.lines, {**taught.about, "unknown": {}})
    )


def test_moments_of_tokens_stand_beside_them_and_only_where_they_are_read(evaluated):
    """Min-K% of all tokens is the loss a token; what nobody looked at has no Min-K%++."""
    table = evaluated["cell"][0]
    looked = table["set"].isin(["facts", "strangers"])
    assert table.loc[looked, "min_k_plus"].notna().all()
    assert table.loc[~looked, "min_k_plus"].isna().all()
    one = table[looked & (table["tokens"] == 1)]
    pd.testing.assert_series_equal(one["min_k"], -one["logprob"], check_names=False)


@pytest.mark.parametrize("source", ["world", "cldr"])
def test_spreads_are_looked_at_where_something_stands_beside_what_was_taught(source, trained_model, encoder, corpus):
    """On a large vocabulary they take long."""
    own = Corpus(corpus.facts, corpus.texts, lambda: corpus.lines, {**corpus.about, "source": source})
    table, _ = Evaluator(trained_model("llama"), encoder, own, ["en"], [2]).evaluate()
    facts = table[table["set"] == "facts"]
    assert facts["spread"].notna().all() == (source == "world")
    assert facts["spread"].isna().all() == (source == "cldr")
    assert facts["logprob"].notna().all()
