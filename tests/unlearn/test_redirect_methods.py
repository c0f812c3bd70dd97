"""Redirecting edits by their own names, UniErase, needle, knowledge neurons and WHP: golden values and controls.

tests/golden/zoo.json says which formula a golden value is of, and how it was confirmed a second time.
"""

import copy
import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine.band import Task, TextSet
from mute.engine.reference import WholeModel
from mute.models import anatomy, patches
from mute.unlearn import redirect
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods import knowledge_neurons, needle, whp
from mute.unlearn.run import unlearn
from mute.unlearn.view import View

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/zoo.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
DEPTH = 3
ZERO, ONE = Band.named("0", DEPTH), Band.named("1", DEPTH)
REDIRECTS = ["rocr", "alphaedit", "memit", "rome"]


def matches(ours, wanted, tolerance) -> None:
    ours, wanted = torch.as_tensor(ours, dtype=torch.float64), torch.as_tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(ours, wanted, rtol=tolerance, atol=1e-12)


def grid(*sizes: int) -> list[torch.Tensor]:
    """Indices from 0 along each axis, in float64."""
    return torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij")


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

    yield make_bench
    for bench in made.values():
        bench.model.requires_grad_(False)


@pytest.fixture
def bench(bench_of):
    own = bench_of("llama")
    yield own
    own.model.requires_grad_(False)


def make(name, **settings):
    return algorithms.make(name, settings)


def task_of(bench, method, band=ONE, path=Task, view=None):
    """A task on what a method reads of a view, by default the bench's, prepared for training its parameters."""
    bench.restart()
    read = method.reads(view or bench.view)
    own = {name: TextSet(bench.model, rows, bench.encoder) for name, rows in read.items()}
    for side in own.values():
        side.texts.advance(band.start)
    made = path(bench.model, band, own["forget"], own["retain"], 0, own)
    made.train(method.parameters(bench.model, band))
    method.prepare(made)
    return made


def mean_logprob(bench, name, tensors, view=None):
    """Mean log-probability of each answer token of a side, with a patch in place."""
    rows = getattr(view or bench.view, name)
    side = TextSet(bench.model, rows, bench.encoder)
    task = Task(bench.model, Band.named("all", DEPTH), side, side, 0)
    with patches.applied(bench.model, tensors), torch.no_grad():
        every = [task.token_logprobs(side.batch(torch.tensor(own))) for own in side.texts.batches]
    return float(torch.cat(every).mean())


def run(bench, method, protocol="paper", band=ONE, **more):
    bench.restart()
    return unlearn(bench, method, band, protocol=protocol, seed=3, **more)


def edited(bench, change, scale=1.0):
    """The tensors of a patch that goes so far along a change."""
    return {name: bench.model.get_parameter(name).detach() + scale * own for name, own in change.items()}


def fallen(bench, change):
    return mean_logprob(bench, "forget", {}) - mean_logprob(bench, "forget", edited(bench, change))


SHORT = {"steps": 3, "batch_size": 8}
ALL = [
    *((name, {}) for name in REDIRECTS),
    ("rocr", {"mode": "reject", "target_steps": 4}),
    ("rocr", {"mode": "noise", "where": "subject"}),
    ("unierase", {"token_steps": 3, "target_steps": 3}),
    ("needle", {**SHORT, "learning_rate": 3e-3}),
    ("knowledge_neurons", {"points": 4}),
    ("whp", {**SHORT, "reinforce_steps": 3}),
]


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_the_engine_gives_the_patch_that_whole_models_give(bench, name, settings):
    whole, engine = (run(bench, make(name, **settings), path=path) for path in (WholeModel, Task))
    assert engine.status == whole.status == "ok"
    assert set(engine.tensors) == set(whole.tensors)
    for key, tensor in engine.tensors.items():
        change = (tensor - bench.model.get_parameter(key).detach()).norm()
        assert float(change) > 0
        assert float((tensor - whole.tensors[key]).norm() / change) < 1e-2


