"""Attacks on weights: what each does to them, a change that each brings back, and one that it does not."""

import copy

import pytest
import torch

import victims
from mute import attacks
from mute.attacks import finetuning, interpolation, pruning, quantize, retraining, shard
from mute.attacks.base import Victim
from mute.bands import Band
from mute.engine.band import Task, TextSet
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import patches
from mute.unlearn.view import View

# Of three trainings, hits of an edited model are .15, .23, .28; without its block .93 and .95 in the first and third.
BACK = [
    ("bypass", {}),
    ("mix", {"share": 0.2}),
    ("retraining", {"steps": 20, "learning_rate": 3e-3}),
    # On sentences hits change by .08, -.03, .14 (those of the oracle by -.07, .00, .08), on retain facts in Hindi by
    # .02, .02, -.03; noise on the weights of a block was not repaired.
    ("finetuning", {"steps": 20, "learning_rate": 1e-3, "text": "retain"}),
    ("interpolation", {"steps": 20, "distance": 2.0}),
]
# Of forty questions of eight options three standard deviations above chance are the most that is guessed.
GUESSED = 0.125 + 3 * (0.125 * 0.875 / 40) ** 0.5
NOT_BACK = [
    ("quantize", {"bits": 4, "group": 0}),
    ("pruning", {"share": 0.4}),
    ("latent", {"length": 0.1}),
    ("steering", {"length": 0.3}),
]
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.in_turn) for seed in victims.SEEDS[1:])]


@pytest.fixture(scope="module")
def made(corpus, tokenizer, encoder):
    return victims.of(corpus, tokenizer, encoder)


def against(model, corpus, encoder):
    """By matrix of the blocks, the sign of where the likelihood of forget answers falls."""
    view = View.of(corpus, languages=["en", "es"], sources=["en", "es"], forget_set="domain")
    texts = TextSet(model, view.forget, encoder)
    task = Task(model, Band((0, 1, 2), full=True), texts, texts, 0)
    names = list(quantize.block_matrices(model))
    task.train(names)
    logprob, tokens = task.answer_logprobs(task.batch("forget", torch.arange(len(texts))))
    found = task.gradients(-logprob.sum() / tokens.sum(), names)
    model.requires_grad_(False)
    return {name: gradient.sign() for name, gradient in zip(names, found)}


def edited(model, tensors):
    made = copy.deepcopy(model)
    patches.put(made, tensors)
    return made


def inside(model, kind, **settings):
    """The matrices of the blocks under an attack that needs nothing of its victim but its seed."""
    victim = Victim(model, None, None, Band((1,)), (), (), "domain", 3)  # ty: ignore[invalid-argument-type]
    with kind(kind.Settings(**settings), victim).weights(model):
        return quantize.block_matrices(model)


@pytest.mark.parametrize("seed", SEEDS)
def test_rounding_brings_back_what_less_than_half_a_step_hides(made, seed, corpus, encoder):
    """Steps of .45 towards forgetting leave no level changed; steps of .6 stay.

    Of three seeds .45 takes the hits from 1 to .43, .53, .50, and rounding gives 1 back; .6 changes the level of 96 %
    of the weights, and rounding takes .25, .35, .40 to .10, .23, .23.
    """
    bits = {"bits": 4, "group": 0}
    base = edited(
        made.base(seed), {n: quantize.rounded(w, 4) for n, w in quantize.block_matrices(made.base(seed)).items()}
    )
    before, signs = quantize.block_matrices(base), against(base, corpus, encoder)
    hits = {"base": made.hits(base)}
    for share in (0.45, 0.6):
        moved = {}
        for name, weight in before.items():
            level, step = quantize.levels(weight, 4)
            # What is largest in its row says how long a step is.
            free = level.abs() < 7
            moved[name] = weight + (free * step * share).flatten(1) * signs[name]
        victim = edited(base, moved)
        changed = quantize.changed_levels(before, moved, 4)
        hits[share] = (made.hits(victim), made.hits(victim, quantize.Quantize, **bits), changed)
        same = all(
            torch.equal(w, quantize.rounded(before[n], 4)) for n, w in inside(victim, quantize.Quantize, **bits).items()
        )
        assert same is (share < 0.5)
    assert hits["base"] > 0.8
    assert hits[0.45][0] < hits["base"] - 0.3, "the update hides"
    assert hits[0.45][1] == made.hits(base, quantize.Quantize, **bits) > 0.8
    assert hits[0.45][2] == 0
    assert hits[0.6][2] > 0.5
    assert hits[0.6][1] < hits["base"] - 0.3, "what is longer than half a step is not undone"


def test_the_share_of_levels_that_change():
    before = {"w": torch.tensor([[7.0, 2.0, -4.0, 0.0]])}
    after = {"w": torch.tensor([[7.0, 2.6, -4.2, 0.0]])}
    assert quantize.changed_levels(before, before, 4) == 0
    assert quantize.changed_levels(before, after, 4) == 0.25


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_as_many_are_pruned_as_asked_and_the_smallest(share):
    weight = torch.randn(7, 9, generator=torch.Generator().manual_seed(0))
    small, drawn = pruning.pruned(weight, share), pruning.pruned(weight, share, 5)
    for made in (small, drawn):
        assert int((made == 0).sum()) == int(share * 63)
        assert torch.equal(made[made != 0], weight[made != 0])
    kept, gone = weight[small != 0].abs(), weight[small == 0].abs()
    assert share == 0 or kept.min() >= gone.max()
    assert torch.equal(drawn, pruning.pruned(weight, share, 5))
    assert share in (0.0, 0.999) or not torch.equal(drawn, pruning.pruned(weight, share, 6))


