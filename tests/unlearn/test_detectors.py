"""What every detector keeps to, and the formulas of each against golden values and loops in float64."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mute.evaluate.scoring import Queries
from mute.unlearn import detectors, guarding
from mute.unlearn.base import NotApplicable
from mute.unlearn.bench import Workbench
from mute.unlearn.detectors import box, maxsim, ngrams, reading
from mute.unlearn.detectors.base import Prompts, Seen, auroc, fit, quantile
from mute.unlearn.dose import Matching

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/guards.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry["value"] for entry in GOLDEN["entries"]}
CHEAP = {"maxsim": {"head_steps": 3, "head_width": 16, "against_retain": True}}


def same(ours, wanted):
    torch.testing.assert_close(
        torch.as_tensor(ours, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12
    )


@pytest.fixture(scope="module")
def world(trained_model, corpus, encoder):
    """The model, what a detector learns from, and what was held out."""
    about = {"languages": ["en", "es"], "sources": ["en", "es"], "forget_set": "domain", "retain": "source"}
    matching = {"matching": Matching(facts=8), "seed": 0, "oracle": None}
    bench = Workbench(trained_model("llama"), encoder, corpus, **about, **matching)
    learned, held = guarding.apart(guarding.prompts_of(bench.retain), 3)
    return Seen(bench.model, encoder, guarding.prompts_of(bench.forget), learned, 3), held


def asked(corpus, encoder, role, languages=("en", "es"), form=2):
    """Prompts in a wording that nothing was learned from."""
    roles, texts = corpus.texts["item"].map(corpus.roles("domain")), corpus.texts
    rows = texts[(texts["form"] == form) & texts["language"].isin(languages) & (roles == role)]
    return Queries(rows, encoder).prompts


def test_the_box_holds_all_keys_and_fires_within_its_size():
    wanted = ENTRIES["ksd box"]
    n, d = torch.meshgrid(torch.arange(6.0).double(), torch.arange(4.0).double(), indexing="ij")
    keys = torch.sin(0.7 * n + 1.1 * d) * (1 + 0.2 * d)
    centre, spread, size = box.box(keys)
    same(centre, wanted["mu"])
    same(spread, wanted["sd"])
    same(size, wanted["c"])
    probes = torch.stack([centre, centre + 0.9 * size * spread, centre + 1.1 * size * spread, keys[3]])
    scores = -box.outside(probes, centre, spread, size)
    for alpha in (0.5, 1.0, 2.0):
        threshold = box.Box(box.Settings(alpha=alpha)).threshold(torch.empty(0), 0.01)
        assert (scores > threshold).tolist() == wanted["fires"][f"alpha={alpha}"]
    # The published search by halves finds the same size; with a size of 0 nothing is inside, however near.
    assert not (scores > box.Box(box.Settings(alpha=0.0)).threshold(torch.empty(0), 0.01)).any()
    assert (scores > box.Box(box.Settings(alpha=1e9)).threshold(torch.empty(0), 0.01)).all()
    assert float(box.outside(keys, centre, spread, size).max()) == 1.0


def test_a_feature_that_never_moved_admits_no_other_value():
    keys = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).double()
    found = box.outside(torch.tensor([[1.0, 0.5], [1.1, 0.5]]).double(), *box.box(keys))
    assert found.tolist() == [0.0, math.inf]


def test_late_interaction_is_a_double_loop_and_no_order_matters():
    wanted = ENTRIES["maxsim late interaction"]
    d = torch.arange(5.0).double() + 1
    t = torch.arange(7.0).double()[:, None] + 1
    query, document = torch.sin(0.3 * t + 0.11 * d)[:3], torch.cos(0.2 * 2 * t + 0.13 * d)[:6]
    own, other = (maxsim.units(x, torch.eye(5).double()) for x in (query, document))
    masked = other[torch.tensor([0, 0, 0, 1, 1, 0]).bool()]
    same(maxsim.maxsim(own, masked), wanted["masked"])
    same(maxsim.maxsim(own, other), wanted["unmasked"])
    same(maxsim.maxsim(own, masked) / 3, wanted["per query token"])
    same(maxsim.maxsim(own, masked.flip(0)), wanted["order reversed"])
    loop = sum(max(float(a @ b) for b in other) for a in own)
    assert math.isclose(loop, float(maxsim.maxsim(own, other)))
    several = maxsim.all_maxsims(own, torch.cat([masked, other]), torch.tensor([2, 6]))
    same(several, [wanted["masked"], wanted["unmasked"]])


def test_n_grams_weigh_as_the_formula_says():
    """By hand: ab, bc and ab, ab; one n-gram a bucket."""
    counts = [ngrams.counted(text, 2, 2, 1 << 16) for text in ("aBc", "abab")]
    assert sorted(counts[0].values()) == [1, 1]
    assert sorted(counts[1].values()) == [1, 2]
    weights = ngrams.idf(counts, 1 << 16)
    both = next(bucket for bucket in counts[0] if bucket in counts[1])
    alone = next(bucket for bucket in counts[0] if bucket not in counts[1])
    rare = 1 + math.log(3 / 2)
    assert math.isclose(float(weights[both]), 1.0)
    assert math.isclose(float(weights[alone]), rare)
    found = ngrams.tf_idf(counts, weights)
    assert math.isclose(float(found[0, both]), 1 / math.hypot(1, rare))
    assert math.isclose(float(found[1, both]), (1 + math.log(2)) / math.hypot(1 + math.log(2), rare))


def test_tokens_spell_what_the_tokenizer_says(corpus, encoder):
    """Letters of many bytes too, where a token may end within one."""
    table = reading.unpacked(*reading.packed(reading.letters(encoder)))
    for code in ("en", "hi", "ja"):
        own = corpus.texts[corpus.texts["language"] == code]["prefix"].head(5)
        prompts = [encoder.prompt(prefix) for prefix in own]
        assert [text.strip() for text in ngrams.spelled(prompts, table)] == [encoder.text(p).strip() for p in prompts]
    assert [maxsim.says(token) for token in (b" ?", b"", b"a", "अ".encode(), "अ".encode()[:1])] == [
        False,
        False,
        *[True] * 3,
    ]


def test_a_threshold_lets_no_more_pass_than_it_may():
    scores = torch.arange(200.0)
    assert int((scores > quantile(scores, 0.01)).sum()) == 2
    assert int((scores > quantile(scores, 0.0)).sum()) == 0
    with pytest.raises(ValueError, match="held out"):
        quantile(torch.empty(0), 0.01)


def test_what_is_held_out_is_apart_by_item():
    prompts = Prompts([[n] for n in range(12)], [f"i{n // 2}" for n in range(12)], ["en", "es"] * 6)
    learned, held = guarding.apart(prompts, 0)
    assert len(learned) == 8
    assert not set(learned.items) & set(held.items)
    one = prompts.only([0, 1])
    assert guarding.apart(one, 0) == (one, one)


@pytest.mark.parametrize("name", detectors.names())
def test_every_detector_learns_the_same_twice_and_never_fires_without_forget_prompts(world, name):
    seen, held = world
    detector = detectors.make(name, CHEAP.get(name, {}))
    (one, threshold), (two, again) = (fit(detector, seen, held, 0.01) for _ in range(2))
    assert threshold == again
    assert all(torch.equal(one[key], two[key]) for key in one)
    scores = detector.scores(one, seen.model, held.tokens)
    assert scores.shape == (len(held),)
    assert scores.dtype == torch.float64
    alone = detector.scores(one, seen.model, held.tokens[3:4])
    assert torch.allclose(alone, scores[3:4], atol=1e-6), "nothing hangs on what else is asked"
    empty = Seen(seen.model, seen.encoder, Prompts([], [], []), seen.retain, 3)
    assert fit(detector, empty, held, 0.01) == ({}, math.inf)
    with pytest.raises(ValueError, match="Extra inputs"):
        detectors.make(name, {"nonsense": 1})


@pytest.mark.parametrize("name", [name for name in detectors.names() if name != "box"])
def test_a_threshold_is_that_of_questions_in_wordings_that_were_not_learned_from(world, name):
    """No more false alarms than allowed, by detectors that were learned here without the wording."""
    seen, held = world
    detector = detectors.make(name, CHEAP.get(name, {}))
    fitted, threshold = fit(detector, seen, held, 0.05)
    fired = []
    for form in (0, 1):
        sides = [
            side.only([row for row, own in enumerate(side.forms) if own != form]) for side in (seen.forget, seen.retain)
        ]
        other = detector.learn(Seen(seen.model, seen.encoder, *sides, seen.seed))
        own = [tokens for tokens, asked in zip(held.tokens, held.forms) if asked == form]
        assert 0 < len(own) < len(held)
        fired += (detector.scores(other, seen.model, own) > threshold).tolist()
    assert sum(fired) == math.floor(0.05 * len(held)) == 1
    unknown = Prompts(held.tokens, held.items, held.languages)
    assert fit(detector, seen, unknown, 0.05)[1] == quantile(detector.scores(fitted, seen.model, held.tokens), 0.05)
    one = held.apart(0)[0]
    alone = replace(seen, forget=seen.forget.apart(0)[0], retain=seen.retain.apart(0)[0])
    fitted, threshold = fit(detector, alone, one, 0.05)
    assert threshold == quantile(detector.scores(fitted, seen.model, one.tokens), 0.05), "there is no other wording"


def test_a_detector_says_which_block_the_model_lacks(world):
    seen, _ = world
    for name in ("probe", "maxsim", "box"):
        with pytest.raises(NotApplicable, match="block 9"):
            detectors.make(name, {"block": 9}).learn(seen)


def test_forget_prompts_in_another_wording_are_told_from_retain_prompts(world, corpus, encoder):
    seen, held = world
    sides = [asked(corpus, encoder, role) for role in ("forget", "retain_seen")]
    for name, least in (("ngrams", 0.95), ("probe", 0.9), ("maxsim", 0.8)):
        detector = detectors.make(name, {})
        fitted, _ = fit(detector, seen, held, 0.01)
        found = auroc(*(detector.scores(fitted, seen.model, own) for own in sides))
        assert found >= least, name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ngrams", "probe", "maxsim"])
def test_of_shuffled_labels_nothing_is_learned(world, corpus, encoder, name):
    """The control: labels that are drawn tell nothing of true ones, on average over draws."""
    seen, _ = world
    sides = [asked(corpus, encoder, role) for role in ("forget", "retain_seen")]
    parts = zip(*((side.tokens, side.items, side.languages) for side in (seen.forget, seen.retain)))
    both = Prompts(*([*one, *other] for one, other in parts))
    detector, found = (
        detectors.make(name, {"ngrams": {"buckets": 512}, "maxsim": {"against_retain": True}}.get(name, {})),
        [],
    )
    for draw in range(40):
        order = torch.randperm(len(both), generator=torch.Generator().manual_seed(draw)).tolist()
        cut = len(seen.forget)
        drawn = Seen(seen.model, encoder, both.only(order[:cut]), both.only(order[cut:]), 0)
        fitted = detector.learn(drawn)
        found.append(auroc(*(detector.scores(fitted, seen.model, own) for own in sides)))
    print(f"{name}: shuffled {sum(found) / len(found):.3f}")
    assert abs(sum(found) / len(found) - 0.5) <= 0.05
