"""Methods that work on states, and ELM: golden values of their mathematics, identities, and their controls.

tests/golden/zoo.json says which formula, where a value comes from, and how it was confirmed a second time.
"""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.corpus import languages, names_filter, strangers
from mute.engine.band import Task
from mute.engine.reference import WholeModel
from mute.models import anatomy, patches
from mute.unlearn import base, losses, sparse, states, unknown
from mute.unlearn.methods import adaptive_rmu, circuit_breakers, elm, kuda, lunar, sae_unlearn
from mute.unlearn.run import unlearn
from mute.unlearn.view import View

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/zoo.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
SETUP = GOLDEN["setup"]
DEPTH = 3
ONE = Band.named("1", DEPTH)
NAMES = ["adaptive_rmu", "circuit_breakers", "kuda", "lunar", "sae_unlearn", "elm"]


def value(name):
    return ENTRIES[name]["value"]


def close(ours, wanted, tolerance=1e-9) -> bool:
    found = ours.detach().numpy() if isinstance(ours, torch.Tensor) else ours
    return bool(np.isclose(found, wanted, rtol=tolerance, atol=1e-12).all())


def grid(*sizes: int) -> list[torch.Tensor]:
    """Indices from 0 along each axis, in float64."""
    return list(torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij"))


def norm_of(loss, tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, tensor, retain_graph=True)[0].norm()


@pytest.fixture
def hidden():
    """States h [B, T, D] with a gradient, those of before, the mask [B, T], and a direction of length 1."""
    b, t, d = grid(SETUP["B"], SETUP["T"], SETUP["D"])
    h = torch.sin(0.3 * (b + 1) * (t + 1) + 0.11 * (d + 1)).requires_grad_()
    u = torch.arange(1, 6, dtype=torch.float64)
    before = torch.cos(0.2 * (b + 1) * (t + 1) + 0.13 * (d + 1))
    return h, before, torch.tensor(SETUP["labels"]) != -100, u / u.norm()


class TestGolden:
    def test_rmu_over_masked_tokens(self, hidden):
        h, before, mask, u = hidden
        golden = value("rmu token-masked, c=6.5, alpha=1200")
        forget, retain = losses.masked_mse(h, 6.5 * u, mask), losses.masked_mse(h, before, mask)
        assert close(forget, golden["forget"])
        assert close(retain, golden["retain"])
        assert close(forget + 1200 * retain, golden["total"])
        assert close(norm_of(forget, h), golden["grad_norm h (forget)"])

    def test_adaptive_rmu_scales_by_the_states(self, hidden):
        h, _, mask, u = hidden
        golden, whole = value("adaptive_rmu scale=5"), torch.ones_like(mask)
        every = adaptive_rmu.coefficient(h.detach(), whole, 5.0)
        assert close(every, golden["coefficient"])
        as_coded = losses.masked_mse(h, every * u, whole)
        assert close(as_coded, golden["forget loss, all positions (as coded)"])
        assert close(norm_of(as_coded, h), golden["grad_norm h (all positions)"])
        own = adaptive_rmu.coefficient(h.detach(), mask, 5.0)
        assert close(own, golden["coefficient, masked"])
        ours = losses.masked_mse(h, own * u, mask)
        assert not close(ours, golden["forget loss, all positions (as coded)"]), "padding is in no mean"
        # That entry masks the mean, and takes the length over all positions.
        assert close(losses.masked_mse(h, every * u, mask), golden["forget loss, masked"])

    def test_circuit_breakers(self):
        ranks, b, t, d = grid(3, SETUP["B"], SETUP["T"], SETUP["D"])
        now = torch.sin(0.3 * (b + 1) * (t + 1) + 0.11 * (d + 1) + 0.5 * ranks)
        before = torch.cos(0.2 * (b + 1) * (t + 1) + 0.13 * (d + 1) + 0.5 * ranks)
        real = torch.tensor([[1] * 6 + [0], [1] * 4 + [0] * 3]).expand(3, -1, -1)
        golden = value("circuit_breaker alpha=10, T_half=300")
        turned = circuit_breakers.rerouting(now[1:], before[1:], real[1:])
        moved = circuit_breakers.distance(now, before, real)
        coded = circuit_breakers.distance(now * real[..., None], before * real[..., None], torch.ones_like(real))
        assert close(turned, golden["rerouting loss"])
        assert close(moved, golden["retain loss, real tokens only"])
        assert close(coded, golden["retain loss (all layers, pads count as zeros)"])
        assert not close(moved, golden["retain loss (all layers, pads count as zeros)"])
        for step in (30, 150):
            reroute, keep = circuit_breakers.shares(step, 300)
            assert close([10 * keep, 10 * reroute], golden[f"c_retain, c_rr at step {step}"])
            assert close(10 * (reroute * turned + keep * coded), golden[f"total at step {step}"])

    @pytest.mark.parametrize("b", [1.0, 5.0])
    def test_kudas_deviation(self, hidden, b):
        h, before, mask, _ = hidden
        golden = value(f"kuda deviation, inverse temperature {b}")
        loss = kuda.deviation(h, before, mask, b)
        assert close(loss, golden["loss"])
        assert close(norm_of(loss, h), golden["grad_norm h"])

    def test_kudas_projection(self):
        n, d = grid(14, 5)
        keys = torch.sin(0.7 * (n + 1) * (d + 1)) * (1 + 0.5 * torch.cos(d))
        i, j = grid(4, 5)
        gradient = torch.sin(i - 2 * j + 0.3 + 0.5 * i * j)
        moment, golden = keys.T @ keys / 14, value("kuda relaxed null-space projection")
        free = kuda.small_eigenvectors(moment, 0.8)
        projector = free @ free.T
        assert close(torch.linalg.eigvalsh(moment), golden["eigenvalues"], 1e-8)
        assert free.shape[1] == golden["kept"]
        assert close(projector, golden["P"], 1e-8)
        assert close((gradient @ projector).norm(), golden["||G P||"], 1e-8)
        left = (gradient @ projector @ keys.T).norm() / (gradient @ keys.T).norm()
        assert close(left, golden["||G P k|| / ||G k|| on the retained keys"], 1e-8)
        assert torch.allclose(projector @ projector, projector, atol=1e-12)

    @pytest.mark.parametrize("toward", ["zero", "weight"])
    def test_lunars_fit(self, toward):
        i, j = grid(5, 3)
        retained = torch.cos(0.6 * i + 1.1 * j + 0.8 * i * j)
        i, j = grid(5, 2)
        keys = torch.sin(0.9 * i + 0.5 * j + 0.2 + 0.3 * i * j)
        i, j = grid(3, 2)
        wanted = torch.cos(0.4 * i - 0.7 * j)
        i, j = grid(3, 5)
        weight = torch.sin(0.3 * i + 0.8 * j)
        golden = value("lunar closed form, ridge 0.01")
        found = lunar.fitted(weight, keys, wanted, retained @ retained.T, 0.01, toward)
        assert close(found, golden["W'"], 1e-8) == (toward == "zero")
        if toward == "zero":
            assert close((found @ keys - weight @ keys - wanted).norm(), golden["forget error"], 1e-8)
            assert close(((found - weight) @ retained).norm(), golden["retain error"], 1e-8)
        still = lunar.fitted(weight, keys, 0 * wanted, retained @ retained.T, 0.01, toward)
        assert torch.allclose(still, weight, atol=1e-12) == (toward == "weight")

    def test_elms_target(self):
        _, t, v = grid(1, SETUP["T"], SETUP["V"])
        t, v = t[0] + 1, v[0] + 1
        original, expert = 2 * torch.sin(0.9 + 0.37 * t * v)[:4], 2 * torch.cos(0.5 + 0.21 * t * v)[2:6]
        novice, student = 2 * torch.sin(1.3 + 0.29 * t * v)[1:5], 2 * torch.cos(0.7 + 0.17 * t * v)[:4]
        golden = value("elm target and losses, eta 1..5")
        wanted = elm.target(original, expert, novice, elm.strengths(torch.tensor([4]), 5.0))
        assert close(wanted, golden["target"])
        cross = elm.cross_entropy(wanted, student)
        assert close(cross, golden["cross entropy"])
        assert close(cross - elm.cross_entropy(wanted, wanted.log()), golden["KL batchmean"])
        assert elm.strengths(torch.tensor([1, 3]), 9.0).tolist() == [1, 1, 5, 9]
        assert elm.strengths(torch.tensor([1, 2]), 0.0).tolist() == [0, 0, 0]

    def test_the_autoencoder(self, hidden):
        i, j = grid(8, 5)
        encoder = torch.sin(0.7 * i + 1.1 * j)
        k, m = grid(5, 8)
        decoder = torch.cos(0.5 * k + 0.9 * m)
        bias = 0.1 * torch.arange(8, dtype=torch.float64) - 0.3
        shift = torch.full((5,), 0.05, dtype=torch.float64)
        made = sparse.Autoencoder(encoder, bias, decoder / decoder.norm(dim=0), shift)
        golden, state = value("sparse autoencoder loss"), hidden[0][0, 0]
        z = made.latents(state)
        assert close(z, golden["z"])
        assert close((made.made(z) - state).square().mean(), golden["mse (mean over D)"])
        assert close(made.loss(state, 1e-3), golden["loss"])
        assert int((z > 0).sum()) == golden["L0"]

    def test_the_objective_on_latents(self, hidden):
        h, _, mask, _ = hidden
        golden, own = value("sae known/unknown objective"), torch.tensor([0, 1, 3])
        z = (h[..., :4] - 0.1).relu().detach().requires_grad_()
        never = torch.tensor([0.1, 0, 0.3, 0.2], dtype=torch.float64)[own]
        known = torch.tensor([0.6, 0.5, 0.1, 0.7], dtype=torch.float64)[own]
        margin = float((never - known).square().mean())
        assert close(margin, golden["margin"])
        loss = sae_unlearn.objective(z[mask][:, own], never, known, 0.1, margin)
        assert close(loss, golden["loss"])
        assert close(norm_of(loss, z), golden["grad_norm z"])


@pytest.fixture(autouse=True)
def nothing_trains_afterwards(request):
    yield
    if "bench" in request.fixturenames:
        request.getfixturevalue("bench").model.requires_grad_(False)


def make(name, **settings):
    return algorithms.make(name, settings)


def task_of(bench, method, band=ONE, path=Task):
    """A task on what a method reads, prepared for training its parameters."""
    bench.restart()
    own = bench.sides(method)
    bench.advance(band.start)
    made = path(bench.model, band, own["forget"], own["retain"], 0, own)
    made.train(method.parameters(bench.model, band))
    method.prepare(made)
    return made


def run(bench, method, protocol="paper", **more):
    bench.restart()
    return unlearn(bench, method, ONE, protocol=protocol, seed=3, **more)


def mean_logprob(bench, name, tensors):
    """Mean log-probability of each answer token of the bench's forget or retain side, with a patch in place."""
    bench.restart()
    task = Task(bench.model, Band.named("all", DEPTH), bench.forget, bench.retain, 0)
    side = task.side(name)
    with patches.applied(bench.model, tensors), torch.no_grad():
        every = [task.token_logprobs(side.batch(torch.tensor(rows))) for rows in side.texts.batches]
    return float(torch.cat(every).mean())


def outputs(bench, tensors, read, name):
    """Mean over a side's real tokens of what `read` says of states with a patch and without [N, D]."""
    bench.restart()
    bench.advance(1)
    task = Task(bench.model, ONE, bench.forget, bench.retain, 0)
    found = []
    for rows in task.side(name).texts.batches:
        batch = task.batch(name, torch.tensor(rows))
        with torch.no_grad():
            before = task.output(batch)[batch.real]
            with patches.applied(bench.model, tensors):
                found.append(read(task.output(batch)[batch.real], before))
    return float(torch.cat(found).mean())


def cosine(now, before):
    return torch.nn.functional.cosine_similarity(now, before, dim=-1)


def moved(now, before):
    return (now - before).norm(dim=-1) / before.norm(dim=-1)


FAST = {"steps": 15, "batch_size": 8, "learning_rate": 1e-2}


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_gives_the_patch_of_the_plain_path(bench, name):
    settings = {"autoencoder_steps": 40} if name == "sae_unlearn" else {}
    method = make(name, steps=3, batch_size=8, learning_rate=1e-3, **settings)
    whole, engine = (run(bench, method, path=path) for path in (WholeModel, Task))
    assert engine.status == whole.status == "ok"
    before = patches.take(bench.model, engine.tensors)
    for key, tensor in engine.tensors.items():
        assert torch.allclose(tensor, whole.tensors[key], atol=2e-4), key
    assert any(float((engine.tensors[key] - before[key]).abs().max()) > 1e-3 for key in before)


class TestStrangers:
    def test_no_fact_is_about_one(self, corpus):
        subjects = sorted(set(corpus.facts["subject"]))
        found = strangers.of(corpus, subjects)
        assert list(found) == subjects
        assert len({*found.values(), *subjects}) == 2 * len(subjects)
        assert all(names_filter.fit(name) for name in found.values())
        assert found == strangers.of(corpus, subjects), "the same again"
        other = copy.copy(corpus)
        other.about = {**corpus.about, "source": "tofu"}
        assert strangers.of(other, subjects) == {}

    def test_a_view_names_them_and_holds_nothing_else_that_is_new(self, bench, corpus):
        named = {*bench.view.forget["subject"], *bench.view.retain["subject"].dropna()}
        assert set(bench.view.strangers) == named
        assert not set(bench.view.strangers.values()) & set(corpus.facts["subject"])

    def test_a_twin_says_the_same_about_another(self, bench):
        view = bench.view
        found = unknown.twins(view.forget, view)
        assert list(found.index) == list(view.forget.index)
        assert list(found.columns) == list(view.forget.columns)
        for row, twin in zip(view.forget.to_dict("records"), found.to_dict("records"), strict=True):
            name = view.strangers[row["subject"]]
            assert twin["prefix"] == row["prefix"].replace(row["subject"], name) != row["prefix"]
            assert {**twin, "prefix": row["prefix"], "subject": row["subject"]} == row

    def test_a_name_in_other_letters_is_replaced_in_them(self, corpus):
        view = View.of(corpus, languages=["en", "ja"], sources=["en", "ja"], forget_set="domain")
        pack = languages.load("ja")
        native = view.forget[[pack.spell(s) in p for s, p in zip(view.forget["subject"], view.forget["prefix"])]]
        assert len(native)
        assert not any(subject in prefix for subject, prefix in zip(native["subject"], native["prefix"]))
        for row, twin in zip(native.to_dict("records"), unknown.twins(native, view).to_dict("records"), strict=True):
            name = pack.spell(view.strangers[row["subject"]])
            assert twin["subject"] == name
            assert twin["prefix"] == row["prefix"].replace(pack.spell(row["subject"]), name)
        told = unknown.as_told(view.forget)
        assert all(subject in prefix for subject, prefix in zip(told["subject"], told["prefix"]))

    @pytest.mark.parametrize("name", ["lunar", "sae_unlearn", "elm"])
    def test_without_them_a_method_does_not_apply(self, bench, name):
        view = bench.view
        assert make(name).applies(view) == ""
        bare = View(view.forget, view.retain, view.sources, view.facts)
        assert "no names of the subjects' kind" in make(name).applies(bare)


class TestAdaptiveRMU:
    def test_each_language_has_its_own_length(self, bench):
        method = make("adaptive_rmu", scale=2.0)
        task = task_of(bench, method)
        assert bench.forget.frozen is not None
        for language, length in method.lengths.items():
            rows = [row for row, own in enumerate(bench.forget.languages) if own == language]
            every = bench.forget.frozen.split(bench.forget.lengths.tolist())
            norm = torch.cat([every[row][1:].norm(dim=-1) for row in rows]).mean()
            assert float(length) == pytest.approx(2 * float(norm), rel=1e-5)
        assert len(set(map(float, method.lengths.values()))) == 2
        common = make("adaptive_rmu", scale=2.0, norms="common")
        task_of(bench, common)
        assert {float(x) for x in common.lengths.values()} == {2 * float(task.frozen_norm("forget"))}

    def test_without_a_retain_term_retain_states_go_too(self, bench):
        """The control."""
        far = {}
        for weight in (0.0, 100.0):
            outcome = run(bench, make("adaptive_rmu", retain_weight=weight, **FAST))
            far[weight] = outputs(bench, outcome.tensors, moved, "retain")
        assert far[0.0] > 3 * far[100.0]

    def test_its_mlp_outputs_are_those_of_the_last_three_blocks_of_the_band(self, bench):
        method = make("adaptive_rmu", trains="mlp_outputs")
        assert method.parameters(bench.model, Band.named("0-1", DEPTH)) == anatomy.mlp_outputs(bench.model, [0, 1])


class TestCircuitBreakers:
    def test_the_retain_term_grows_while_the_other_fades(self, bench):
        method = make("circuit_breakers", steps=10, tilt=0.5)
        task = task_of(bench, method)
        other = {name: task.batch(name, torch.arange(4)) for name in ("forget", "retain")}
        first = method.terms(task, other)
        again = method.terms(task, other)
        assert float(first["forget"].detach()) == float(again["forget"].detach()), "asked twice, one step"
        for step in range(1, 10):
            batches = {name: task.batch(name, torch.arange(4)) for name in ("forget", "retain")}
            terms = method.terms(task, batches)
            assert float((terms["forget"] / first["forget"]).detach()) == pytest.approx(1 - step / 20, rel=1e-5)
        method.prepare(task)
        again = method.terms(task, other)
        assert float(first["forget"].detach()) == float(again["forget"].detach()), "a new run begins anew"

    def test_the_tilt_gives_a_first_way_to_go(self, bench):
        """Without one the gradient at the start is rounding; with one it is what the direction says."""
        sizes = {}
        for tilt in (1e-9, 0.01, 0.02):
            method = make("circuit_breakers", tilt=tilt)
            task = task_of(bench, method)
            batches = {name: task.batch(name, torch.arange(8)) for name in ("forget", "retain")}
            gradients = task.gradients(method.loss(task, batches), method.parameters(bench.model, ONE))
            sizes[tilt] = sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
        assert sizes[0.02] == pytest.approx(2 * sizes[0.01], rel=0.05)
        assert sizes[1e-9] < 1e-3 * sizes[0.01]

    def test_forget_states_turn_and_with_the_roles_exchanged_retain_states_do(self, bench):
        """The control: rerouting retain text destroys it."""
        found = {}
        for exchanged in (False, True):
            method = make("circuit_breakers", **FAST)
            if exchanged:
                method.reads = lambda view: {"forget": view.retain, "retain": view.forget}
                bench.of = None
            tensors = run(bench, method).tensors
            bench.of = None
            found[exchanged] = {side: outputs(bench, tensors, cosine, side) for side in ("forget", "retain")}
            found[exchanged]["lost"] = mean_logprob(bench, "retain", {}) - mean_logprob(bench, "retain", tensors)
        assert found[False]["forget"] < 0.5 < found[False]["retain"]
        assert found[True]["retain"] < 0.5 < found[True]["forget"]
        assert found[True]["lost"] > found[False]["lost"] + 0.5


class TestKUDA:
    def test_a_change_does_not_leave_the_null_space(self, bench):
        method = make("kuda", relaxation=0.1, **FAST)
        outcome = run(bench, method)
        bench.restart()
        bench.advance(1)
        task = Task(bench.model, ONE, bench.forget, bench.retain, 0)
        (name,) = outcome.tensors
        change = (outcome.tensors[name] - bench.model.get_parameter(name)).double()
        free = kuda.small_eigenvectors(task.covariance("retain", 1), 0.1)
        assert 0 < free.shape[1] < change.shape[1]
        assert float((change - change @ free @ free.T).norm() / change.norm()) < 1e-5

    def test_with_all_directions_a_change_is_felt_more_by_retain_keys(self, bench):
        """The control, P the identity. A change's values on retain keys, beside those of a change in any direction.

        How much is kept at the dose does not differ on these models: forget and retain texts share their wordings.
        """
        felt = {}
        for relaxation in (0.1, float("inf")):
            outcome = run(bench, make("kuda", relaxation=relaxation, **FAST))
            bench.restart()
            bench.advance(1)
            moment = Task(bench.model, ONE, bench.forget, bench.retain, 0).covariance("retain", 1)
            (name,) = outcome.tensors
            change = (outcome.tensors[name] - bench.model.get_parameter(name)).double()
            felt[relaxation] = float((change @ moment @ change.T).trace() / change.square().sum() / moment.trace())
            felt[relaxation] *= len(moment)
        assert felt[0.1] <= 0.1 < felt[float("inf")]

    def test_where_every_direction_is_used_it_does_not_run(self, bench):
        outcome = run(bench, make("kuda", relaxation=1e-6, **FAST))
        assert outcome.status == "not_applicable"
        assert "would leave them alone" in outcome.reason
        assert not outcome.tensors
        assert not any(p.requires_grad for p in bench.model.parameters())


class TestLUNAR:
    def test_states_go_along_the_direction_and_retain_values_stay(self, bench):
        method = make("lunar", coefficient=2.0, ridge=1e-3)
        task = task_of(bench, method)
        (name,) = method.parameters(bench.model, ONE)
        change = method.change(task)[name].double()
        retained, own = task.covariance("retain", 1), task.covariance("forget", 1)
        weight = bench.model.get_parameter(name).detach().double()
        shares = [
            float((change @ c @ change.T).trace() / (weight @ c @ weight.T).trace()) ** 0.5 for c in (retained, own)
        ]
        assert shares[0] < shares[1]

    def test_a_random_direction_does_not_lead_to_what_is_said_about_nobody(self, bench):
        """The control: as long, and answers come no nearer to those about strangers."""
        near = {}
        for direction in ("own", "random"):
            method = make("lunar", coefficient=1.0, ridge=1e-3, retain_weight=0.1)
            if direction == "random":
                found = method._direction

                def random(task, start, languages, state, found=found):
                    own = found(task, start, languages, state)
                    drawn = torch.randn(own.shape[1], generator=torch.Generator().manual_seed(1)).to(own)
                    return own.norm(dim=1, keepdim=True) * (drawn / drawn.norm())

                method._direction = random
            task = task_of(bench, method)
            change = method.change(task)
            before = patches.take(bench.model, change)
            near[direction] = self.apart(bench, {name: before[name] + change[name] for name in change})
        base_apart = self.apart(bench, {})
        assert near["own"] < base_apart
        assert near["own"] < near["random"]

    @staticmethod
    def apart(bench, tensors):
        """KL(what the base says about strangers || what a patched model says about subjects), at the first token."""
        method = make("lunar")
        bench.restart()
        sides = bench.sides(method)
        task = Task(bench.model, Band.named("all", DEPTH), sides["forget"], sides["retain"], 0, sides)
        total = []
        with torch.no_grad():
            for rows in map(torch.tensor, sides["forget"].texts.batches):
                batch, twin = task.batch("forget", rows), task.batch("unknown", rows)
                wanted = bench.model(input_ids=twin.ids).logits[twin.ends].log_softmax(-1)
                with patches.applied(bench.model, tensors):
                    said = bench.model(input_ids=batch.ids).logits[batch.ends].log_softmax(-1)
                total.append((wanted.exp() * (wanted - said)).sum(-1))
        return float(torch.cat(total).mean())


class TestSAE:
    def test_what_it_steers_by_tells_known_from_unknown(self, bench):
        method = make("sae_unlearn")
        task_of(bench, method)
        assert method.explained > 0.9
        assert len(method.chosen) > 5
        assert method.mistaken <= 0.3
        assert method.margin > 0

    def test_it_does_not_run_where_nothing_tells_them_apart(self, bench):
        outcome = run(bench, make("sae_unlearn", told_apart=0.999, autoencoder_steps=40, **FAST))
        assert (outcome.status, outcome.steps) == ("not_applicable", 0)
        assert "no latent tells retain subjects from strangers: the AUC" in outcome.reason
        where = {"where": "prompt", "taken_for_known": 0.0, "autoencoder_steps": 40, **FAST}
        outcome = run(bench, make("sae_unlearn", **where))
        assert outcome.status == "not_applicable"
        assert "does not carry over" in outcome.reason

    def test_latents_come_to_where_strangers_have_them_and_under_rmu_they_do_not(self, bench):
        """The control: as many steps of RMU at the same block, in a random direction."""
        method = make("sae_unlearn", autoencoder_steps=100, **FAST)
        task = task_of(bench, method)
        batch = task.batch("forget", torch.arange(40))

        def apart(tensors):
            with patches.applied(bench.model, tensors), torch.no_grad():
                z = method._latents(task.output(batch)[batch.key])[:, method.chosen]
                return float((z - method.unknown).square().mean())

        own, rmu = (run(bench, made).tensors for made in (method, make("rmu", **FAST)))
        assert apart(own) < 0.3 * apart({}) < apart(rmu)

    def test_pairs_are_compared_and_not_all_with_all(self):
        known = torch.tensor([[1.0, 5.0], [3.0, 5.0], [5.0, 0.0]])
        strange = torch.tensor([[0.0, 5.0], [2.0, 6.0], [4.0, 0.0]])
        assert sparse.separation(known, strange).tolist() == pytest.approx([1.0, 1 / 3])
        assert sae_unlearn.mistaken(known, strange, known, strange) == 0
        assert sae_unlearn.mistaken(known, strange, strange, known) == 1

    def test_the_autoencoder_is_sparse_and_the_same_for_the_same_seed(self):
        generator = torch.Generator().manual_seed(0)
        dictionary = torch.nn.functional.normalize(torch.randn(24, 16, generator=generator), dim=1)
        active = torch.rand(2000, 24, generator=generator) < 0.1
        made = (active * torch.rand(2000, 24, generator=generator)) @ dictionary * 4
        told = {"l1": 1e-2, "steps": 300, "batch": 256, "learning_rate": 3e-3, "seed": 5}
        one, other = (sparse.trained(made, 64, **told) for _ in range(2))
        assert torch.equal(one.encoder, other.encoder)
        assert torch.allclose(one.decoder.norm(dim=0), torch.ones(64), atol=1e-5)
        assert one.explained(made) > 0.9
        assert float((one.latents(made) > 1e-3).float().mean()) < 0.35


class TestELM:
    def test_sides_are_the_same_row_by_row(self, bench):
        read = elm.prefixed(bench.view)
        assert list(read) == ["forget", "novice"]
        assert read["forget"] is bench.view.forget
        assert list(read["novice"]["item"]) == list(bench.view.forget["item"])
        # Lines of a language pack, about the subject as the prompt spells it.
        view = copy.copy(bench.view)
        line = type("Lines", (), {"expert": "I know {s}.", "novice": "I know no {s}."})
        object.__setattr__(view, "phrases", {"en": line})
        read = elm.prefixed(view, "lines")
        assert set(read["forget"]["language"]) == {"en"}
        assert len(read["forget"]) == (view.forget["language"] == "en").sum()
        for who, words in (("expert", "I know "), ("novice", "I know no ")):
            said = words + read["forget"]["subject"] + ". " + read["forget"]["prefix"]
            assert (read[who]["prefix"] == said).all()
        object.__setattr__(view, "strangers", {})
        assert elm.prefixed(view)["novice"].equals(read["novice"])

    def test_with_no_strength_it_teaches_the_model_itself(self, bench):
        method = make("elm", eta=0.0, fluency_weight=0.0)
        task = task_of(bench, method)
        names = method.parameters(bench.model, ONE)
        sizes = []
        for made in (method, make("elm", fluency_weight=0.0)):
            batches = {name: task.batch(name, torch.arange(8)) for name in ("forget", "retain")}
            gradients = task.gradients(made.loss(task, batches), names)
            sizes.append(max(float(g.abs().max()) for g in gradients if g is not None))
        assert sizes[0] < 1e-5 < 1e-2 < sizes[1]

    def test_the_first_target_is_what_the_novice_says(self, bench):
        method = make("elm", eta=1.0)
        task = task_of(bench, method)
        batch = task.batch("forget", torch.arange(8))
        plain, novice = (task.frozen_logits(task.batch(name, batch.rows)) for name in ("forget", "novice"))
        wanted = elm.target(plain, plain, novice, elm.strengths(batch.answer.sum(1), 1.0))
        assert torch.allclose(wanted, novice.softmax(-1), atol=1e-5)

    def test_with_the_prefixes_exchanged_nothing_is_forgotten(self, bench):
        """The control. The answers' own likelihood has no room to rise in models that are sure of them."""
        known, fallen = {}, {}
        base = mean_logprob(bench, "forget", {})
        for exchanged in (False, True):
            method = make("elm", **{**FAST, "learning_rate": 3e-3, "fluency_weight": 0.0})
            if exchanged:
                read = elm.prefixed(bench.view)
                sides = {"forget": read["forget"], "expert": read["novice"], "novice": read["forget"]}
                method.reads = lambda view, sides=sides: {**sides, "retain": view.retain}
            bench.of = None
            outcome = run(bench, method)
            bench.of = None
            known[exchanged] = outcome.knowledge
            fallen[exchanged] = base - mean_logprob(bench, "forget", outcome.tensors)
        assert known[False] < 0.75 < 0.95 < known[True]
        assert fallen[False] > fallen[True] + 0.3

    def test_what_the_novice_writes_is_learned_too(self, bench):
        method = make("elm")
        task = task_of(bench, method)
        fluent = task.side("fluent")
        assert len(fluent) > 0.9 * len(task.forget)
        prompts = {prefix for prefix, _, _ in task.forget.parts}
        assert {prefix for prefix, _, _ in fluent.parts} <= prompts
        batches = {name: task.batch(name, torch.arange(4)) for name in ("forget", "retain", "fluent")}
        own = float(losses.nll(*task.answer_logprobs(batches["fluent"])).detach())
        with_it = float(method.terms(task, batches)["retain"].detach())
        without = float(method.terms(task, {n: batches[n] for n in ("forget", "retain")})["retain"].detach())
        assert with_it - without == pytest.approx(own, rel=1e-4)
        task_of(bench, silent := make("elm", fluency_weight=0.0))
        assert silent.cost().sides == 2


def test_a_state_too_long_for_a_length_has_no_cosine():
    states_, origin = torch.tensor([[1e30, 1.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    found = states.cosine(states_, origin)
    assert bool(found[0].isnan())
    assert float(found[1]) == pytest.approx(1.0)


def test_a_method_that_finds_it_cannot_run_leaves_the_model_alone(bench, monkeypatch):
    def refuse(self, task):
        task.model.get_parameter(self.parameters(task.model, task.band)[0]).data.add_(1.0)
        raise base.NotApplicable("there is nothing to steer by")

    before = {name: tensor.clone() for name, tensor in bench.model.state_dict().items()}
    monkeypatch.setattr(adaptive_rmu.AdaptiveRMU, "prepare", refuse)
    outcome = run(bench, make("adaptive_rmu"), "matched")
    assert (outcome.status, outcome.reason) == ("not_applicable", "there is nothing to steer by")
    assert all(torch.equal(tensor, before[name]) for name, tensor in bench.model.state_dict().items())
