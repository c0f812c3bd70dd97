"""Claims: what they say of studies whose truth is known, by trained model, by architecture, and over all."""

import math

import numpy as np
import pandas as pd
import pytest

from made_up import (
    ABOUT,
    ERASES_AND_KEEPS,
    ERASES_AND_WRECKS,
    ERASES_NOTHING,
    THE_PAPER,
    make_tables,
    many,
)
from mute.findings import claims, effects, predict
from mute.findings.results import Number, Results
from mute.findings.verdicts import Line

NOISE = (0.0, 0.02, -0.02, 0.01)
GONE = {b: (k, k + 0.02, c, 0.0) for b, (k, _, c, _) in THE_PAPER.items()} | {"2": (0.0, 0.9, 1.0, 0.0)}
BACKWARDS = {"0": ERASES_AND_KEEPS, "1": ERASES_NOTHING, "2": ERASES_AND_WRECKS}


def noisy(study: dict[str, tuple], trainings: int = 4) -> list[dict]:
    return [{b: tuple(v + n for v in values) for b, values in study.items()} for n in NOISE[:trainings]]


def apart(first: list[dict], second: list[dict]) -> dict:
    """Two architectures with trainings of their own."""
    one, two = many(first), many(second)
    return {name: pd.concat([one[name], two[name].assign(model="qwen2")], ignore_index=True) for name in one}


def said(tables: dict) -> pd.DataFrame:
    return claims.overall(claims.means(Results(tables, ABOUT))).set_index("name")


def at(tables: dict, band: str, status: str, seeds: tuple[int, ...] = (0,)) -> dict:
    """The same tables, but RMU's edits of a block of these training seeds have a status."""
    cells = tables["cells"].copy()
    own = (cells["algorithm"] == "rmu") & (cells["band"] == band) & cells["training_seed"].isin(seeds)
    cells.loc[own, "status"] = status
    return {**tables, "cells": cells}


# What they say


def test_the_papers_pattern_supports_what_the_paper_says_and_the_opposite_contradicts_it():
    found = said(many(noisy(GONE)))["verdict"]
    assert set(found.drop(["deep erases nothing", "target is ahead", "depth decides"], errors="ignore")) == {"supports"}
    # Three blocks and four trainings: a label permuted among them is the target in one of 81 cases.
    assert found["target is ahead"] == "supports"
    # Both held-out languages are alike in the made-up study, so that all of the variance is the block's.
    assert found["depth decides"] == "supports"
    other = said(many(noisy(BACKWARDS)))["verdict"]
    for name in ("erased everywhere", "shallow wrecks", "shallow is worse", "target is ahead", "region works"):
        assert other[name] == "contradicts", name
    assert other["stays erased"] == "contradicts"


def test_a_deep_edit_is_asked_about_under_fixed_steps_alone():
    made = many(noisy(THE_PAPER))
    assert "deep erases nothing" not in said(made).index
    paper = {
        n: t.assign(protocol=t["protocol"].replace("matched", "paper")) if "protocol" in t else t
        for n, t in made.items()
    }
    found = said(paper)["verdict"]
    assert found["deep erases nothing"] == "supports"
    assert "no leak, same script" not in found.index, "doses are not equal there"
    erased = said({**paper, "bands": paper["bands"].replace({"view": {"target": "deep", "deep": "target"}})})["verdict"]
    assert erased["deep erases nothing"] == "contradicts"


@pytest.mark.parametrize(
    ("values", "expected"),
    [((0.1, 0.12, 0.08), True), ((0.9, 0.92, 0.88), False), ((0.1, 0.9, 0.5), None), ((0.49, 0.5, 0.51), None)],
)
def test_a_line_decides_by_the_90_percent_interval(values, expected):
    from mute.findings import trainings

    number = trainings.mean(Number(value, n=1) for value in values)
    assert Line(0.5, "below").judge(number) is expected
    assert Line(0.5, "above").judge(number) is (None if expected is None else not expected)
    assert Line(0.5, "below").judge(Number(0.1)) is None, "one number without an interval decides nothing"


# The unit


def test_the_unit_is_the_trained_model():
    """Wide intervals over facts do not matter, disagreement between trainings does."""
    agreed = claims.means(Results(many(noisy(THE_PAPER), half=0.6), ABOUT)).set_index("name")
    assert agreed.loc["erased everywhere", "verdict"] == "supports"
    assert (agreed.loc["erased everywhere", "unit"], agreed.loc["erased everywhere", "n"]) == ("trained models", 4)
    other = {**THE_PAPER, "1": ERASES_NOTHING}
    effect = claims.means(Results(many([THE_PAPER, THE_PAPER, other, other]), ABOUT)).set_index("name")
    effect = effect.loc["erased everywhere"]
    assert effect["verdict"] == "not decided"
    # Mean and t-interval by hand: two at 0.1, two at 1.
    half = 3.182446 * (0.9 / 3**0.5) / 2
    assert (effect["low"], effect["effect"], effect["high"]) == pytest.approx(
        (0.55 - half, 0.55, 0.55 + half), rel=1e-5
    )


