"""What CATNIP, IHL, BLUR, MEOW, the task vector and the redirecting edits say of themselves, and their controls."""

import copy

import pandas as pd
import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine import low_rank
from mute.engine.band import Task, TextSet
from mute.engine.reference import WholeModel
from mute.models import anatomy, patches
from mute.unlearn import edits, losses
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods import blur, meow, null_space_edit
from mute.unlearn.run import unlearn
from mute.unlearn.view import View

DEPTH = 3
ONE = Band.named("1", DEPTH)


@pytest.fixture(scope="module")
def bench_of(trained_model, corpus, encoder):
    """bench_of(family): a workbench at block 0, on a model of its own."""
    made = {}

    def make_bench(family):
        if family not in made:
            made[family] = Workbench(
                copy.deepcopy(trained_model(family)),
                encoder,
                corpus,
                languages=["en", "es", "hi"],
                sources=["en", "es"],
                forget_set="domain",
                retain="source",
                seed=0,
                oracle=None,
                matching=Matching(target=0.5, facts=8),
            )
        made[family].restart()
        return made[family]

    return make_bench


@pytest.fixture
def bench(bench_of):
    return bench_of("llama")


def make(name, **settings):
    return algorithms.make(name, settings)


def task_of(bench, method, band=ONE, path=Task, **sides):
    """A task on what a method reads, prepared for training its parameters."""
    bench.restart()
    own = {**bench.sides(method), **sides}
    bench.advance(band.start)
    for side in own.values():
        side.texts.restart()
        side.texts.advance(band.start)
    made = path(bench.model, band, own["forget"], own["retain"], 0, own)
    made.train(method.parameters(bench.model, band))
    method.prepare(made)
    return made


@pytest.fixture(autouse=True)
def nothing_trains_afterwards(bench_of):
    yield
    bench_of("llama").model.requires_grad_(False)


def mean_logprob(bench, name, tensors):
    """Mean log-probability of each answer token of the bench's forget or retain side, with a patch in place."""
    bench.restart()
    side = getattr(bench, name)
    task = Task(bench.model, Band.named("all", DEPTH), bench.forget, bench.retain, 0)
    with patches.applied(bench.model, tensors), torch.no_grad():
        every = [task.token_logprobs(side.batch(torch.tensor(rows))) for rows in side.texts.batches]
    return float(torch.cat(every).mean())


def run(bench, method, protocol="paper", band=ONE, **more):
    bench.restart()
    return unlearn(bench, method, band, protocol=protocol, seed=3, **more)


class TestCatnip:
    def test_its_loss_is_that_of_the_plain_models_probabilities(self, bench):
        method = make("catnip", beta=0.7)
        task = task_of(bench, method)
        batch = task.batch("forget", torch.arange(6))
        loss = method.loss(task, {"forget": batch})
        p = bench.model(input_ids=batch.ids).logits[:, :-1].softmax(-1).gather(2, batch.ids[:, 1:, None])[..., 0]
        p = p[batch.answer[:, 1:]]
        plain = (2 / 0.7) * (1 + (p / (1 - p)) ** 0.7).log().mean()
        assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-4)

    def test_padding_changes_nothing(self, bench):
        method = make("catnip")
        task = task_of(bench, method)
        short = int(task.forget.lengths.argmin())
        long = int(task.forget.lengths.argmax())
        alone, apart, both = (
            task.token_logprobs(task.batch("forget", torch.tensor(rows)))
            for rows in ([short, short], [long, long], [short, long])
        )
        tokens = int(task.forget.tokens[short])
        assert torch.allclose(both[:tokens], alone[:tokens], atol=1e-5)
        assert torch.allclose(both[tokens:], apart[: int(task.forget.tokens[long])], atol=1e-5)

    def test_it_stops_where_gradient_ascent_goes_on(self, bench):
        """Neither reads retain data; after as many steps the one that goes on has lost more of everything."""
        forgot, kept = {}, {}
        for name in ("catnip", "gradient_ascent"):
            tensors = run(bench, make(name, steps=40, batch_size=8, learning_rate=3e-3)).tensors
            forgot[name], kept[name] = (mean_logprob(bench, side, tensors) for side in ("forget", "retain"))
        assert forgot["gradient_ascent"] < forgot["catnip"] - 5
        assert kept["gradient_ascent"] < kept["catnip"] - 5