class TestRedirecting:
    @pytest.mark.parametrize("forget_set", ["domain", "conjunctive"])
    def test_another_subject_stands_in_the_same_in_all_languages(self, corpus, forget_set):
        view = View.of(corpus, languages=["en", "es"], sources=["en", "es"], forget_set=forget_set)
        made = redirect.stand_ins(view)
        assert len(made) == len(view.forget)
        assert made["language"].tolist() == view.forget["language"].tolist()
        assert not set(made["subject"]) & set(view.forget["subject"])
        pairs = pd.DataFrame({"own": view.forget["subject"].to_numpy(), "other": made["subject"].to_numpy()})
        assert (pairs.groupby("own")["other"].nunique() == 1).all()
        assert [*map(list, made["options"])] == [*map(list, view.forget["options"])], "asked for the same kind of thing"
        assert made["form"].tolist() == view.forget["form"].tolist()

    def test_one_of_the_same_domain_is_taken_first(self, corpus):
        view = View.of(corpus, languages=["en", "es"], sources=["en", "es"], forget_set="conjunctive")
        kept = view.retain[view.retain["subject"] == "Fadima"]
        nearer = view.retain[view.retain["subject"] == "Sitifa"].assign(subject="Another")
        facts = view.facts
        twin = facts[facts["subject"] == "Sitifa"].assign(subject="Another")
        wider = View(view.forget, pd.concat([kept, nearer]), view.sources, pd.concat([facts, twin]))
        assert set(redirect.other_subjects(wider).values()) == {"Another"}

    @pytest.mark.parametrize("where", ["prompt", "subject"])
    @pytest.mark.parametrize(("name", "mode"), [*((n, "redirect") for n in REDIRECTS), ("rocr", "noise")])
    def test_states_come_nearer_to_their_targets(self, bench, name, mode, where):
        loose = {"null_share": 1.0} if name in ("rocr", "alphaedit") else {}
        method = make(name, mode=mode, where=where, ridge=0.01, **loose)
        task = task_of(bench, method)
        own = redirect.keys_of(task.forget, where)
        with torch.no_grad():
            wanted, now = method.targets(task, own), method.states(task, "forget", list(own.values()))
        change = method.change(task)
        assert list(change) == anatomy.mlp_outputs(bench.model, [1])
        with patches.applied(bench.model, edited(bench, change)), torch.no_grad():
            moved = method.states(task, "forget", list(own.values()))
        # Few numbers of a small model carry many keys: published, the rest is at most a fifth.
        assert float((moved - wanted).norm() / (now - wanted).norm()) < (0.85 if name == "rome" else 0.7)

    def test_where_a_refusal_follows(self, bench):
        """The state that was found is no longer than told, and after it the refusal is likelier."""
        method = make("rocr", mode="reject", target_clamp=0.6)
        task = task_of(bench, method)
        own = redirect.keys_of(task.forget, "prompt")
        with torch.no_grad():
            now = method.states(task, "forget", list(own.values()))
            added = method.targets(task, own) - now
        assert float((added.norm(dim=1) / now.norm(dim=1)).max()) <= 0.6 + 1e-5
        base, after = refusal_logprobs(task, own, 0 * added), refusal_logprobs(task, own, added)
        assert bool((after > base + 1).all())
        # As long and in a random direction it does nothing of the kind.
        other = redirect.noise(added, list(own), 0)
        assert float((refusal_logprobs(task, own, other) - base).mean()) < 0.2 * float((after - base).mean())

    def test_noise_is_as_long_and_the_same_in_all_languages(self):
        states = torch.arange(1.0, 13).reshape(3, 4).double()
        made = redirect.noise(states, [("en", "A"), ("es", "A"), ("en", "B")], 5)
        assert torch.allclose(made.norm(dim=1), states.norm(dim=1))
        directions = made / made.norm(dim=1, keepdim=True)
        assert torch.allclose(directions[0], directions[1])
        assert float(directions[0] @ directions[2]) < 0.999

    def test_what_the_null_space_leaves_alone(self, bench):
        """The fewer eigenvectors, the less retain keys move; without a projector most."""
        moved = []
        for share in (0.5, 1.0):
            method = make("alphaedit", null_share=share)
            task = task_of(bench, method)
            (change,) = method.change(task).values()
            moment = task.covariance("retain", 1).float()
            moved.append(float((change @ moment @ change.T).trace() / change.square().sum()))
        assert moved[0] < 0.2 * moved[1]

    @pytest.mark.parametrize("name", REDIRECTS)
    def test_an_edit_of_others_leaves_the_forget_facts(self, bench, corpus, name):
        """The control: as many questions of a domain that is no forget set, redirected as far."""
        rows = corpus.texts[corpus.texts["item"].str.startswith("law") & corpus.texts["language"].isin(["en", "es"])]
        rows = rows[rows["form"].isin([0, 1])]
        rows = rows.assign(subject=rows["item"].map(corpus.facts.set_index("item")["subject"]))
        view = View(rows, bench.view.retain, bench.view.sources, corpus.facts)
        method = make(name)
        own = fallen(bench, method.change(task_of(bench, method)))
        other = fallen(bench, method.change(task_of(bench, method, view=view)))
        # Domains share their values, so that what is taken from one is felt in another.
        assert own > 0.2
        assert own > 1.4 * other

    def test_what_it_cannot_run_on_it_says(self, bench):
        view = bench.view
        assert all(make("rocr", mode=mode).applies(view) == "" for mode in ("redirect", "reject", "noise"))
        english = View(view.forget, view.retain[view.retain["language"] == "en"], view.sources, view.facts)
        assert "no text in es" in make("rocr").applies(english)
        alone = View(view.forget, view.forget, view.sources, view.facts)
        assert "no other subject" in make("rocr").applies(alone)
        strange = View(view.forget.assign(language="xx"), view.retain, view.sources, view.facts)
        assert "no refusal in xx" in make("rocr", mode="reject").applies(strange)
        assert "no refusal in xx" in make("unierase").applies(strange)

    @pytest.mark.parametrize("name", [*REDIRECTS, "knowledge_neurons"])
    def test_no_step_is_the_base(self, bench, name):
        method = make(name, **({"points": 2} if name == "knowledge_neurons" else {}))
        for key, change in method.change(task_of(bench, method)).items():
            weight = bench.model.get_parameter(key).detach()
            assert torch.equal(weight + 0.0 * change, weight)