def test_of_one_training_the_interval_is_over_facts_and_the_unit_says_so():
    row = claims.means(Results(make_tables(THE_PAPER), ABOUT)).set_index("name").loc["erased everywhere"]
    assert (row["effect"], row["low"], row["high"], row["n"]) == (0.1, 0.08, pytest.approx(0.12), 1)
    assert row["unit"].startswith("facts")
    assert row["verdict"] == "supports"


def test_unlearning_seeds_are_averaged_before_anything_else():
    made = make_tables(THE_PAPER)
    other = make_tables({**THE_PAPER, "1": (0.0, 0.4, 1.0, 1.0)})
    both = {
        name: pd.concat([table, other[name].assign(seed=1)], ignore_index=True) if "seed" in table else table
        for name, table in made.items()
    }
    results = Results(both, ABOUT)
    (case,) = results.all_cases
    assert results.number(case, "rmu", "1", "K") == pytest.approx((0.25, 0.23, 0.27, 60, 0))
    assert results.number(case, "rmu", "0", "K").value == pytest.approx(0.1)
    assert results.repeats == len(other["cells"])
    row = claims.means(results).set_index("name").loc["erased everywhere"]
    assert (row["effect"], row["n"]) == (pytest.approx(0.25), 1), "two seeds are no two models"


def test_of_seeds_of_several_statuses_the_most_common_is_averaged():
    tables = []
    for seed, (status, k) in enumerate((("ok", 0.1), ("ok", 0.3), ("not_reached", 0.9))):
        own = make_tables({"1": (0.0, k, 1.0, 1.0)}, status=status)
        tables.append({name: table.assign(seed=seed) for name, table in own.items() if "seed" in table})
    base = make_tables(THE_PAPER)
    both = {**base, **{name: pd.concat([own[name] for own in tables], ignore_index=True) for name in tables[0]}}
    results = Results(both, ABOUT)
    (case,) = results.all_cases
    assert results.status(case, "rmu", "1") == "ok"
    assert results.number(case, "rmu", "1", "K").value == pytest.approx(0.2)


# Over architectures


def test_a_verdict_over_architectures_takes_all_of_them():
    good, bad = noisy(GONE), noisy(BACKWARDS)
    assert said(apart(good, good)).loc["erased everywhere", "verdict"] == "supports"
    assert said(apart(good, bad)).loc["erased everywhere", "verdict"] == "mixed"
    spread = [{**GONE, "1": (0.0, k, 1.0, 0.0)} for k in (0.1, 0.9, 0.2, 0.8)]
    row = said(apart(good, spread)).loc["erased everywhere"]
    assert (row["verdict"], row["architectures"]) == ("not decided", 2)


def test_whether_architectures_differ_is_said():
    low, high = noisy(GONE), noisy({**GONE, "1": (0.0, 0.3, 1.0, 0.0)})
    assert "apart: llama and qwen2" in said(apart(low, high)).loc["erased everywhere", "sentence"]
    assert "not told apart" in said(apart(low, low)).loc["erased everywhere", "sentence"]
    assert claims.differ({"a": [0.1], "b": [0.9]}) == "too few trainings to tell whether they differ"
    # Of three pairs each is corrected for three: t = 2.9 of 8 values a side is p = 0.01, by Holm 0.03.
    assert (
        claims.differ({"a": [0.0, 0.1, 0.2], "b": [0.05, 0.1, 0.15], "c": [0.9, 1.0, 1.1]}) == "apart: a and c, b and c"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["supports"] * 3, "supports"),
        (["supports", "supports", "not decided", "not decided"], "supports"),
        (["supports", "not decided", "not decided"], "not decided"),
        (["supports", "contradicts", "contradicts"], "mixed"),
        (["supports", "mixed"], "mixed"),
        (["contradicts", "not decided"], "contradicts"),
        (["no band", "no band"], "no band"),
        (["not decided"], "not decided"),
    ],
)
def test_over_algorithms_those_that_decide_must_agree_and_be_half(given, expected):
    assert claims.together(given) == expected


# What votes nowhere


