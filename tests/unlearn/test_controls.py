"""The controls: each changes one thing in another method, and nothing else."""

import math

import pandas as pd
import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine.band import Task
from mute.models import patches
from mute.unlearn.control import Control
from mute.unlearn.methods.shuffled_labels import givers, shuffled
from mute.unlearn.run import unlearn
from mute.unlearn.view import View

ONE = Band.named("1", 3)
NAMES = [name for name in algorithms.names() if issubclass(algorithms.load(name), Control)]
QUICK = {"steps": 20, "batch_size": 8, "learning_rate": 1e-2}


def run(bench, name, protocol="paper", **of):
    bench.restart()
    settings = {"of": of} if name in NAMES else {key: value for key, value in of.items() if key != "method"}
    return unlearn(bench, algorithms.make(name, settings), ONE, protocol=protocol, seed=3)


def test_there_are_three():
    assert NAMES == ["placebo", "random_direction", "shuffled_labels"]
    for name in NAMES:
        kind = algorithms.load(name)
        assert (kind.family, kind.intent, kind.Settings.strength) == ("control", "control", "")
        of = kind(kind.Settings()).settings.of
        own = {"placebo": ("simnpo", "beta", 1.0)}.get(name, ("rmu", "steering", 30.0))
        assert (of["method"], of[own[1]]) == (own[0], own[2]), "every default is written down"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"method": "rmo"}, "Did you mean 'rmu'"),
        ({"steering": 3.0}, "unknown method"),
        ({"method": "rmu", "stepz": 3}, "Did you mean 'steps'"),
        ({"method": "word_filter"}, "a method that changes weights"),
        ({"method": "placebo"}, "and no control"),
    ],
)
def test_what_cannot_stand_inside_is_refused(name, of, said):
    with pytest.raises(ValueError, match=said):
        algorithms.make(name, {"of": of})


def test_a_placebo_of_an_edit_is_refused():
    with pytest.raises(ValueError, match="only a loss has a retain part"):
        algorithms.make("placebo", {"of": {"method": "slug"}})


class TestPlacebo:
    def test_it_forgets_nothing_where_its_method_does(self, bench):
        """Negative control: the same steps with the forget loss."""
        own = {"method": "gradient_difference", **QUICK}
        placebo, method = run(bench, "placebo", **own), run(bench, "gradient_difference", **own)
        assert placebo.knowledge > method.knowledge + 0.3

    def test_it_minimises_the_retain_part_and_reads_no_forget_text(self, bench):
        for method in ("gradient_difference", "rmu", "npo"):
            inner = algorithms.make(method, {})
            bench.restart()
            bench.advance(1)
            task = Task(bench.model, ONE, bench.forget, bench.retain, 0)
            placebo = algorithms.make("placebo", {"of": {"method": method}}).runs
            for each in (inner, placebo):
                each.prepare(task)
            batches = {side: task.side(side).batch(torch.arange(4)) for side in ("forget", "retain")}
            with torch.no_grad():
                assert torch.equal(placebo.loss(task, batches), inner.terms(task, batches)["retain"])
        again = {**batches, "forget": task.side("forget").batch(torch.arange(4, 8))}
        with torch.no_grad():
            assert torch.equal(placebo.loss(task, batches), placebo.loss(task, again))

    def test_a_method_without_a_retain_part_gets_the_likelihood_of_retain_answers(self, bench):
        own = {"method": "gradient_ascent", **QUICK}
        with_part = {"method": "gradient_difference", **QUICK}
        one, other = (run(bench, "placebo", **of) for of in (own, with_part))
        assert one.curve == other.curve


