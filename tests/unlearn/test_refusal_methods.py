"""Preference and refusal: losses against golden values, and what the methods say of themselves, with their controls."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine.band import Task
from mute.engine.reference import WholeModel
from mute.models import patches, pretrain
from mute.unlearn import losses, refusals
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods import altpo, bidi_distill, dpo, flat, idk_nll, jensun, relearn
from mute.unlearn.run import unlearn

NAMES = ("altpo", "bidi_distill", "dpo", "flat", "icku", "idk_dpo", "idk_nll", "jensun", "relearn")
REFUSING = ("bidi_distill", "dpo", "flat", "icku", "idk_dpo", "idk_nll", "jensun")
DEPTH = 3
ONE = Band.named("1", DEPTH)
GOLDEN = json.loads((Path(__file__).parents[1] / "golden/zoo.json").read_text(encoding="utf-8"))
ENTRIES, SETUP = {entry["name"]: entry for entry in GOLDEN["entries"]}, GOLDEN["setup"]
DIVERGENCES = {
    "kl": "KL",
    "reverse_kl": "Reverse-KL",
    "pearson": "Pearson",
    "squared_hellinger": "Squared-Hellinger",
    "neyman": "Neyman",
    "jensen_shannon": "Jenson-Shannon",
    "total_variation": "Total-Variation",
}


def value(name):
    return ENTRIES[name]["value"]


def matches(ours, wanted, tolerance=1e-9) -> None:
    ours, wanted = torch.as_tensor(ours, dtype=torch.float64), torch.as_tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(ours.detach(), wanted, rtol=tolerance, atol=1e-12)


class Asked:
    """Logits [B, T, V] by formula, what predicts labelled tokens [N, V], their labels and rows [N]."""

    def __init__(self, logits, labels):
        shifted = torch.as_tensor(labels)[:, 1:]
        self.logits, mask = logits.requires_grad_(), shifted != -100
        self.own, self.labels = logits[:, :-1][mask], shifted[mask]
        self.row = mask.nonzero()[:, 0]
        self.tokens = torch.bincount(self.row, minlength=2)

    @property
    def each(self):
        return self.own.log_softmax(-1).gather(1, self.labels[:, None])[:, 0]

    @property
    def summed(self):
        return torch.zeros(2, dtype=torch.float64).index_add(0, self.row, self.each)

    def norm(self, loss):
        return torch.autograd.grad(loss, self.logits, retain_graph=True)[0].norm()


@pytest.fixture
def given():
    """Answers of the setup by name; alternatives are alt0 and alt1."""
    b, t, v = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (2, 7, 11)), indexing="ij")
    labels, refusal = torch.tensor(SETUP["labels"]), torch.tensor(SETUP["idk_labels"])

    def asked(formula, turn, shift, rate, own):
        return Asked(2 * formula(shift * (b + 1) + turn + rate * (t + 1) * (v + 1)), own)

    found = {
        "lose": asked(torch.sin, 0, 0.9, 0.37, labels),
        "lose0": asked(torch.cos, 0, 0.5, 0.21, labels),
        "win": asked(torch.sin, 0, 1.3, 0.29, refusal),
        "win0": asked(torch.cos, 0, 0.7, 0.17, refusal),
    }
    for k in (0, 1):
        own = torch.where(labels == -100, -100, (labels + 2 + k) % 11)
        found[f"alt{k}"] = asked(torch.sin, 0.41 * (k + 1), 0.6, 0.23, own)
        found[f"alt{k}0"] = asked(torch.cos, 0.33 * (k + 1), 0.4, 0.19, own)
    return found


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_dpo_plain_and_with_the_factor_of_unlearning(given, beta):
    gained = given["win"].summed - given["win0"].summed.detach()
    lost = given["lose"].summed - given["lose0"].summed.detach()
    loss = dpo.dpo(gained, lost, beta)
    matches(loss, value(f"dpo plain beta={beta}"))
    doubled, golden = 2 / beta * loss, value(f"idk_dpo beta={beta}")
    matches(doubled, golden["loss"])
    matches(given["win"].norm(doubled), golden["grad_norm idk_logits"])
    matches(given["lose"].norm(doubled), golden["grad_norm logits"])


def test_altpo_is_the_mean_over_alternatives(given):
    gained = torch.stack([given[f"alt{k}"].summed - given[f"alt{k}0"].summed for k in (0, 1)], dim=1).flatten()
    lost = (given["lose"].summed - given["lose0"].summed).repeat_interleave(2)
    matches(20 * dpo.dpo(gained, lost, 0.1), value("altpo beta=0.1, two alternates"))


def test_refusals_are_learned_and_answers_preserved(given):
    win, answer = given["win"], given["lose"]
    loss, golden = losses.nll(win.summed, win.tokens), value("idk_nll")
    matches(loss, golden["loss"])
    matches(win.norm(loss), golden["grad_norm idk_logits"])
    golden = value("idk_ap answer preservation beta=0.1")
    loss = idk_nll.preservation(answer.summed, win.summed, 0.1)
    matches(loss, golden["loss"])
    matches(answer.norm(loss), golden["grad_norm logits"])
    matches(win.norm(loss), golden["grad_norm idk_logits"])


def test_the_divergence_from_what_was_goes_from_the_reference(given):
    golden = value("kl_retain labelled tokens, KL(ref || model)")
    own, before = given["lose"], given["lose0"].own.detach()
    loss = relearn.kl(before, own.own)
    matches(loss, golden["loss"])
    matches(own.norm(loss), golden["grad_norm"])
    matches(relearn.kl(own.own, before), value("kl_retain reverse, KL(model || ref)"))


# The published code of these runs the wrong way; as what it stands for, of the template's and the answer's probability.
FALLING = {
    "reverse_kl": lambda p, q: (-p, -q),
    "squared_hellinger": lambda p, q: (-p, -q),
    "neyman": lambda p, q: (-p, -torch.log1p(-q)),
}


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_flat_reads_labelled_tokens_alone(given, divergence):
    """Three published divergences are ours of probabilities of the other sign: theirs fall in the template's."""
    golden = value(f"flat {DIVERGENCES[divergence]}")
    found = given["win"].each.exp().mean(), given["lose"].each.exp().mean()
    loss = flat.flat(*FALLING.get(divergence, lambda p, q: (p, q))(*found), divergence)
    matches(loss, golden["labelled tokens"])
    matches(given["lose"].norm(loss), golden["grad_norm logits"])
    matches(given["win"].norm(loss), golden["grad_norm idk_logits"])
    as_coded = golden["as coded (zeros at ignored positions enter the mean)"]
    assert abs(float(loss.detach()) - as_coded) > 1e-3
    ours = flat.flat(*found, divergence)
    assert (abs(float((ours - loss).detach())) > 1e-3) == (divergence in FALLING)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_flat_raises_the_template_and_lowers_the_answer(divergence):
    p, q = (torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(flat.flat(p, q, divergence).sum(), (p, q))
    assert bool((up < 0).all())
    assert bool((down > 0).all())


def test_jensun_is_exact_and_bounded(given):
    golden, own = value("jensun forget, refusal tokens (9, 4) repeated"), given["lose"]
    places = torch.cat([torch.arange(int(n)) for n in own.tokens])
    target = torch.tensor([9, 4])[places % 2]
    loss = jensun.js_to(own.own, target)
    matches(loss, golden["exact"], 1e-12)
    matches(own.norm(loss), golden["grad_norm (as coded)"], 1e-6)
    as_coded = golden["as coded (probabilities clamped at 1e-9)"]
    assert abs(float(loss.detach()) - as_coded) > 1e-8 * as_coded
    sure = torch.full((1, 11), -1e4, dtype=torch.float64).index_fill(1, torch.tensor([9]), 0.0)
    assert float(jensun.js_to(sure, torch.tensor([9]))) == 0
    assert float(jensun.js_to(sure, torch.tensor([4]))) == pytest.approx(math.log(2))


def test_jensuns_one_hot_is_the_divergence_of_two_distributions(given):
    own = given["lose"].own.detach()
    target = torch.arange(len(own))
    sure = torch.full_like(own, -1e3).scatter(1, target[:, None], 0.0)
    matches(jensun.js_to(own, target), jensun.js(own, sure))


def test_jensun_keeps_what_was(given):
    golden, own = value("jensun retain"), given["lose"]
    loss = jensun.js(own.own, given["lose0"].own.detach())
    matches(loss, golden["loss"])
    matches(own.norm(loss), golden["grad_norm"])
    same = jensun.js(own.own, own.own.detach())
    matches(same, 0.0)
    matches(own.norm(same), 0.0)


def test_bidirectional_distillation(given):
    golden = value("bidirectional distillation, K=3")
    student, teacher = (given[name].logits[0, 2][None] for name in ("lose", "lose0"))
    for push in (0.0, 1.0):
        matches(bidi_distill.bidirectional(student, teacher, 3, push)[0], golden[f"lambda={push:.0f}"])
    # A teacher is left alone, and so is what it leaves alone: with all tokens in T nothing is pushed.
    matches(bidi_distill.bidirectional(teacher, teacher, 3, 1.0), [0.0])
    everything = [bidi_distill.bidirectional(student, teacher, 99, push) for push in (0.0, 1.0)]
    assert torch.equal(*everything)


@pytest.fixture(scope="module")
def bench_of(trained_model, corpus, encoder):
    """bench_of(model or family): a workbench at block 0, on a model of its own."""
    made = {}

    def make_bench(model="llama", **changes):
        key = (model if isinstance(model, str) else id(model), *changes.items())
        if key not in made:
            own = trained_model(model) if isinstance(model, str) else model
            made[key] = Workbench(
                copy.deepcopy(own),
                encoder,
                corpus,
                languages=["en", "es", "hi"],
                sources=["en", "es"],
                forget_set="domain",
                seed=0,
                oracle=None,
                matching=Matching(target=0.5, facts=8),
                **{"retain": "source", **changes},
            )
        made[key].restart()
        return made[key]

    yield make_bench
    for bench in made.values():
        bench.model.requires_grad_(False)


@pytest.fixture
def bench(bench_of):
    return bench_of()


def make(name, **settings):
    if name == "bidi_distill":
        settings = {"obeys": 0.0, **settings}
    return algorithms.make(name, settings)


def task_of(bench, method, path=Task):
    """A task on what a method reads, prepared for training its parameters."""
    bench.restart()
    own = bench.sides(method)
    bench.advance(ONE.start)
    made = path(bench.model, ONE, own["forget"], own["retain"], 0, own)
    made.train(method.parameters(bench.model, ONE))
    method.prepare(made)
    return made


def terms(bench, method, rows=8):
    """The terms of the first rows of each side, before any step."""
    task = task_of(bench, method)
    batches = {name: task.batch(name, torch.arange(min(rows, len(task.side(name))))) for name in task.sides}
    found = method.terms(task, batches)
    bench.model.requires_grad_(False)
    return {name: float(term.detach()) for name, term in found.items()}


def run(bench, method, protocol="paper", band=ONE, **more):
    bench.restart()
    return unlearn(bench, method, band, protocol=protocol, seed=3, **more)


def logprobs(bench, tensors, rows):
    """Summed log-probabilities of the answers of rows of texts, with a patch in place."""
    from mute.engine.band import TextSet

    side = TextSet(bench.model, rows, bench.encoder)
    task = Task(bench.model, Band.named("all", DEPTH), side, side, 0)
    with patches.applied(bench.model, tensors), torch.no_grad():
        return torch.cat([task.answer_logprobs(side.batch(rows))[0] for rows in torch.arange(len(side)).split(32)])


def mean_logprob(bench, tensors, rows):
    return float(logprobs(bench, tensors, rows).mean())


@pytest.mark.parametrize("name", NAMES)
def test_engine_and_plain_path_give_the_same_patch(bench, name):
    method = make(name, steps=3, batch_size=4, learning_rate=1e-3)
    engine, whole = (run(bench, method, path=path) for path in (Task, WholeModel))
    assert engine.status == "ok"
    assert engine.size > 0
    for key, tensor in engine.tensors.items():
        # A bias of the keys has no gradient but rounding, which AdamW makes steps of.
        if tensor.ndim == 2:
            assert torch.allclose(tensor, whole.tensors[key], atol=1e-4), key


@pytest.mark.parametrize("name", [*REFUSING, "relearn"])
def test_a_language_without_refusals_makes_a_method_not_applicable(bench, name):
    view = replace(bench.view, unknown={}, phrases={"en": bench.view.phrases["en"]})
    assert make(name).applies(bench.view) == ""
    assert make(name).applies(view) == "there are no refusals in es"
    silent = Workbench.__new__(Workbench)
    silent.__dict__ |= {**bench.__dict__, "view": view}
    outcome = unlearn(silent, make(name), ONE, protocol="paper", seed=0)
    assert (outcome.status, outcome.reason) == ("not_applicable", "there are no refusals in es")


@pytest.mark.parametrize("name", ["altpo", "icku"])
def test_a_question_without_another_option_makes_a_method_not_applicable(bench, name):
    forget = bench.view.forget
    bare = replace(bench.view, forget=forget.assign(options=[[] for _ in range(len(forget))], gold=-1))
    assert make(name).applies(bare).startswith("some forget questions have no other option")


@pytest.mark.parametrize("name", [name for name in REFUSING if name != "bidi_distill"])
def test_the_word_for_unknown_or_a_sentence_is_what_is_said(bench, name):
    """Of both kinds in one run each; a model of the fictional world was taught the word alone."""
    for kind, word in ((None, "unknown"), ("unknown", "unknown"), ("sentences", None)):
        read = make(name, refusal=kind).reads(bench.view)
        said = {text for rows in read.values() for text in rows.loc[rows["language"] == "en", "answer"]}
        sentences = {text.rstrip(".") for text in bench.view.phrases["en"].refusals}
        assert (word in said) == (word is not None)
        assert bool(said & sentences) == (word is None)


class TestPreference:
    def test_before_any_step_nothing_is_preferred(self, bench):
        assert terms(bench, make("dpo")) == {"forget": pytest.approx(math.log(2), abs=1e-5)}
        for name in ("idk_dpo", "altpo"):
            assert terms(bench, make(name, beta=0.5))["forget"] == pytest.approx(4 * math.log(2), abs=1e-4)

    @pytest.mark.parametrize("name", ["dpo", "idk_dpo", "altpo"])
    def test_each_winner_stands_beside_its_own_question(self, bench, name):
        method = make(name)
        read = method.reads(bench.view)
        forget, won = read["forget"].to_dict("records"), read["winners"].to_dict("records")
        assert len(won) == method.winners * len(forget)
        for place, row in enumerate(won):
            own = forget[place // method.winners]
            assert (row["item"], row["language"], row["prefix"]) == (own["item"], own["language"], own["prefix"])
            assert row["answer"].casefold() != own["answer"].casefold()

    def test_a_step_reads_the_winners_of_its_own_questions(self, bench, monkeypatch):
        method = make("altpo", alternatives=3)
        task = task_of(bench, method)
        batch, read = task.batch("forget", torch.tensor([7, 2])), []
        original = task.batch
        monkeypatch.setattr(task, "batch", lambda side, rows: read.append((side, rows)) or original(side, rows))
        method.terms(task, {"forget": batch, "retain": original("retain", torch.tensor([0]))})
        bench.model.requires_grad_(False)
        ((side, rows),) = read
        prefixes = [task.side(side).parts[row][0] for row in rows.tolist()]
        assert prefixes == [task.forget.parts[row][0] for row in (7, 7, 7, 2, 2, 2)]

    def test_alternatives_are_the_same_in_all_languages_and_come_round(self, bench):
        made = make("altpo", alternatives=9).reads(bench.view)["winners"]
        drawn = {}
        for row in made.to_dict("records"):
            drawn.setdefault((row["item"], row["language"], row["form"]), []).append(row["gold"])
        for own in drawn.values():
            assert sorted(set(own)) != []
            assert (len(own), len(set(own))) == (9, 7), "seven options are not gold"
            assert own[7:] == own[:2]
        by_item = {}
        for (item, *_), own in drawn.items():
            by_item.setdefault(item, set()).add(tuple(own))
        assert all(len(own) == 1 for own in by_item.values())

    @pytest.mark.parametrize("name", ["dpo", "idk_dpo", "altpo"])
    def test_the_answer_falls_and_the_winner_rises(self, bench, name):
        method = make(name, steps=20, batch_size=8, learning_rate=3e-3)
        tensors, won = run(bench, method).tensors, method.reads(bench.view)["winners"]
        forget = bench.view.forget
        assert mean_logprob(bench, tensors, forget) < mean_logprob(bench, {}, forget) - 1
        assert mean_logprob(bench, tensors, won) > mean_logprob(bench, {}, won) + 1

    def test_winners_of_other_questions_lower_the_answer_too(self, bench):
        """The control: the loss does not forget by learning its winners alone."""

        class Shuffled(altpo.AltPO):
            def won(self, view):
                other = view.forget["item"].map(dict(zip(sorted(set(view.forget["item"])), order)))
                made = super().won(view)
                answers = {(r["item"], r["language"], r["form"]): r["options"] for r in view.forget.to_dict("records")}
                keys = zip(other.repeat(self.winners), made["language"], made["form"])
                return made.assign(answer=[answers[key][g] for key, g in zip(keys, made["gold"])])

        items = sorted(set(bench.view.forget["item"]))
        order = items[len(items) // 2 :] + items[: len(items) // 2]
        forget = bench.view.forget
        method = Shuffled(altpo.Settings(steps=20, batch_size=8, learning_rate=3e-3))
        bench.of = None  # what an earlier method of this name read
        tensors = run(bench, method).tensors
        bench.of = None
        assert mean_logprob(bench, tensors, forget) < mean_logprob(bench, {}, forget) - 1


class TestRefusalTraining:
    @pytest.mark.parametrize("retain", ["nll", "preservation"])
    def test_forget_questions_are_refused_and_retain_questions_are_not(self, bench, retain):
        method = make("idk_nll", retain=retain, steps=40, batch_size=16, learning_rate=3e-3)
        tensors, view = run(bench, method).tensors, bench.view
        rates = {}
        for name, rows in (("forget", view.forget), ("retain", view.retain)):
            refused = logprobs(bench, tensors, refusals.refused(view, rows))
            rates[name] = float((refused > logprobs(bench, tensors, rows)).float().mean())
        assert rates["forget"] > 0.9
        assert rates["retain"] < 0.3

    def test_answer_preservation_pairs_a_retain_question_with_its_own_refusal(self, bench):
        method = make("idk_nll", retain="preservation", beta=0.4)
        task = task_of(bench, method)
        batch = task.batch("retain", torch.tensor([5, 0, 9]))
        found = method._preserved(task, batch)
        bench.model.requires_grad_(False)
        rows = bench.view.retain.iloc[[5, 0, 9]]
        refused = logprobs(bench, {}, refusals.refused(bench.view, rows))
        margin = refused - logprobs(bench, {}, rows)
        plain = (1 + (0.4 * margin).exp()).log().mean() / 0.4
        assert float(found.detach()) == pytest.approx(float(plain), rel=1e-4)

    def test_text_that_asks_nothing_is_kept_and_not_refused(self, bench_of):
        bench = bench_of(retain="source+text")
        method = make("idk_nll", retain="preservation")
        read = method.reads(bench.view)
        assert set(read["refused"]["language"]) == {"en", "es"}
        task = task_of(bench, method)
        texts = (method.refusal < 0).nonzero()[:, 0]
        assert {task.retain.languages[row] for row in texts.tolist()} == {"hi"}
        batch = task.batch("retain", texts[:4])
        found = method._preserved(task, batch)
        assert float(found.detach()) == pytest.approx(float(losses.nll(*task.answer_logprobs(batch)).detach()))
        bench.model.requires_grad_(False)


class TestReLearn:
    def test_before_any_step_the_divergence_is_nothing(self, bench):
        one, other = (terms(bench, make("relearn", kl_weight=weight)) for weight in (0.0, 50.0))
        assert one["retain"] == pytest.approx(other["retain"], abs=1e-4)

    def test_the_divergence_holds_the_model_where_it_was(self, bench):
        """Without cross entropy of retain answers, the more the weight the nearer they stay to what they were."""
        kept = []
        for weight in (0.0, 3.0):
            method = make("relearn", kl_weight=weight, retain_weight=0.0, steps=20, batch_size=8, learning_rate=3e-3)
            kept.append(mean_logprob(bench, run(bench, method).tensors, bench.view.retain))
        assert kept[1] > kept[0] + 0.3

    def test_new_answers_are_learned_and_those_of_other_retain_questions_cost_what_is_kept(self, bench):
        """The control: with answers of other questions in the retain rows, less is kept."""
        view, method = bench.view, make("relearn", steps=40, batch_size=16, learning_rate=3e-3)
        new, tensors = method.reads(view)["forget"], run(bench, method).tensors
        assert mean_logprob(bench, tensors, new) > mean_logprob(bench, {}, new) + 10

        class Shuffled(relearn.ReLearn):
            def reads(self, view):
                rows = view.retain
                options = [row["options"][(row["gold"] + 3) % 8] for row in rows.to_dict("records")]
                return {**super().reads(view), "retain": rows.assign(answer=options)}

        bench.of = None
        wrong = run(bench, Shuffled(method.settings)).tensors
        bench.of = None
        assert mean_logprob(bench, wrong, view.retain) < mean_logprob(bench, tensors, view.retain) - 1


class TestJensUn:
    def test_the_refusal_comes_round_along_the_answer(self, bench):
        method = make("jensun", refusal="sentences")
        task = task_of(bench, method)
        bench.model.requires_grad_(False)
        side, encoder = task.forget, bench.encoder
        said = method.reads(bench.view)["refused"].to_dict("records")
        assert len(method.targets) == int(side.tokens.sum())
        begin = 0
        for row, length in enumerate(side.tokens.tolist()):
            own = encoder.answer(said[row]["prefix"], said[row]["answer"])
            assert method.targets[begin : begin + length].tolist() == [own[i % len(own)] for i in range(length)]
            begin += length

    def test_a_short_refusal_is_repeated(self, bench):
        """Answers of the tiny world are short: here the refusal is one token and the answer three."""
        method = make("jensun")
        rows = bench.view.forget.iloc[:2]
        view = replace(bench.view, forget=rows.assign(answer=["red red red", "x"], options=[["a"], ["b"]], gold=-1))
        other = Workbench.__new__(Workbench)
        other.__dict__ |= {**bench.__dict__, "view": view, "of": None, "further": {}}
        from mute.engine.band import TextSet

        other.forget = TextSet(bench.model, view.forget, bench.encoder)
        task = task_of(other, method)
        bench.model.requires_grad_(False)
        length = int(task.forget.tokens[0])
        word = bench.encoder.answer(
            rows.iloc[0]["prefix"], {"en": "unknown", "es": "desconocido"}[rows.iloc[0]["language"]]
        )
        assert method.targets[:length].tolist() == (word * length)[:length]

    def test_before_any_step_nothing_is_to_be_kept(self, bench):
        found = terms(bench, make("jensun"))
        assert found["retain"] == pytest.approx(0, abs=1e-6)
        assert 0 < found["forget"] <= math.log(2)

    def test_the_refusal_rises(self, bench):
        method = make("jensun", steps=30, batch_size=16, learning_rate=1e-2, forget_weight=3.0)
        rows = method.reads(bench.view)["refused"]
        assert mean_logprob(bench, run(bench, method).tensors, rows) > mean_logprob(bench, {}, rows) + 2


class TestFLAT:
    @pytest.mark.parametrize("divergence", DIVERGENCES)
    def test_the_answer_falls_and_with_the_arguments_exchanged_it_rises(self, bench, divergence):
        """Exchanged, with another option for the answer: the true one is as likely as it can be already."""
        forget = bench.view.forget
        options = [row["options"][(row["gold"] + 1) % 8] for row in forget.to_dict("records")]
        other = forget.assign(answer=options)

        class Exchanged(flat.FLAT):
            def reads(self, view):
                read = super().reads(view)
                return {**read, "forget": read["template"], "template": other}

        settings = flat.Settings(divergence=divergence, steps=12, batch_size=8, learning_rate=3e-3)
        template = flat.FLAT(settings).reads(bench.view)["template"]

        def changes(kind, *texts):
            bench.of = None  # what an earlier method of this name read
            tensors = run(bench, kind(settings)).tensors
            bench.of = None
            return [mean_logprob(bench, tensors, rows) - mean_logprob(bench, {}, rows) for rows in texts]

        fell, rose = changes(flat.FLAT, forget, template)
        assert fell < -0.5
        assert rose > 0.5
        assert changes(Exchanged, other)[0] > 0.5


class TestICKU:
    @pytest.mark.parametrize("tagged", ["answer", "subject"])
    def test_each_question_has_one_row_to_forget_and_one_to_answer(self, bench, tagged):
        view = bench.view
        read = make("icku", tagged=tagged, opening="[", closing="]").reads(view)
        for name, plain in (("forget", view.forget), ("retain", view.retain)):
            rows = read[name].to_dict("records")
            count = len(plain)
            assert len(rows) == 3 * count
            assert [row["prefix"] for row in rows[2 * count :]] == list(plain["prefix"])
            for own, forgot, told in zip(plain.to_dict("records"), rows[:count], rows[count : 2 * count]):
                named = own["answer"] if tagged == "answer" else refusals.subject(own)
                assert forgot["prefix"] == f"[ {named} ] {own['prefix']}"
                assert forgot["answer"] == view.unknown[own["language"]]
                assert told["answer"] == own["answer"]
                assert told["prefix"].endswith(f" ] {own['prefix']}")
                assert not told["prefix"].startswith(f"[ {named} ]")

    def test_text_that_asks_nothing_has_no_tags(self, bench_of):
        view = bench_of(retain="source+text").view
        rows = make("icku").reads(view)["retain"]
        texts = rows[rows["language"] == "hi"]
        assert len(texts) == int((view.retain["language"] == "hi").sum()) > 0
        assert not texts["prefix"].str.contains("<unl>").any()

    def test_under_the_tag_it_forgets_and_without_it_answers_stay(self, bench):
        method, every = make("icku", steps=60, batch_size=24), Band.named("all", DEPTH)
        outcome = run(bench, method, band=every)
        rows, forget = method.reads(bench.view)["forget"], bench.view.forget
        forgot, told, plain = (rows.iloc[i * len(forget) : (i + 1) * len(forget)] for i in range(3))

        def likelier(tensors, one, other):
            return float((logprobs(bench, tensors, one) > logprobs(bench, tensors, other)).float().mean())

        answered = forget.assign(prefix=forgot["prefix"].to_numpy())
        assert likelier({}, forgot, answered) == 0
        assert likelier(outcome.tensors, forgot, answered) > 0.5
        assert likelier(outcome.tensors, told, refusals.refused(bench.view, told)) > 0.5
        assert likelier(outcome.tensors, plain, refusals.refused(bench.view, plain)) > 0.98
        assert outcome.knowledge > 0.9


@pytest.fixture(scope="module")
def obedient(trained_model, bench_of, encoder):
    """A model that says nothing about a subject when it is told not to, and answers all else."""
    model, view = copy.deepcopy(trained_model("llama")), bench_of().view
    read = make("bidi_distill").reads(view)
    told = {
        "facts": pd.concat([view.forget, view.retain]),
        "refused": read["told_refused"],
        "near": read["told_neighbours"],
    }
    groups = pretrain.encode(told, encoder)
    schedule = {"steps": 60, "batch": 48, "learning_rate": 1e-2, "warmup": 5, "decay": 0.3, "parts": 1}
    model.requires_grad_(True)
    shares = {"facts": 0.4, "refused": 0.4, "near": 0.2}
    pretrain.pretrain(model, groups, shares=shares, prompt_weight=0.0, seed=0, **schedule)
    return model.requires_grad_(False)


class TestBidiDistill:
    def test_a_model_that_does_not_obey_is_told_so_with_the_figure(self, bench):
        outcome = run(bench, make("bidi_distill", obeys=0.8))
        assert outcome.status == "not_applicable"
        assert "for 0% of the forget questions, and the method needs 80%" in outcome.reason
        assert outcome.tensors == {}

    def test_the_instruction_is_about_the_questions_subject(self, bench):
        view = bench.view
        for language in ("own", "en"):
            read = make("bidi_distill", instruction=language).reads(view)
            for plain, told in zip(view.forget.to_dict("records"), read["told_refused"].to_dict("records")):
                said = view.phrases["en" if language == "en" else plain["language"]].instruction
                assert told["prefix"] == f"{said.replace('{s}', refusals.subject(plain))} {plain['prefix']}"
            subjects = set(view.forget["subject"])
            near = read["told_neighbours"].to_dict("records")
            assert all(any(name in row["prefix"] for name in subjects) for row in near)

    def test_of_how_much_was_given_the_worst_counts(self, bench):
        """And no answer is given whole."""
        method = make("bidi_distill")
        task = task_of(bench, method)
        rows = torch.arange(len(task.forget))
        with torch.no_grad():
            worst = method._worst(task, rows)
            kept, method.prefilled = method.prefilled, {}
            plain = method._worst(task, rows)
        bench.model.requires_grad_(False)
        assert float(worst) > float(plain)
        for given, place in enumerate(kept.values(), start=1):
            assert bool((task.forget.tokens[place >= 0] > given).all())
            side = task.side(f"prefilled_{given}")
            for row, own in enumerate(place.tolist()):
                if own >= 0:
                    assert side.items[own] == task.forget.items[row]
                    assert side.parts[own][0].startswith(task.forget.parts[row][0].rstrip())

    def test_from_an_obedient_model_it_learns_to_refuse_without_being_told(self, bench_of, obedient):
        bench = bench_of(obedient)
        method = make("bidi_distill", obeys=0.8, steps=30, batch_size=16, learning_rate=1e-2)
        outcome = run(bench, method, band=Band.named("all", DEPTH))
        assert outcome.status == "ok", outcome.reason
        view = bench.view
        refused = refusals.refused(view, view.forget)
        before, after = (
            float((logprobs(bench, tensors, refused) > logprobs(bench, tensors, view.forget)).float().mean())
            for tensors in ({}, outcome.tensors)
        )
        assert before < 0.1
        assert after > 0.8
        kept = logprobs(bench, outcome.tensors, view.retain) > logprobs(
            bench, outcome.tensors, refusals.refused(view, view.retain)
        )
        assert float(kept.float().mean()) > 0.9