@pytest.mark.parametrize(
    "status", ["no_edit", "destroyed", "diverged", "not_applicable", "not_reached", "nothing_to_forget"]
)
def test_a_cell_that_is_no_answer_stands_in_no_mean_and_is_counted(status):
    wrong = [*noisy(GONE, 3), {**GONE, "1": ERASES_NOTHING}]
    before = claims.means(Results(many(wrong), ABOUT)).set_index("name")
    assert before.loc["erased everywhere", "verdict"] == "not decided"
    results = Results(at(many(wrong), "1", status, (3,)), ABOUT)
    after = claims.means(results).set_index("name")
    assert after.loc["erased everywhere", "verdict"] == "supports"
    assert (after.loc["erased everywhere", "n"], before.loc["erased everywhere", "n"]) == (3, 4)
    assert after.loc["erased everywhere", "silent"] == f"1 {status.replace('_', ' ')}"
    tested = claims.table(results)
    assert status in set(tested.loc[tested["training_seed"] == 3, "status"])


def test_what_missed_the_dose_counts_where_there_is_no_dose():
    made = at(make_tables(THE_PAPER), "1", "not_reached")
    paper = {
        n: t.assign(protocol=t["protocol"].replace("matched", "paper")) if "protocol" in t else t
        for n, t in made.items()
    }
    for tables, votes in ((made, False), (paper, True)):
        results = Results(tables, ABOUT)
        assert results.votes(results.all_cases[0], "rmu", "1") is votes


def test_models_without_a_band_answer_no_question_about_one():
    made = many(noisy(GONE))
    found = said({**made, "regions": made["regions"].assign(band_exists=False)})
    assert set(found.loc[["erased everywhere", "region works", "target is ahead"], "verdict"]) == {"no band"}
    assert found.loc["shallow wrecks", "verdict"] == "supports", "a shallow block is there without a band"
    assert "4 no band" in found.loc["erased everywhere", "sentence"]
    assert set(said({**made, "regions": made["regions"].assign(band_exists=True)})["verdict"]) == {"supports"}
    # One model of four, and one architecture of two: the others decide, and a verdict on all is open.
    regions = made["regions"].assign(band_exists=made["regions"]["training_seed"] != 0)
    assert said({**made, "regions": regions}).loc["erased everywhere", "verdict"] == "supports"
    both = apart(noisy(GONE), noisy(GONE))
    regions = both["regions"].assign(band_exists=both["regions"]["model"] == "llama")
    assert said({**both, "regions": regions}).loc["erased everywhere", "verdict"] == "not decided"


def test_models_below_their_gate_do_not_count():
    counts = [
        claims.means(Results(many([THE_PAPER] * 3, gate=gate), ABOUT)).set_index("name").loc["erased everywhere"]
        for gate in (True, False)
    ]
    assert [row["n"] for row in counts] == [3, 0]
    assert counts[1]["silent"] == "3 below gate"


# The target and the other blocks


def test_the_target_is_held_against_the_mean_of_the_others_and_not_the_best():
    tied = {"0": ERASES_AND_WRECKS, "1": ERASES_AND_KEEPS, "2": ERASES_AND_KEEPS}
    results = Results(make_tables(tied), ABOUT)
    effect = effects.ahead(results, results.all_cases[0], "rmu")
    # Merits 0, 0.9 and 0.9.
    assert effect.number.value == pytest.approx(0.9 - 0.45)
    assert effect.blocks[effect.chosen] == pytest.approx(0.9)
    assert sorted(effect.blocks) == pytest.approx([0.0, 0.9, 0.9])


def test_a_single_training_cannot_support_what_a_permutation_must_show():
    rows = claims.table(Results(make_tables(THE_PAPER), ABOUT)).set_index("name")
    assert rows.loc["target is ahead", "effect"] == pytest.approx(0.9)
    assert rows.loc["target is ahead", "verdict"] == "not decided"
    row = claims.means(Results(make_tables(THE_PAPER), ABOUT)).set_index("name").loc["target is ahead"]
    assert row["p"] == pytest.approx(1 / 3, abs=0.05), "one of three labels"
    assert row["verdict"] == "not decided"


# Shares of variance


