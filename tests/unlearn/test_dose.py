"""The dose: looks, the point between them, which strength is kept, and the damage by which it is chosen."""

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mute import unlearn as algorithms
from mute.bands import Band
from mute.evaluate.run import questions
from mute.evaluate.subject import Subject
from mute.models import patches
from mute.models.texts import training_texts
from mute.unlearn import dose
from mute.unlearn.dose import Matching
from mute.unlearn.run import between, unlearn

ONE = Band.named("1", 3)


@given(st.integers(1, 5000), st.integers(2, 40))
def test_looks_are_few_ascending_and_end_with_the_last_step(steps, looks):
    found = dose.look_steps(steps, looks)
    assert found == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] == steps
    assert len(found) <= looks
    assert found[0] <= max(1, steps / dose.FIRST) + 0.5 or len(found) == 1


def test_early_steps_are_seen_more_finely():
    assert dose.look_steps(100, 8) == [2, 3, 5, 9, 17, 30, 55, 100]
    assert dose.look_steps(2, 8) == [1, 2]
    assert dose.look_steps(1, 2) == [1]
    gaps = np.diff(dose.look_steps(1000, 8))
    assert (np.diff(gaps) > 0).all()


@pytest.mark.parametrize("seed", range(40))
def test_the_point_is_the_nearest_to_the_dose_that_bisection_can_find(seed):
    """Against a scan of the same falling staircase: the point found is no further off than one step of either."""
    draw = random.Random(seed)
    steps, middle, slope = draw.choice([16, 64, 192]), draw.random(), draw.choice([3, 10, 40])
    asked = []

    def knowledge(point):
        asked.append(point)
        return round(steps / (1 + math.exp(slope * (point - middle)))) / steps

    matching, last = Matching(target=0.5), knowledge(1.0)
    if last > 0.5:
        return
    ends = (knowledge(0.0), last)
    asked.clear()
    found = dose.at_dose(knowledge, 0.0, 1.0, ends, matching=matching, resolution=1 / steps)
    assert len(asked) <= matching.refinements
    tried = [0.0, *asked, 1.0]
    off = abs(knowledge(found) - 0.5)
    ideal = min(np.linspace(0, 1, 2001), key=lambda point: abs(knowledge(point) - 0.5))
    assert off <= 1 / steps or abs(found - ideal) <= 2**-matching.refinements
    assert off == min(abs(knowledge(point) - 0.5) for point in tried)


def test_what_is_at_the_dose_already_is_not_searched():
    def never(point):
        raise AssertionError(point)

    assert dose.at_dose(never, 0.0, 1.0, (1.0, 0.098), matching=Matching(), resolution=0.005) == 1.0


def test_the_look_before_is_taken_where_nothing_is_nearer_and_of_two_the_weaker():
    """Knowledge comes in steps of a few questions: what lies between two looks may be no nearer than the first."""

    def knowledge(point):
        return 4 / 7 if point < 0.5 else 3 / 7

    matching = Matching(target=0.5)
    assert dose.at_dose(knowledge, 0.0, 1.0, (4 / 7, 2 / 7), matching=matching, resolution=0.01) == 0.0
    assert dose.at_dose(knowledge, 0.0, 1.0, (6 / 7, 2 / 7), matching=matching, resolution=0.01) < 0.5


def test_a_point_that_is_no_number_is_too_far():
    def knowledge(point):
        return math.nan if point > 0.3 else 1 - 3 * point

    assert dose.at_dose(knowledge, 0.0, 1.0, (1.0, -0.5), matching=Matching(target=0.2), resolution=0.05) == 0.25


def test_a_point_between_is_exact_at_both_ends_and_rounded_once():
    one = {"a": torch.randn(5, 3), "b": torch.randn(4).bfloat16()}
    other = {name: torch.randn_like(tensor) for name, tensor in one.items()}
    assert all(torch.equal(t, one[n]) for n, t in between(one, other, 0.0).items())
    assert all(torch.equal(t, other[n]) for n, t in between(one, other, 1.0).items())
    middle = between(one, other, 0.25)
    assert torch.allclose(middle["a"], 0.75 * one["a"] + 0.25 * other["a"])
    assert torch.equal(middle["b"], (0.75 * one["b"].float() + 0.25 * other["b"].float()).bfloat16())


def test_which_strength_is_kept():
    def rank(status="ok", damage=0.2, knowledge=0.1, steps=50):
        return dose.rank(status, damage=damage, knowledge=knowledge, steps=steps)

    best_first = [
        rank(damage=-0.02),
        rank(damage=0.104, steps=10),
        # Equal damage but for noise: the one with fewer steps.
        rank(damage=0.096, steps=20),
        rank(damage=0.3, steps=1),
        # Where none arrives, the nearest; its damage is no argument.
        rank("not_reached", knowledge=0.12, damage=0.9),
        rank("not_reached", knowledge=0.3, damage=0.0),
        rank("diverged", steps=40, knowledge=math.nan, damage=math.nan),
        rank("diverged", steps=2, knowledge=math.nan, damage=math.nan),
    ]
    assert best_first == sorted(best_first)
    assert len(set(best_first)) == len(best_first)


def run(bench, name, **settings):
    bench.restart()
    return unlearn(bench, algorithms.make(name, settings), ONE, protocol="matched", seed=3)