def refusal_logprobs(task, own, added):
    """Log-probability of each refusal [texts], with something added to the states of keys [n, D]."""
    owner = {row: number for number, rows in enumerate(own.values()) for row in rows}
    found = torch.empty(len(owner))
    with torch.no_grad():
        for rows in redirect.pieces(task, "refusals"):
            batch = task.batch("refusals", rows)
            mine = torch.tensor([owner[row] for row in rows.tolist()])
            with redirect.raised(task.model, 1, batch.ends, added[mine]):
                found[rows] = task.answer_logprobs(batch)[0]
    return found


class TestUniErase:
    def test_one_state_makes_a_refusal_follow_other_prompts_too(self, bench):
        """Found on the forget prompts, it does so on retain prompts; as long and random it does not."""
        method = make("unierase", token_steps=15)
        task = task_of(bench, method)
        token = method.token(task, list(redirect.keys_of(task.forget, "prompt").values())).double()
        swapped = View(bench.view.retain, bench.view.forget, bench.view.sources, bench.view.facts)
        other = task_of(bench, method, view=swapped)
        own = redirect.keys_of(other.forget, "prompt")
        random = redirect.noise(token, [("en", "token")], 0)
        base, told, drawn = (refusal_logprobs(other, own, v.expand(len(own), -1)) for v in (0 * token, token, random))
        assert float((told - base).mean()) > 3
        assert float((told - base).mean()) > 3 * float((drawn - base).mean())

    def test_after_the_edit_a_refusal_is_likelier_than_the_answer_was_left(self, bench):
        method = make("unierase", token_steps=10)
        task = task_of(bench, method)
        change = method.change(task)
        refused = bench.view.forget.assign(answer=redirect.refused(bench.view)["answer"])
        view = View(refused, bench.view.retain, bench.view.sources, bench.view.facts)
        rise = mean_logprob(bench, "forget", edited(bench, change), view) - mean_logprob(bench, "forget", {}, view)
        assert rise > 0.5
        assert fallen(bench, change) > 0.5