class TestIHL:
    def test_its_loss_lies_in_its_bounds_and_falls(self, bench):
        outcome = run(bench, make("ihl", steps=15, batch_size=8, learning_rate=3e-3, retain_weight=0.0))
        assert all(0 <= row["loss"] <= 2 for row in outcome.curve)
        assert outcome.curve[-1]["loss"] < outcome.curve[0]["loss"]

    @pytest.mark.parametrize("family", ["llama", "qwen2", "bloom"])
    @pytest.mark.parametrize("init", ["zero", "fila"])
    def test_a_start_of_updates_leaves_the_logits_what_they_are(self, bench_of, family, init):
        bench, method = bench_of(family), make("ihl", init=init, rank=3)
        task = task_of(bench, method)
        names, batch = method.parameters(bench.model, ONE), task.batch("forget", torch.arange(8))
        before = patches.take(bench.model, names)
        with torch.no_grad():
            plain = task.answer_logits(batch)
        with method.trainables(task, names) as trained, torch.no_grad():
            assert len(trained) == 2 * len(names)
            apart = (task.answer_logits(batch) - plain).abs().max() / plain.abs().max()
            assert apart <= (0 if init == "zero" else 1e-6)
            moved = low_rank.merged(bench.model, names)
        assert all(torch.allclose(moved[name], before[name], atol=1e-6) for name in names)
        assert all(torch.equal(bench.model.get_parameter(name), before[name]) for name in names)
        bench.model.requires_grad_(False)

    @pytest.mark.parametrize("init", ["zero", "fila"])
    def test_a_run_changes_linear_weights_of_the_band_by_low_rank(self, bench, init):
        method = make("ihl", init=init, rank=2, steps=4, batch_size=8, learning_rate=1e-2)
        before = {name: tensor.clone() for name, tensor in bench.model.state_dict().items()}
        order = [name for name, _ in bench.model.named_parameters()]
        whole, engine = (run(bench, method, path=path) for path in (WholeModel, Task))
        assert set(engine.tensors) == set(low_rank.linear_weights(bench.model, [1]))
        assert engine.status == "ok"
        assert engine.size > 0
        for name, tensor in engine.tensors.items():
            change = tensor - before[name]
            # Of FILA two updates differ: that of the end, and that of the start.
            assert int(torch.linalg.matrix_rank(change, rtol=1e-3)) <= (2 if init == "zero" else 4)
            assert torch.allclose(tensor, whole.tensors[name], atol=1e-4)
        assert all(torch.equal(tensor, before[name]) for name, tensor in bench.model.state_dict().items())
        assert [name for name, _ in bench.model.named_parameters()] == order

    @pytest.mark.parametrize("family", ["llama", "bloom"])
    def test_what_a_matched_run_asks_under_way_is_what_its_patch_knows(self, bench_of, family):
        bench = bench_of(family)
        outcome = run(bench, make("ihl", init="fila", batch_size=8, learning_rate=1e-2), "matched")
        assert outcome.status == "ok"
        own = [row for row in outcome.curve if row["strength"] == outcome.strength]
        asked = [row["knowledge"] for row in own if "knowledge" in row]
        assert asked[-1] == outcome.knowledge
        # It came past the dose, and nothing that was asked on the way is nearer to it.
        assert min(asked) <= 0.5
        assert abs(outcome.knowledge - 0.5) == min(abs(known - 0.5) for known in asked)

    def test_fila_starts_where_the_forget_gradients_are(self, bench):
        """Rows that only the forget side moves weigh more than rows that only the retain side moves."""
        method = make("ihl", init="fila")
        task = task_of(bench, method)
        names = anatomy.mlp_outputs(bench.model, [1])
        forget, retain = (method._squares(task, side, names)[names[0]] for side in ("forget", "retain"))
        importance = edits.row_importance(forget, retain)
        share = forget.sum(1) / (forget.sum(1) + retain.sum(1))
        ranks = torch.stack([importance.argsort().argsort(), share.argsort().argsort()]).double()
        assert float(torch.corrcoef(ranks)[0, 1]) > 0.7