@pytest.mark.parametrize(
    ("name", "strengths"),
    [("rmu", [3.0, 10.0, 30.0]), ("gradient_difference", [1e-3, 1e-2, 3e-2]), ("gradient_ascent", [1e-2, 1e30])],
)
def test_the_strength_that_is_kept_is_that_of_trying_each_alone(bench, name, strengths):
    own = {"steps": 40, "batch_size": 8}
    if name == "rmu":
        own["learning_rate"] = 1e-2
    alone = {strength: run(bench, name, strengths=[strength], **own) for strength in strengths}
    best = min(alone.values(), key=lambda outcome: outcome.rank)
    together = run(bench, name, strengths=strengths, **own)
    assert together.strength == best.strength
    assert all(torch.equal(tensor, best.tensors[key]) for key, tensor in together.tensors.items())
    assert (together.status, together.steps, together.knowledge) == (best.status, best.steps, best.knowledge)
    rows = [row for strength in strengths for row in alone[strength].curve]
    assert repr(together.curve) == repr(rows), "as texts: a number that is none equals nothing"
    assert len({outcome.rank for outcome in alone.values()}) > 1, "there is something to choose"


def test_low_rank_updates_are_interpolated_as_what_they_make_of_the_weights(bench):
    outcome = run(bench, "ihl", init="zero", rank=4, strengths=[3e-2], batch_size=8, learning_rate=3e-2, steps=200)
    assert outcome.status == "ok"
    assert abs(outcome.knowledge - 0.5) <= 2 * bench.resolution
    assert any("share" in row for row in outcome.curve) or outcome.curve[-1]["knowledge"] == outcome.knowledge
    with patches.applied(bench.model, outcome.tensors):
        bench.restart()
        bench.advance(1)
        assert bench.knowledge(ONE) == outcome.knowledge


def bits(bench, encoder) -> float:
    """By transformers alone: minus the log-probability of every token of the sentences, by their letters."""
    rows, total, letters = bench.questions["sentences"].rows, 0.0, 0
    with torch.no_grad():
        for prefix, answer in zip(rows["prefix"], rows["answer"]):
            prompt, said = encoder.prompt(prefix), encoder.answer(prefix, answer)
            logprobs = bench.model(input_ids=torch.tensor([prompt + said])).logits[0].log_softmax(-1)
            total -= sum(float(logprobs[len(prompt) - 1 + i, token]) for i, token in enumerate(said)) / math.log(2)
            letters += len(answer)
    return total / letters


def test_damage_is_nothing_of_the_base_and_what_the_whole_model_says_of_another(bench, encoder, monkeypatch):
    assert set(bench.questions) == {"forget", "retain", "sentences", "reading"}
    names = bench.damaging
    assert names[0] == "sentences", "the tiny model was never taught to read: reading counts if it guesses well"
    monkeypatch.setattr(type(bench), "damaging", ["sentences"])
    bench.restart()
    bench.advance(1)
    assert bench.damage(ONE) == pytest.approx(0, abs=1e-6)
    assert bench.under(Subject(bench.model))[2] == pytest.approx(0, abs=1e-6)
    base = bits(bench, encoder)
    assert bench.base["sentences"] == pytest.approx(base, rel=1e-4)
    changed = {n: 1.5 * t for n, t in patches.take(bench.model, bench_names(bench)).items()}
    with patches.applied(bench.model, changed):
        now = bits(bench, encoder)
        assert abs(now / base - 1) > 0.01
        assert bench.damage(ONE) == pytest.approx(1 - base / now, rel=1e-3)


def bench_names(bench):
    return [name for name, _ in bench.model.named_parameters() if name.startswith("model.layers.1.")]


def test_damage_is_that_of_the_formula(bench, monkeypatch):
    """Sentences: bits of the base over bits now; reading: accuracy above chance, if the base is; or else recall."""
    monkeypatch.setattr(bench, "base", {"forget": 1.0, "retain": 0.8, "sentences": 2.0, "reading": 0.625})
    found = {"sentences": 2.5, "reading": 0.375, "retain": 0.2}
    assert bench._lost(found) == pytest.approx(1 - (2.0 / 2.5 + 0.25 / 0.5) / 2)
    monkeypatch.setitem(bench.base, "reading", 0.15)
    assert bench._lost(found) == pytest.approx(1 - 2.0 / 2.5)
    monkeypatch.setattr(bench, "questions", {name: bench.questions[name] for name in ("forget", "retain")})
    assert bench.damaging == ["retain"]
    assert bench._lost({"retain": 0.2}) == pytest.approx(1 - 0.2 / 0.8)


def test_validation_lines_are_read_by_no_training_and_no_evaluation(bench, corpus):
    lines = corpus.validation_lines
    assert set(lines["ability"]) == {"sentences", "reading"}
    rows = {name: bench.questions[name].rows for name in ("sentences", "reading")}
    own = {name: set(zip(table["prefix"], table["answer"])) for name, table in rows.items()}
    asked = questions(corpus, ["en", "es", "hi"], forms=[0, 1, 2])
    read = training_texts(corpus, ["en", "es", "hi"])
    for name, told in own.items():
        assert len(told) == len(rows[name])
        assert told.isdisjoint(zip(asked["prefix"], asked["answer"]))
        assert told.isdisjoint(zip(read[name]["prefix"], read[name]["answer"])), name
        assert set(rows[name]["language"]) == {"en", "es"}