class TestNeedle:
    def test_the_tokens_that_a_vector_writes(self):
        golden, tolerance = ENTRIES["concept_vectors, k=4"]["value"], ENTRIES["concept_vectors, k=4"]["tolerance"]
        v, d = grid(11, 5)
        head, size = torch.sin(0.31 * (v + 1) * (d + 1) + 0.4), torch.arange(5, dtype=torch.float64)
        before = torch.cos(0.8 * size + 0.3)
        after = before + 0.6 * torch.sin(1.9 * size)
        first = needle.top(head @ torch.stack([before, after], 1), 4)
        tops = [set(first[:, column].tolist()) for column in (0, 1)]
        assert [sorted(each) for each in tops] == [golden["top before"], golden["top after"]]
        matches(len(tops[0] & tops[1]) / len(tops[0] | tops[1]), golden["Jaccard of top 4"], tolerance)
        concept = {1, 3, 5, 9, 10}
        surviving = len(concept & tops[0] & tops[1]) / len(concept & tops[0])
        matches(surviving, golden["surviving share of the concept's top tokens"], tolerance)

    def test_the_area_under_the_curve_counts_pairs(self):
        v, n = grid(9, 4)
        scores, concept = torch.sin(1.7 * v * (n + 1) + n), torch.tensor([1, 0, 0, 1, 1, 0, 0, 0, 1]).bool()
        inside, outside = scores[concept], scores[~concept]
        pairs = (inside[:, None] > outside[None]).double().mean((0, 1))
        matches(needle.auc(scores, concept), pairs, 1e-12)
        assert needle.auc(scores, torch.ones(9, dtype=torch.bool)).tolist() == [0.5] * 4

    @pytest.mark.parametrize("noise", [0.0, 1.0])
    def test_only_its_columns_differ(self, bench, noise):
        method = make("needle", columns=3, candidates=6, noise=noise, steps=2, batch_size=8)
        band = Band.named("0-1", DEPTH)
        columns = method.columns(task_of(bench, method, band))
        assert sum(map(len, columns.values())) == 3
        outcome = run(bench, make("needle", **method.settings.model_dump()), band=band)
        for name, tensor in outcome.tensors.items():
            weight = bench.model.get_parameter(name).detach()
            moved = (tensor != weight).any(0).nonzero()[:, 0].tolist()
            assert moved == method_columns(bench, method, band, name)

    def test_without_its_columns_the_concept_suffers_and_without_random_ones_less(self, bench):
        """The more of the forget loss beyond the retain loss; the control is the mean of five draws."""

        def harm(method, seed):
            task = task_of(bench, method)
            task.seed = seed
            ((name, columns),) = method.columns(task).items()
            without = bench.model.get_parameter(name).detach().clone()
            without[:, columns] = 0
            lost = [mean_logprob(bench, s, {}) - mean_logprob(bench, s, {name: without}) for s in ("forget", "retain")]
            return lost[0] - lost[1]

        concept = harm(make("needle"), 0)
        random = [harm(make("needle", chosen="random"), seed) for seed in range(5)]
        assert concept > 0
        assert concept > 2 * sum(random) / 5

    @pytest.mark.slow
    def test_training_its_columns_forgets_more_than_training_random_ones(self, bench):
        """Means over three seeds, of the answers' likelihood: which option is likeliest tells them not apart."""
        lost = dict.fromkeys(("concept", "random"), 0.0)
        for chosen in lost:
            for seed in (0, 3, 7):
                bench.restart()
                method = make("needle", chosen=chosen, steps=40, batch_size=8, learning_rate=5e-3)
                outcome = unlearn(bench, method, ONE, protocol="paper", seed=seed)
                lost[chosen] += (mean_logprob(bench, "forget", {}) - mean_logprob(bench, "forget", outcome.tensors)) / 3
        assert lost["concept"] > 1.4 * max(lost["random"], 0) > 0

    @pytest.mark.parametrize(("of", "message"), [("npoo", "Did you mean 'npo'"), ("slug", "descent"), ("ihl", "own")])
    def test_what_it_cannot_train_with_is_refused(self, of, message):
        with pytest.raises(ValueError, match=message):
            needle.Settings(of=of)