class TestBLUR:
    @pytest.mark.parametrize("of", ["npo", "gradient_ascent", "catnip", "rmu"])
    def test_its_step_leaves_the_forget_loss_alone_but_for_gamma(self, bench, of):
        method = make("blur", of=of, gamma=0.3)
        task = task_of(bench, method)
        names = method.parameters(bench.model, ONE)
        batches = {name: task.batch(name, torch.arange(8)) for name in ("forget", "retain")}
        loss, gradients = method.gradients(task, batches, names)
        terms = method.terms(task, batches)
        assert float(loss.detach()) == pytest.approx(float(sum(terms.values()).detach()), rel=1e-5)
        forget = task.gradients(terms["forget"], names)
        rest = edits.combined(1.0, gradients, -0.3, forget)
        assert abs(float(edits.dot(rest, forget) / edits.dot(forget, forget))) < 1e-4

    def test_a_fixed_weight_is_the_method_inside(self, bench):
        """`pen` with gamma 1 goes where the sum of the two terms goes."""
        common = {"steps": 5, "batch_size": 8, "learning_rate": 1e-3}
        plain = run(bench, make("gradient_difference", **common))
        pen = run(bench, make("blur", of="gradient_difference", variant="pen", **common))
        for one, other in zip(plain.curve, pen.curve, strict=True):
            assert one["loss"] == pytest.approx(other["loss"], rel=1e-3, abs=1e-4)

    def test_it_takes_the_settings_of_the_method_inside(self, bench):
        assert make("blur", of="npo", inner={"beta": 0.7}).inner.settings.beta == 0.7
        with pytest.raises(ValueError, match="betta"):
            make("blur", of="npo", inner={"betta": 0.7})

    @pytest.mark.parametrize(
        ("of", "message"), [("npoo", "Did you mean 'npo'"), ("slug", "descent"), ("blur", "descent")]
    )
    def test_what_it_cannot_wrap_is_refused(self, of, message):
        with pytest.raises(ValueError, match=message):
            blur.Settings(of=of)


class TestMEOW:
    def test_inverted_facts_are_other_options_and_the_same_in_all_languages(self, bench):
        forget = bench.view.forget
        made = meow.inverted(forget, meow.Settings(candidates=4))
        assert len(made) == 4 * len(forget)
        assert list(made.columns) == list(forget.columns)
        gold = forget.set_index(["item", "language", "form"])["answer"]
        for row in made.itertuples():
            assert row.answer in row.options
            assert row.answer != gold[row.item, row.language, row.form]
            assert row.options[row.gold] == row.answer
        chosen = made.groupby(["item", "language", "form"])["gold"].agg(frozenset)
        assert chosen.groupby("item").nunique().max() == 1
        apart = meow.inverted(forget, meow.Settings(candidates=4, consistent=False))
        apart = apart.groupby(["item", "language", "form"])["gold"].agg(frozenset)
        assert apart.groupby("item").nunique().max() > 1

    def test_where_there_is_nothing_to_invert_it_does_not_apply(self, bench):
        view = bench.view
        assert make("meow").applies(view) == ""
        alone = view.forget.assign(options=[[answer] for answer in view.forget["answer"]])
        bare = View(alone, view.retain, view.sources, view.facts)
        assert "no other option" in make("meow").applies(bare)

    def test_the_answers_that_memo_likes_least_are_not_taught(self, bench):
        method = make("meow", candidates=4, kept=3)
        task = task_of(bench, method)
        assert int(method.taught.sum()) == 3 * len(bench.forget)
        batch = task.batch("forget", torch.arange(8))
        logprob, tokens = task.answer_logprobs(batch)
        own = method.taught[batch.rows]
        expected = losses.nll(logprob[own], tokens[own])
        assert float(method.loss(task, {"forget": batch}).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)

    def test_it_teaches_another_answer(self, bench):
        """What it teaches becomes likelier, and the gold answer less so: an answer was put in its place."""
        method = make("meow", steps=25, batch_size=16, learning_rate=3e-3)
        outcome = run(bench, method)
        assert outcome.curve[-1]["loss"] < outcome.curve[0]["loss"] - 1
        assert mean_logprob(bench, "forget", outcome.tensors) < mean_logprob(bench, "forget", {}) - 0.4


class TestTaskVector:
    @pytest.mark.parametrize("languages", ["joint", "mean", "consensus"])
    def test_no_step_is_the_base_and_a_step_back_the_tuned_model(self, bench, languages):
        method = make("task_vector", steps=6, batch_size=8, learning_rate=3e-3, languages=languages)
        task = task_of(bench, method)
        names = method.parameters(bench.model, ONE)
        before = patches.take(bench.model, names)
        change = method.change(task)
        assert all(torch.equal(bench.model.get_parameter(name), before[name]) for name in names)
        assert all(torch.equal(before[name] + 0.0 * change[name], before[name]) for name in names)
        tuned, negated = ({name: before[name] + by * change[name] for name in names} for by in (-1.0, 1.0))
        base = mean_logprob(bench, "forget", {})
        assert mean_logprob(bench, "forget", tuned) > base > mean_logprob(bench, "forget", negated)

    def test_consensus_keeps_what_languages_agree_on(self, bench):
        common = {"steps": 4, "batch_size": 8, "learning_rate": 3e-3}
        changes = {}
        for languages in ("mean", "consensus"):
            method = make("task_vector", languages=languages, **common)
            changes[languages] = method.change(task_of(bench, method))
        for name, agreed in changes["consensus"].items():
            kept = agreed != 0
            assert 0.1 < float(kept.float().mean()) < 1
            assert torch.equal(agreed[kept], changes["mean"][name][kept])

    def test_the_vector_of_a_retain_topic_forgets_less(self, bench):
        """As far as the forget set's own vector has to go until half of the knowledge is gone."""
        method = make("task_vector", steps=15, batch_size=8, learning_rate=3e-3)
        own = run(bench, method, "matched")
        assert own.status == "ok"
        other = method.change(task_of(bench, method, forget=bench.retain))
        before = patches.take(bench.model, other)
        lengths = [
            sum(float(t.square().sum()) for t in tensors.values()) ** 0.5
            for tensors in (other, {name: own.tensors[name] - before[name] for name in before})
        ]
        scaled = {name: before[name] + lengths[1] / lengths[0] * other[name] for name in before}
        with patches.applied(bench.model, scaled):
            assert bench.knowledge(ONE) > own.knowledge + 0.2


