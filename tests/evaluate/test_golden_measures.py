"""Measures of tokens and answers against golden values in float64, on inputs given by formula.

tests/golden/evaluations.json says which formula, where a value comes from, and how it was confirmed a second time.
"""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mute.evaluate.measures import consistency, extraction, fluency, membership, tofu
from mute.evaluate.panel import Measure, groups_of, over_groups, relative
from mute.evaluate.spread import moments

TESTS = Path(__file__).parents[1]
GOLDEN = json.loads((TESTS / "golden/evaluations.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}


def test_every_golden_value_of_evaluations_is_read_by_a_test():
    files = (path for room in ("evaluate", "analyses") for path in (TESTS / room).glob("test_*.py"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert [name for name in ENTRIES if name not in text] == []


def matches(ours, name, *parts):
    entry = ENTRIES[name]
    wanted = entry["value"]
    for part in parts:
        wanted = wanted[part]
    assert np.isclose(ours, wanted, rtol=entry["tolerance"], atol=1e-12).all(), (ours, wanted)


@pytest.fixture(scope="module")
def answers():
    """Log-probabilities [N, V] before labelled tokens, one sequence after the other; labels [N]; starts of each."""
    b, t, v = torch.meshgrid(*(torch.arange(GOLDEN["setup"][k], dtype=torch.float64) for k in "BTV"), indexing="ij")
    logits = 2 * torch.sin(0.9 * (b + 1) + 0.37 * (t + 1) * (v + 1))
    shifted = torch.tensor(GOLDEN["setup"]["labels"])[:, 1:]
    asked = shifted != -100
    starts = np.array([0, int(asked[0].sum())])
    return logits[:, :-1][asked].log_softmax(-1), shifted[asked], starts


def test_extraction_strength_and_exact_memorisation(answers):
    for name, case in ENTRIES["extraction_strength"]["value"]["cases"].items():
        hit = np.array(case["predicted"]) == np.array(case["label"])
        matches(extraction.strength(hit, np.array([0])), "extraction_strength", "cases", name, "ES")
        # Where nothing can be extracted the published loop gives something.
        wrong = ENTRIES["extraction_strength"]["value"]["open-unlearning gives"][name]
        assert (extraction.strength(hit, np.array([0]))[0] != wrong) == (not hit[-1])
    logprobs, labels, starts = answers
    hit = (logprobs.argmax(-1) == labels).numpy()
    matches(extraction.strength(hit, starts), "extraction_strength", "logits, labels")
    matches(extraction.memorised(hit, starts), "extraction_strength", "exact memorisation of logits, labels")


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_min_k_and_min_k_plus_plus(answers, share):
    logprobs, labels, starts = answers
    own = logprobs.gather(1, labels[:, None])[:, 0].numpy()
    mean, spread = (x.numpy() for x in moments(logprobs))
    matches(membership.min_k(own, starts, share), "min-k score", f"k={share}")
    plus = membership.standardised(own, mean, spread)
    matches(membership.min_k(plus, starts, share), "min-k++ score", f"k={share}")


def test_tokens_that_cannot_be_said_and_sure_ones_have_moments():
    """A guard may forbid tokens; a sure distribution has no spread."""
    logits = torch.tensor([[0.0, 0.0, -math.inf], [0.0, -math.inf, -math.inf]], dtype=torch.float64)
    mean, spread = moments(logits.log_softmax(-1))
    assert mean.tolist() == pytest.approx([-math.log(2), 0.0])
    assert spread.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert membership.standardised(np.zeros(1), np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_privleak_and_areas_with_ties():
    matches(membership.privleak(np.array(0.72), np.array(0.55)), "privleak")
    # Scores here are lower for members, there higher.
    members, others = np.array([0.9, 0.4, 0.7, 0.7]), np.array([0.3, 0.7, 0.2])
    matches(membership.area(-members, -others), "mia AUC with ties")
    assert math.isnan(membership.privleak(np.array(0.5), np.array(1.0)))


def test_truth_ratios_by_both_means():
    right = np.array([1.2, 0.7, 2.0])
    wrong = np.array([[1.5, 2.5, 2], [0.9, 0.8, 1.6], [2.2, 1.4, 3.1]])
    ratios = [tofu.truth_ratios(-gold, -others) for gold, others in zip(right, wrong)]
    geometric, arithmetic = np.array(ratios).T
    matches(geometric, "truth_ratio", "per item, geometric mean of wrong (code)")
    matches(arithmetic, "truth_ratio", "per item, arithmetic mean of wrong (paper's equation)")
    means = "truth_ratio", "open-unlearning aggregates (geometric)"
    matches(tofu.forgotten(geometric).mean(), *means, "closer_to_1_better")
    matches(tofu.truthful(geometric).mean(), *means, "true_better")
    assert (geometric <= arithmetic).all()


def test_forget_quality_of_two_samples():
    name, i = "forget_quality (two-sample KS)", np.arange(40)
    x, y = np.sin(0.37 * i + 0.2) ** 2, 0.8 * np.sin(0.53 * i + 0.1) ** 2 + 0.05
    p, statistic = tofu.forget_quality(x, y)
    matches(statistic, name, "statistic")
    matches(p, name, "p value")
    matches(math.log10(p), name, "log10 p")
    matches(tofu.forget_quality(x, x)[0], name, "p of x against itself")
    # The test knows no pairs: shuffled items of the oracle leave it, another scale of ratios (a language's) does not.
    assert tofu.forget_quality(x, np.random.default_rng(0).permutation(y)) == (p, statistic)
    assert tofu.forget_quality(x, y / 4)[0] < p / 10


def test_model_utility_is_a_harmonic_mean():
    groups = groups_of(["a"], [], {})
    nine = [0.9, 0.8, 0.7, 0.6, 0.5, 0.95, 0.85, 0.75, 0.65]
    parts = [Measure(over_groups(np.full((1, 1), v), groups), np.full(6, 3), np.zeros(1, bool)) for v in nine]
    matches(tofu.harmonic_mean(parts, groups).values[0, 0], "model_utility (harmonic mean)")


def test_entropy_of_ngrams_says_what_repeats_itself_and_not_what_is_good():
    name = "fluency n-gram entropy"
    matches(fluency.entropy(["a", "b", "a", "b", "c", "a", "b"]), name, "mixed")
    matches(fluency.entropy(["a", "a", "a", "a"]), name, "constant")
    assert fluency.entropy(["a"]) == fluency.entropy([]) == 0
    # Words in another order have no less of it.
    said = ["the", "town", "of", "b", "and", "the", "town", "of", "c", "and", "the", "town", "of", "d"]
    shuffled = [[said[i] for i in np.random.default_rng(seed).permutation(len(said))] for seed in range(20)]
    assert np.mean([fluency.entropy(words) for words in shuffled]) >= fluency.entropy(said)


def test_rankc_of_two_orders():
    matches(consistency.rankc((2, 0, 1, 3), (0, 2, 3, 1)), "rankc", "RankC")
    matches(consistency.rankc((2, 0, 1, 3), (2, 0, 1, 3)), "rankc", "identical orders")
    rng = np.random.default_rng(0)
    drawn = [consistency.rankc(rng.permutation(8), rng.permutation(8)) for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.2, abs=0.02)
    assert consistency.rankc((0, 1, 2), (2, 1, 0)) == consistency.rankc((2, 1, 0), (0, 1, 2)) < 0.5


def test_options_of_a_model_that_gives_no_numbers_have_no_order():
    """A number that is none is stored as null."""
    options = [[None, None], [-1.0, -2.0], None, [-1.0]]
    tokens = pd.DataFrame({"set": "facts", "item": list("abcd"), "language": "en", "form": 0, "position": 0, "gold": 0})
    tokens["options"] = pd.Series(options, dtype=object)
    found = consistency.Consistency().columns(tokens[["set", "item", "language", "form"]], tokens)
    assert found[consistency.COLUMN].tolist() == [None, (0, 0, 1), None, None]


def test_knowledge_left_is_one_less_the_golden_transfer():
    """Rows: languages unlearned in alone; their asymmetry is that of the transfer the other way round."""
    groups = groups_of(["a"], ["b", "c"], {})

    def measure(values):
        return Measure(over_groups(np.array([values]), groups), np.full(3 + len(groups), 9), np.zeros(3, bool))

    after = [[0.1, 0.5, 0.6], [0.4, 0.1, 0.5], [0.6, 0.6, 0.2]]
    known = np.array([relative(measure(row), measure([0.9, 0.8, 0.7]), 0.08, groups).values[0, :3] for row in after])
    matches(1 - known, "transfer matrix", "T")
    matches(known.T - known, "transfer matrix", "asymmetry")