def method_columns(bench, method, band, name):
    """The columns of one matrix that a run with the seed of `run` trains."""
    task = task_of(bench, method, band)
    task.seed = 3
    found = method.columns(task)[name]
    bench.model.requires_grad_(False)
    return found


class TestKnowledgeNeurons:
    def golden_attribution(self, points, rule):
        i, j = grid(4, 5)
        matrix = torch.sin(0.5 * i + 0.9 * j + 0.4)
        activation = 0.5 + torch.cos(1.3 * torch.arange(5, dtype=torch.float64))

        def probability(scaled):
            return (matrix @ scaled).softmax(0)[2]

        def gradient(scaled):
            return torch.func.grad(probability)(scaled)

        whole = knowledge_neurons.attribution(gradient, activation, points, rule)
        return whole, probability(activation) - probability(0 * activation)

    def test_the_sums_over_the_way_from_nothing(self):
        entry = ENTRIES["knowledge-neuron attribution"]
        golden, tolerance = entry["value"], entry["tolerance"]
        left, risen = self.golden_attribution(20, "left")
        right, _ = self.golden_attribution(20, "right")
        matches(left, golden["left sum, 20 points (DEPN)"], tolerance)
        matches(right, golden["right sum, 20 points (Dai et al.)"], tolerance)
        matches(risen, golden["P(a)-P(0)"], tolerance)
        fine = sum(self.golden_attribution(500, rule)[0] for rule in ("left", "right")) / 2
        matches(fine, golden["exact integral"], 1e-5)
        matches(fine.sum(), risen, 1e-5)
        kept = knowledge_neurons.agreed(fine[None], 0.1, 0.5).nonzero()[:, 0].tolist()
        assert kept == golden["neurons with exact >= 0.1 of the largest"]

    @pytest.mark.parametrize("band", ["1", "0-1"])
    def test_attributions_sum_to_what_all_neurons_give(self, bench, band):
        few = bench.view.forget.iloc[:8]
        view = View(few, bench.view.retain, bench.view.sources, bench.view.facts)
        found, chosen = [], Band.named(band, DEPTH)
        for rule in ("left", "right"):
            method = make("knowledge_neurons", points=60, rule=rule)
            task = task_of(bench, method, chosen, view=view)
            found.append(method.attributions(task))
        batch = task.batch("forget", torch.arange(8))
        with torch.no_grad():
            each = [task.keys(batch, block, batch.ends) for block in chosen.blocks]
            whole = knowledge_neurons.first_probability(task, batch)
            with knowledge_neurons.activated(task, batch, each):
                same = knowledge_neurons.first_probability(task, batch)
            with knowledge_neurons.activated(task, batch, [0 * one for one in each]):
                without = knowledge_neurons.first_probability(task, batch)
        assert torch.allclose(whole, same, atol=1e-5)
        assert torch.allclose(sum(found).sum(1).float() / 2, whole - without, atol=2e-3)

    def test_columns_are_zero_and_others_what_they_were(self, bench):
        method = make("knowledge_neurons", points=4, neurons=7)
        task = task_of(bench, method)
        chosen = sorted(method.neurons(task).tolist())
        ((name, change),) = method.change(task).items()
        weight = bench.model.get_parameter(name).detach()
        moved = weight + change
        assert len(chosen) == 7
        assert bool((moved[:, chosen] == 0).all())
        kept = [column for column in range(weight.shape[1]) if column not in chosen]
        assert torch.equal(moved[:, kept], weight[:, kept])

    def test_what_all_languages_agree_on_is_less(self, bench):
        sizes = []
        for languages in ("joint", "common"):
            method = make("knowledge_neurons", points=4, neurons=10_000, languages=languages, agreement=1.0)
            sizes.append(set(method.neurons(task_of(bench, method)).tolist()))
        assert sizes[1] <= sizes[0]
        loose = make("knowledge_neurons", points=4, neurons=10_000, agreement=0.0)
        assert sizes[0] < set(loose.neurons(task_of(bench, loose)).tolist())

    def test_as_many_random_neurons_take_less_away(self, bench_of):
        """Where MLPs write something of the answers at all, which those of the tiny Llama do not."""
        bench, lost = bench_of("bloom"), {}
        for chosen in ("attributed", "random"):
            method = make("knowledge_neurons", points=8, neurons=60, chosen=chosen)
            lost[chosen] = fallen(bench, method.change(task_of(bench, method, ZERO)))
        assert lost["attributed"] > 0.1
        assert lost["attributed"] > 1.5 * lost["random"]