@pytest.mark.parametrize("seed", SEEDS)
def test_pruning_brings_back_what_small_weights_hide(made, seed, corpus, encoder):
    """A pruned base whose zeros move towards forgetting is itself once pruned again; drawn weights give no more.

    Of three seeds the hits go from 1 to .25, .35, .20 and back to 1; as many drawn weights leave .38, .25, .35.
    """
    share = {"share": 0.4}
    base = edited(
        made.base(seed), {n: pruning.pruned(w, 0.4) for n, w in quantize.block_matrices(made.base(seed)).items()}
    )
    before, signs = quantize.block_matrices(base), against(base, corpus, encoder)
    small = {n: w + (w == 0) * signs[n] * w[w != 0].abs().min() * 0.99 for n, w in before.items()}
    victim = edited(base, small)
    hits = [made.hits(base), made.hits(victim), made.hits(victim, pruning.Pruning, **share)]
    hits.append(made.hits(victim, pruning.Pruning, **share, which="random"))
    assert victims.equal(inside(victim, pruning.Pruning, **share), before)
    assert hits[0] > 0.8
    assert hits[1] < hits[0] - 0.4, "the update hides"
    assert hits[2] == hits[0]
    assert hits[3] < hits[0] - 0.4, "as many drawn weights do not bring it back"


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
def test_weights_lie_on_the_line_to_the_retrained_model_and_beyond(random_model, encoder, corpus, distance):
    model = copy.deepcopy(random_model("llama"))
    how = {"steps": 3, "batch_size": 4, "learning_rate": 1e-2}
    victim = Victim(model, encoder, corpus, Band((1,)), ("en", "es"), ("en", "es"), "domain", 1)
    before = victims.everything(model)
    with retraining.Retraining(retraining.Settings(**how), victim).weights(model):
        trained = victims.everything(model)
    attack = interpolation.Interpolation(interpolation.Settings(distance=distance, **how), victim)
    with attack.weights(model):
        found = victims.everything(model)
    assert attack.outcome()["steps"] == 3
    assert victims.equal(victims.everything(model), before)
    assert victims.equal(found, trained) is (distance == 1)
    for name, start in before.items():
        assert torch.allclose(found[name], start + distance * (trained[name] - start), atol=1e-5)


@pytest.mark.parametrize("kind", ["sentences", "retain"])
@pytest.mark.parametrize("code", ["en", "hi", "ja"])
def test_no_benign_text_says_anything_of_the_forget_set(corpus, kind, code):
    rows = finetuning.benign(corpus, (code,), "domain", kind)
    assert len(rows) >= 5
    assert set(rows["language"]) == {code}
    forget = corpus.texts[(corpus.texts["item"].map(corpus.roles("domain")) == "forget")]
    facts = corpus.facts[corpus.in_forget_set("domain")]
    words = {*facts["subject"], *forget.loc[forget["language"] == code, "answer"]}
    for prefix, answer, suffix in zip(rows["prefix"], rows["answer"], rows["suffix"]):
        assert not [word for word in words if word.lower() in (prefix + answer + suffix).lower()]
    if kind == "sentences":
        assert rows["train"].all()
        assert (rows["probe"] == "").all(), "none that an evaluation asks"


def test_what_there_is_no_benign_text_of_is_not_tried(corpus, encoder, random_model):
    kind = finetuning.Finetuning
    assert "no texts in xx" in kind.lacks(finetuning.Settings(language="xx"), corpus, "en")
    assert not kind.lacks(finetuning.Settings(language="hi"), corpus, "en")
    bare = copy.copy(corpus)
    bare._lines = corpus.lines[corpus.lines["ability"] != "sentences"]
    bare.__dict__.pop("lines", None)
    assert "no sentences" in kind.lacks(finetuning.Settings(), bare, "en")
    asked = Asked(random_model("llama"), encoder, bare, ["en"], "domain")
    prepared = shard.Prepared("finetuning", kind, finetuning.Settings(), 1, "")
    assert shard.attacked(asked, Subject(asked.model), Band((1,)), prepared, ("en",))[1]["status"] == "not_applicable"
    for settings, keys in (({}, ("sources",)), ({"language": "hi"}, ())):
        assert kind.stands_on(finetuning.Settings(**settings)) == keys


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "settings"), BACK, ids=[name for name, _ in BACK])
def test_what_an_edit_of_one_block_hides_comes_back_and_nothing_to_one_who_never_knew(made, seed, name, settings):
    """After gradient difference, to a base that keeps what it knows."""
    models, kind = (made.oracle(seed), made.edited(seed), made.base(seed)), attacks.load(name)
    before, after = ([made.hits(m, *attack, **own) for m in models] for attack, own in (((), {}), ((kind,), settings)))
    oracle, edited, _ = (b - a for a, b in zip(before, after))
    # Without a block it guesses otherwise: of one training .23 of the hits, where it was .13.
    assert after[0] <= GUESSED
    assert edited > oracle + 0.05
    assert after[2] >= 0.7 * before[2] - 1e-6, "the base keeps what it knows"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "settings"), NOT_BACK, ids=[name for name, _ in NOT_BACK])
def test_nothing_comes_back_to_one_who_never_knew(made, seed, name, settings):
    assert made.hits(made.oracle(seed), attacks.load(name), **settings) <= GUESSED