class TestNullSpaceEdit:
    @pytest.mark.parametrize("variant", ["alphaedit", "memit", "rome"])
    @pytest.mark.parametrize("where", ["prompt", "subject"])
    def test_states_come_nearer_to_those_of_others(self, bench, variant, where):
        method = make("null_space_edit", variant=variant, where=where, ridge=0.01, null_share=1.0)
        task = task_of(bench, method)
        own, others = (null_space_edit.keys_of(side, where) for side in (task.forget, task.retain))
        chosen = null_space_edit.redirected(list(own), list(others), task.seed)
        assert all(chosen[who][0] == who[0] for who in own), "in the same language"

        def states(side, groups):
            place = "key" if where == "subject" else "ends"
            with torch.no_grad():
                return null_space_edit.means(task, side, lambda b: task.output(b)[getattr(b, place)], groups)

        wanted, now = states("retain", [others[chosen[who]] for who in own]), states("forget", list(own.values()))
        change = method.change(task)
        names = list(change)
        assert names == anatomy.mlp_outputs(bench.model, [1])
        before = patches.take(bench.model, names)
        with patches.applied(bench.model, {name: before[name] + change[name] for name in names}):
            moved = states("forget", list(own.values()))
        # ROME puts in one key after the other: what a later one needs takes from what the earlier ones were given.
        assert float((moved - wanted).norm() / (now - wanted).norm()) < (0.85 if variant == "rome" else 0.6)

    def test_what_the_null_space_leaves_alone(self, bench):
        """Retain keys move less than under the same edit without a projector, the fewer eigenvectors the less."""
        moved = []
        for share in (0.5, 0.75, 1.0):
            method = make("null_space_edit", null_share=share)
            task = task_of(bench, method)
            (change,) = method.change(task).values()
            moment = task.covariance("retain", 1).float()
            moved.append(float((change @ moment @ change.T).trace() / change.square().sum()))
        assert moved[0] < moved[1] < moved[2]
        assert moved[0] < 0.2 * moved[2]

    def test_an_edit_of_others_leaves_the_forget_facts(self, bench, corpus, encoder):
        """The control: as many questions of a domain that is no forget set, redirected as far."""
        method = make("null_space_edit")
        rows = corpus.texts[corpus.texts["item"].str.startswith("law") & corpus.texts["language"].isin(["en", "es"])]
        rows = rows[rows["form"].isin([0, 1])]
        fallen = {}
        base = mean_logprob(bench, "forget", {})
        for name, sides in (("own", {}), ("other", {"forget": TextSet(bench.model, rows, encoder)})):
            task = task_of(bench, method, **sides)
            change = method.change(task)
            before = patches.take(bench.model, change)
            fallen[name] = base - mean_logprob(bench, "forget", {key: before[key] + change[key] for key in change})
        # Domains share their values, so that what is taken from one is felt in another.
        assert fallen["own"] > 1.5 * fallen["other"]

    def test_without_a_target_in_a_language_it_does_not_apply(self, bench):
        view = bench.view
        assert make("null_space_edit").applies(view) == ""
        english = view.retain[view.retain["language"] == "en"]
        bare = View(view.forget, english, view.sources, pd.DataFrame())
        assert "no text in es" in make("null_space_edit").applies(bare)

    def test_no_step_is_the_base(self, bench):
        method = make("null_space_edit")
        task = task_of(bench, method)
        for name, change in method.change(task).items():
            weight = bench.model.get_parameter(name).detach()
            assert torch.equal(weight + 0.0 * change, weight)