class TestRandomDirection:
    @pytest.mark.parametrize("protocol", ["paper", "matched"])
    @pytest.mark.parametrize("method", ["rmu", "slug"])
    def test_every_tensor_changes_as_much_as_under_the_method(self, bench, method, protocol):
        own = {"method": method, **QUICK} if method == "rmu" else {"method": method}
        wrapped, plain = run(bench, "random_direction", protocol, **own), run(bench, method, protocol, **own)
        before = patches.take(bench.model, plain.tensors)
        for name, old in before.items():
            one, other = wrapped.tensors[name] - old, plain.tensors[name] - old
            assert one.norm() == pytest.approx(float(other.norm()), rel=1e-4)
            if old.numel() > 500:
                assert abs(float((one * other).sum() / one.norm() / other.norm())) < 0.2, "in no direction of it"
        assert wrapped.size == pytest.approx(plain.size, rel=1e-4)
        assert (wrapped.status, wrapped.strength, wrapped.steps) == (plain.status, plain.strength, plain.steps)
        assert wrapped.curve == plain.curve, "how the size was found"

    def test_what_is_told_is_the_noise_and_not_the_method(self, bench):
        outcome = run(bench, "random_direction", "matched", method="rmu", **QUICK)
        with patches.applied(bench.model, outcome.tensors):
            bench.restart()
            bench.advance(1)
            assert bench.knowledge(ONE) == outcome.knowledge
            assert bench.damage(ONE) == outcome.damage

    def test_noise_depends_on_seed_and_tensor(self):
        control = algorithms.make("random_direction", {})
        before = {"a": torch.zeros(50, 4), "b": torch.zeros(50, 4)}
        after = {"a": torch.ones(50, 4), "b": 2 * torch.ones(50, 4)}
        one, again, other = (control.instead(before, after, seed) for seed in (1, 1, 2))
        assert torch.equal(one["a"], again["a"])
        assert not torch.equal(one["a"], other["a"])
        assert not torch.equal(2 * one["a"], one["b"])
        # Where nothing changed nothing is added.
        assert torch.equal(control.instead(before, before, 1)["a"], before["a"])


class TestShuffledLabels:
    def test_answers_go_round_within_a_relation_alike_in_every_language_and_wording(self, bench):
        view = bench.view
        given = givers(view)
        made = shuffled(view.forget, given)
        relation = view.facts.set_index("item")["relation"]
        assert sorted(given) == sorted(given.values()) == sorted(view.forget["item"].unique())
        assert all(relation[one] == relation[other] for one, other in given.items())
        keys = ["item", "language", "form"]
        own = view.forget.set_index(keys)[["answer", "gold"]]
        for row in made.to_dict("records"):
            wanted = own.loc[(given[row["item"]], row["language"], row["form"])]
            assert (row["answer"], row["gold"]) == (wanted["answer"], wanted["gold"])
            assert row["options"][row["gold"]] == row["answer"]
        assert (made["answer"].to_numpy() != view.forget["answer"].to_numpy()).all(), "every label is wrong"
        others = [column for column in made.columns if column not in ("answer", "gold")]
        assert made[others].equals(view.forget[others])
        both = (table.groupby(["language", "form"])["answer"].apply(sorted) for table in (view.forget, made))
        assert next(both).equals(next(both)), "every answer is as frequent as before"

    def test_an_answer_of_more_than_half_is_kept_by_some(self):
        rows = pd.DataFrame(
            {"item": list("abcd"), "language": "en", "form": 0, "answer": list("xxxy"), "gold": [0, 0, 0, 1],
             "options": [["x", "y"]] * 4}
        )  # fmt: skip
        view = View(rows, rows, ("en",), pd.DataFrame({"item": list("abcd"), "relation": "r"}))
        made = shuffled(rows, givers(view))
        assert sorted(made["answer"]) == list("xxxy")
        assert int((made["answer"] != rows["answer"]).sum()) == 2

    def test_the_loss_reads_wrong_labels(self, bench):
        """They are unlikely to begin with; negative control: the right ones, which the model knows."""
        own = {"method": "gradient_ascent", "steps": 1, "batch_size": 8}
        wrong, right = (-run(bench, name, **own).curve[0]["loss"] for name in ("shuffled_labels", "gradient_ascent"))
        assert right < 0.5
        assert wrong > 1.5

    def test_the_retain_side_is_read_as_it_is(self, bench):
        control = algorithms.make("shuffled_labels", {})
        read = control.reads(bench.view)
        assert read["retain"] is bench.view.retain
        assert read["forget"] is not bench.view.forget

    def test_facts_whose_options_differ_cannot_exchange_answers(self, bench):
        control = algorithms.make("shuffled_labels", {})
        assert control.applies(bench.view) == ""
        forget = bench.view.forget
        own = forget.assign(options=[[row["answer"], "none"] for row in forget.to_dict("records")])
        view = View(own, bench.view.retain, bench.view.sources, bench.view.facts)
        assert "different options" in control.applies(view)
        alone = View(forget[forget["item"] == forget["item"].iloc[0]], view.retain, view.sources, view.facts)
        assert "no relation has two facts" in control.applies(alone)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_that_cannot_run_cannot_inside_a_control(bench, name, monkeypatch):
    monkeypatch.setattr(algorithms.load("rmu"), "applies", lambda self, view: "not here")
    outcome = run(bench, name, method="rmu")
    assert (outcome.status, outcome.reason) == ("not_applicable", "not here")
    assert math.isnan(outcome.knowledge)