def test_shares_of_variance_are_those_of_the_parts_that_were_put_in():
    block = np.array([-1.0, 0.0, 1.0])
    script = np.array([1.0, 1.0, -1.0, -1.0])
    language = np.array([1.0, -1.0, 1.0, -1.0])
    scripts = ["a", "a", "b", "b"]
    # Mean squares 2/3, 1 and 1 of these; of a product that of both.
    for parts, expected in (
        ((1, 0, 0, 0), {"block": 1.0}),
        ((0, 1, 0, 0), {"script": 1.0}),
        ((0, 0, 1, 0), {"language": 1.0}),
        ((0, 0, 0, 1), {"block × script": 1.0}),
        ((1, 1, 1, 1), {"block": 2 / 10, "script": 3 / 10, "language": 3 / 10, "block × script": 2 / 10}),
    ):
        k = 0.3 + parts[0] * block + parts[1] * script[:, None] + parts[2] * language[:, None]
        k = k + parts[3] * script[:, None] * block
        found = effects.shares(k, scripts)
        assert {name: found[name] for name in expected} == pytest.approx(expected)
        assert sum(found.values()) == pytest.approx(1)
    noise = np.random.default_rng(0).normal(size=(4, 3))
    assert sum(effects.shares(noise, scripts).values()) == pytest.approx(1)
    assert all(map(math.isnan, effects.shares(np.ones((2, 3)), ["a", "b"]).values()))


def test_scripts_come_from_the_study_or_the_packs():
    results = Results({}, {"scripts": {"xx": "Klingon"}})
    assert [effects.script(results, code) for code in ("xx", "hi", "de", "yy")] == [
        "Klingon",
        "Devanagari",
        "Latin",
        "yy",
    ]


# Alignment and what a language keeps


def matrices(models: int, languages: int = 5, blocks: int = 8, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(models, languages, blocks)))


def test_effects_of_language_and_block_explain_nothing_of_what_is_left():
    (x,) = matrices(1)
    shifted = x + np.arange(5.0)[:, None] + 3 * np.arange(8.0)
    assert predict.centred(shifted) == pytest.approx(predict.centred(x))
    assert predict.partial([shifted], [2 * x]) == pytest.approx(1)
    assert predict.gain([shifted] * 3, [x] * 3) == pytest.approx(1)
    assert predict.gain(matrices(20), matrices(20, seed=1)) == pytest.approx(0, abs=0.02)


def test_planted_alignment_is_found_and_unrelated_is_found_as_often_as_the_level_says():
    generator = np.random.default_rng(3)
    found = {0.0: 0, 0.3: 0}
    for number in range(40):
        x = matrices(8, seed=number)
        for r, hits in found.items():
            y = [r * own + math.sqrt(1 - r**2) * noise for own, noise in zip(x, matrices(8, seed=1000 + number))]
            share, power, _ = predict.knowledge_test(y, x, generator, 10 if number == 0 else 0, 100)
            found[r] = hits + (share <= predict.LEVEL)
            assert number > 0 or power >= predict.POWER
    assert found[0.3] >= 36
    assert found[0.0] <= 6


def test_of_few_values_a_planted_score_is_not_found_and_nothing_is_decided():
    """Two languages and three blocks leave two numbers a model: no test sees a correlation of 0.3 there."""
    y, x = matrices(6, 2, 3), matrices(6, 2, 3, seed=1)
    _, power, _ = predict.knowledge_test(y, x, np.random.default_rng(0), 50, 100)
    assert power < predict.POWER
    assert predict._verdict(False, power, 6) == "not decided"
    assert predict._verdict(False, 0.9, 6) == "does not predict"
    assert predict._verdict(True, 0.9, 6) == "predicts"
    assert predict._verdict(True, 0.9, 5) == "not decided"


def test_alignment_of_a_held_out_language_is_its_mean_over_the_sources_in_either_order():
    made = make_tables(THE_PAPER)
    rows = [
        {"model": "llama", "training_seed": 0, "forget_set": "domain", "algorithm": "base", "measure": "cka_unbiased"}
        | {"block": block, "language": pair, "value": value + block}
        for block in range(3)
        for pair, value in (("en-de", 0.2), ("de-es", 0.4), ("en-xx", 0.6), ("es-xx", 0.8), ("en-es", 9.0))
    ]
    results = Results({**made, "profiles": pd.DataFrame(rows)}, ABOUT)
    found = predict.alignment(results, results.all_cases[0], "cka_unbiased", ["de", "xx"], [0, 2])
    assert found == pytest.approx(np.array([[0.3, 2.3], [0.7, 2.7]]))
    assert np.isnan(predict.alignment(results, results.all_cases[0], "cka_unbiased", ["fr"], [0])).all()


def test_what_is_just_below_its_gate_does_not_read_as_the_gate():
    tables = many([THE_PAPER])
    key = {"model": "llama", "training_seed": 0, "oracle": "", "measure": "transfer", "language": "", "n": 64}
    tables["gates"] = pd.DataFrame([{**key, "value": value, "passed": "False"} for value in (0.796875, 0.79)])
    results = Results(tables, ABOUT)
    assert results.below_gate(results.all_cases[0]) == ["transfer 0.79", "transfer 0.79"]