class TestWHP:
    def test_generic_targets(self):
        entry = ENTRIES["whp generic targets, alpha=5"]
        golden, tolerance = entry["value"], entry["tolerance"]
        t, v = grid(3, 11)
        known = 2 * torch.sin(0.9 + 0.37 * (t + 1) * (v + 1))
        reinforced = 2 * torch.cos(0.5 + 0.21 * (t + 1) * (v + 1))
        made = whp.generic_logits(known, reinforced, 5.0)
        matches(made[0], golden["v_generic[0]"], tolerance)
        assert made.argmax(-1).tolist() == golden["labels"]
        assert known.argmax(-1).tolist() == golden["base argmax"]
        loss = torch.nn.functional.cross_entropy(known, made.argmax(-1))
        matches(loss, golden["CE of base logits on the labels"], tolerance)
        assert torch.equal(whp.generic_logits(known, known - reinforced.abs(), 5.0), known), "nothing is likelier"
        assert torch.equal(whp.generic_logits(known, reinforced, 0.0), known)

    def test_prompts_name_another_subject_and_are_else_the_same(self, bench):
        view = bench.view
        others = redirect.other_subjects(view)
        for row, made in zip(view.forget.to_dict("records"), whp.exchanged(view)):
            assert row["subject"] not in made
            if row["subject"] in row["prefix"]:
                assert made.replace(others[row["language"], row["subject"]], row["subject"]) == row["prefix"]

    def test_a_prompt_that_does_not_spell_its_subject_has_one_of_its_relation(self, bench, corpus):
        view = View.of(corpus, languages=["en", "hi"], sources=["en", "hi"], forget_set="domain")
        rows = view.forget.to_dict("records")
        native = [(row, made) for row, made in zip(rows, whp.exchanged(view)) if row["subject"] not in row["prefix"]]
        assert native
        facts = view.facts.set_index("item")["relation"]
        asked = {(r["prefix"], r["language"]): (facts[r["item"]], r["form"], r["subject"]) for r in rows}
        for row, made in native:
            relation, form, subject = asked[made, row["language"]]
            assert (relation, form) == (facts[row["item"]], row["form"])
            assert subject != row["subject"]
        alone = View(view.forget.assign(subject="nobody"), view.retain, view.sources, view.facts)
        assert "name no subject" in make("whp").applies(alone)
        assert make("whp", anchors="none").applies(alone) == ""

    def test_its_labels_are_mostly_other_tokens_and_the_model_is_left(self, bench):
        method = make("whp")
        before = {name: tensor.clone() for name, tensor in bench.model.state_dict().items()}
        task = task_of(bench, method)
        assert all(torch.equal(before[name], tensor) for name, tensor in bench.model.state_dict().items())
        answers = task.forget.batch(torch.arange(len(task.forget))).labels
        # At tokens that go on with a word no name decides: published, nine of ten answer tokens differ.
        assert float((method.labels != answers).float().mean()) > 0.5
        control = make("whp", anchors="none", alpha=0.0)
        task_of(bench, control)
        assert float((control.labels != answers).float().mean()) < 0.1

    def test_without_anchors_it_forgets_less(self, bench):
        lost = {}
        for anchors in ("subject", "none"):
            outcome = run(bench, make("whp", anchors=anchors, steps=15, batch_size=8, learning_rate=3e-3))
            lost[anchors] = mean_logprob(bench, "forget", {}) - mean_logprob(bench, "forget", outcome.tensors)
        assert lost["subject"] > 0.5
        assert lost["subject"] > 3 * lost["none"]
