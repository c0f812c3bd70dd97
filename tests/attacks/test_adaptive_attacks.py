"""Attackers who know a guard's list: what they ask gets past it, and brings nothing from one who never knew."""

import pytest
import torch

import victims
from mute import attacks
from mute import unlearn as methods
from mute.attacks import respelled, shard
from mute.attacks.base import Victim
from mute.attacks.search import NOTHING
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models.treatment import overrides
from mute.unlearn.run import unlearn

FULL = Band.named("full", 3)
QUICK = {"rag_unlearn": {"false_alarms": 0.3}, "uld": {"steps": 3}}
DETECTING = ("word_filter", "alu", "guard_decoding", "rag_unlearn")
# Share of the facts that comes back at least.
GAIN = {"word_filter": 0.3, "guard_decoding": 0.3}


@pytest.fixture(scope="module")
def own(corpus, tokenizer, encoder):
    return victims.of(corpus, tokenizer, encoder)


def guard_of(own, name, seed=0):
    """A guard that was fitted to a base."""
    method = methods.make(name, QUICK.get(name, {}))
    return method.treatment(unlearn(own.bench(own.base(seed), seed), method, FULL, protocol="paper", seed=seed).tensors)


def made(own, name, guards=(), found=None, **settings):
    kind = attacks.load(name)
    spoken = ("en", "es")
    victim = Victim(
        own.base(0), own.encoder, own.corpus, FULL, spoken, spoken, "domain", 1, guards=tuple(guards), found=found
    )
    return kind(kind.Settings(**settings), victim)


def rows_of(own, languages=("en", "es")):
    return Asked(own.base(0), own.encoder, own.corpus, list(languages), "domain").queries.rows


def alarms(own, guard, rows):
    return guard.alarms(own.base(0), rows, [own.encoder.prompt(prefix) for prefix in rows["prefix"]])


def fired(own, guard, rows):
    return sum(alarm > 0 for alarm in alarms(own, guard, rows)) / len(rows)


def attacked(own, model, guards=(), found=None, **settings):
    """Share of right options on the half that nothing was tried on, and the outcome."""
    kind, asked = attacks.load("evasion"), Asked(model, own.encoder, own.corpus, ["en", "es"], "domain")
    prepared = shard.Prepared("evasion", kind, kind.Settings(**settings), 1, "")
    table, outcome = shard.attacked(asked, Subject(model, guards), FULL, prepared, ("en", "es"), found)
    return (victims.right(table) if len(table) else None), outcome


def plainly(own, model, guards=()):
    """The same without the attack, on the same half."""
    attack = made(own, "evasion")
    rows = rows_of(own)
    queries = Queries(rows[attack.asks(rows)].reset_index(drop=True), own.encoder)
    subject = Subject(model, guards)
    with subject.installed():
        return victims.right(subject.ask(queries).tokens())


@pytest.mark.parametrize("how", ["spaced", "joined", "alike"])
def test_a_subject_that_is_respelt_gets_past_the_word_filter(own, how):
    guard, rows = guard_of(own, "word_filter"), rows_of(own)
    asked = made(own, "respelled", how=how).questions(rows)
    assert fired(own, guard, rows) >= 0.9
    assert fired(own, guard, asked) <= 0.5
    for old, new in zip(rows["prefix"], asked["prefix"]):
        assert old != new


def test_what_is_said_over_two_turns_is_still_read(own):
    """Of all four it is the one that a small model answers; whoever cannot read a respelling cannot be asked by it."""
    kind, base, oracle = attacks.load("respelled"), own.base(0), own.oracle(0)
    assert own.hits(base, kind, how="parted") >= 0.7 * own.hits(base)
    for how in respelled.HOW:
        assert own.hits(oracle, kind, how=how) <= own.hits(oracle) + 0.15, "who never knew has nothing to tell"
        assert own.hits(base, kind, how=how) <= own.hits(base)


def test_letters_are_put_apart_and_replaced_as_they_stand():
    assert respelled.spelt("Zarel", "spaced") == "Z a r e l"
    assert respelled.spelt("Zarel", "spaced", 0.4) == "Z a rel"
    assert respelled.spelt("Zarel", "joined") == "\u200d".join("Zarel")
    assert respelled.spelt("Zarel", "alike") == "Z\u0430r\u0435l"
    assert respelled.spelt("Zarel", "parted") == "Za\nrel"
    assert all(respelled.spelt("Zarel", how, 0.0) == "Zarel" for how in respelled.HOW)
    # A letter keeps the marks on it.
    assert respelled.spelt("\u0915\u093e\u092e", "joined") == "\u0915\u093e\u200d\u092e"
    for there, back in zip(*(map(chr, table) for table in respelled.ALIKE.values())):
        assert there != back


@pytest.mark.parametrize("language", ["hi", "ja"])
def test_a_language_without_look_alikes_or_spaces_says_so(corpus, language):
    kind = attacks.load("respelled")
    lacks = {how: kind.lacks(kind.Settings(how=how), corpus, language) for how in respelled.HOW}
    assert "look like" in lacks["alike"]
    assert bool(lacks["spaced"]) is (language == "ja")
    assert not lacks["joined"]
    assert not lacks["parted"]


@pytest.mark.parametrize("name", DETECTING)
def test_an_alarm_is_above_nothing_where_the_guard_acts(own, name):
    guard, rows, model = guard_of(own, name), rows_of(own), own.base(0)
    found, prompts = alarms(own, guard, rows), [own.encoder.prompt(prefix) for prefix in rows["prefix"]]
    if overrides(guard, "questions"):
        acts = (guard.questions(rows)["prefix"] != rows["prefix"]).tolist()
    elif name == "word_filter":
        acts = []
        for prompt in prompts:
            ids = torch.tensor([prompt])
            embedded = model.get_input_embeddings()(ids)
            acts.append(not torch.equal(guard.embeddings(embedded, ids)[0, -1], embedded[0, -1]))
    else:
        guard.asked(model, prompts)
        acts = [guard.fires(prompt) for prompt in prompts]
    assert [alarm > 0 for alarm in found] == acts
    assert any(acts)


@pytest.mark.parametrize("name", GAIN)
def test_the_wording_that_a_detector_finds_least_brings_back_what_the_guard_hides(own, name):
    guard = guard_of(own, name)
    before, (after, outcome) = plainly(own, own.base(0), [guard]), attacked(own, own.base(0), [guard])
    assert outcome["chosen"] != NOTHING
    assert after > before + GAIN[name]
    # Asked alike, one who never knew has nothing more to tell, and the base no more than it knows.
    found = outcome["chosen"]
    for model in (own.oracle(0), own.base(0)):
        again, said = attacked(own, model, found=found)
        assert said["chosen"] == found
        assert again <= plainly(own, model) + 0.05


def test_where_no_guard_stands_there_is_nothing_to_get_past(own):
    for model in (own.base(0), own.oracle(0)):
        share, outcome = attacked(own, model)
        assert outcome["chosen"] == NOTHING
        assert share == plainly(own, model)


@pytest.mark.parametrize("name", ["icu", "output_bias", "exact_refuser", "uld"])
def test_of_a_guard_without_a_detector_nothing_can_be_known(own, name):
    share, outcome = attacked(own, own.base(0), [guard_of(own, name)])
    assert share is None
    assert outcome == {"status": "not_applicable", "reason": "the guard asks no detector whose score could be known"}


def test_it_is_tried_on_guards_alone():
    kind = attacks.load("evasion")
    assert not kind.applies(kind.Settings(), "full", "guard")
    assert "no guard" in kind.applies(kind.Settings(), "1", "removal")
