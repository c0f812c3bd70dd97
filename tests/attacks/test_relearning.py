"""Relearning: how facts are parted, what is trained, and what comes back of the half that is not taught."""

import pytest
import torch

import victims
from mute import attacks
from mute.attacks import relearning, shard
from mute.attacks.base import Victim
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import anatomy

BAND = Band((1,))
HOW = {"steps": 20, "learning_rate": 1e-3}
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.in_turn) for seed in victims.SEEDS[1:])]


@pytest.fixture(scope="module")
def made(corpus, tokenizer, encoder):
    return victims.of(corpus, tokenizer, encoder)


def attack(model, encoder, corpus, band=BAND, forget_set="domain", seed=1, **how):
    victim = Victim(model, encoder, corpus, band, ("en", "es"), ("en", "es", "hi"), forget_set, seed)
    return relearning.Relearning(relearning.Settings(**how), victim)


@pytest.mark.parametrize("forget_set", ["domain", "subject", "relation", "conjunctive"])
def test_no_subject_is_on_both_sides_and_none_is_on_neither(corpus, encoder, forget_set):
    own = attack(None, encoder, corpus, forget_set=forget_set)
    forget = corpus.facts[corpus.in_forget_set(forget_set)]
    taught = forget["item"].isin(own.taught)
    sides = [set(forget.loc[side, "subject"]) for side in (taught, ~taught)]
    assert not sides[0] & sides[1]
    assert len(sides[0]) == forget["subject"].nunique() // 2
    questions = corpus.texts[corpus.texts["item"].isin(forget["item"]) & (corpus.texts["form"] == 2)]
    asked = questions[own.asks(questions)]
    assert set(asked["item"]) == set(forget["item"]) - own.taught
    assert set(own.rows()["item"]) == own.taught
    assert not set(own.rows()["form"]) - set(corpus.about["unlearning_forms"]), "no form that is asked is taught"


def test_halves_are_drawn_by_seed_and_whatever_the_language(corpus, encoder):
    drawn = {frozenset(attack(None, encoder, corpus, seed=seed).taught) for seed in range(8)}
    assert len(drawn) > 1
    for code, spoken in (("sources", {"en", "es"}), ("hi", {"hi"})):
        own = attack(None, encoder, corpus, language=code)
        assert own.taught == attack(None, encoder, corpus).taught
        assert set(own.rows()["language"]) == spoken


def test_a_language_without_texts_and_a_single_subject_are_told(corpus, trained_model, encoder):
    settings = relearning.Settings(language="xx")
    assert "no texts in xx" in relearning.Relearning.lacks(settings, corpus, "en")
    assert not relearning.Relearning.lacks(relearning.Settings(language="hi"), corpus, "en")
    one = corpus.restricted(corpus.texts[corpus.texts["item"].str.startswith("chemistry-sitifa")].assign(known=True))
    asked = Asked(trained_model("llama"), encoder, one, ["en", "es"], "domain")
    prepared = shard.Prepared("relearning", relearning.Relearning, relearning.Settings(), 1, "")
    table, outcome = shard.attacked(asked, Subject(asked.model), Band((1,)), prepared, ("en", "es"))
    assert table.empty
    assert outcome["status"] == "not_applicable"


@pytest.mark.parametrize("parameters", ["all", "band", "rest"])
def test_no_parameter_moves_but_those_that_are_named(random_model, encoder, corpus, parameters):
    model, band = random_model("llama"), Band((1,))
    before, inside = victims.everything(model), set(anatomy.band_parameters(model, band))
    with attack(model, encoder, corpus, parameters=parameters, steps=2).weights(model):
        moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    allowed = {"all": set(before), "band": inside, "rest": set(before) - inside}[parameters]
    assert moved <= allowed
    assert moved & inside if parameters != "rest" else not moved & inside
    assert victims.equal(victims.everything(model), before)


def test_base_and_oracle_are_attacked_once_for_what_the_attack_stands_on():
    kind = attacks.load("relearning")
    for settings, keys in (({}, ("sources",)), ({"language": "en"}, ()), ({"parameters": "band"}, ("sources", "band"))):
        assert kind.stands_on(kind.Settings(**settings)) == keys
    rest = kind.Settings(parameters="rest")
    assert kind.applies(rest, "full", "removal")
    assert kind.applies(rest, "1", "guard")
    assert not kind.applies(rest, "1", "removal")


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_the_facts_brings_the_other_back_and_not_to_one_who_never_knew(made, seed):
    """Gradient difference on one block hides: of what is lost of the other half some comes back, in no oracle."""
    own = {}
    for name in ("base", "oracle", "edited"):
        model = getattr(made, name)(seed)
        hits = [made.hits(model, relearning.Relearning, **{**HOW, "steps": n}) for n in (0, HOW["steps"])]
        own[name] = (*hits, (hits[1] - hits[0]) / (1 - hits[0]) if hits[0] < 1 else 0.0)
    assert own["base"][0] > 0.9
    assert own["edited"][0] < 0.5
    assert own["oracle"][2] <= 0.05, "who never knew learns nothing of other subjects"
    assert own["edited"][2] > own["oracle"][2] + 0.05
