"""Properties of languages against K: simulated studies whose truth is script, overlap, or nothing; and too few."""

import math

import numpy as np
import pandas as pd
import pytest

from made_up import ABOUT, KEYS, KINDS, THE_PAPER, incomplete, make_tables
from mute.findings import permuting, properties
from mute.findings.properties import NO, OPEN, OVER, YES
from mute.findings.results import Results

SOURCES = ["s0", "s1"]
SAME, OTHER = 9, 9  # held-out languages of the sources' script, and of others
BLOCKS = (0, 1, 2)


def features(seed: int, same: int = SAME, other: int = OTHER) -> dict[str, np.ndarray]:
    """Properties [L, 1] of languages: overlap hangs on the script, kinship hardly."""
    generator = np.random.default_rng(seed)
    script = np.repeat([1.0, 0.0], [same, other])
    overlap = 0.2 + 0.35 * script + generator.uniform(-0.2, 0.2, len(script))
    branch = (generator.random(len(script)) < np.where(script == 1, 0.5, 0.3)).astype(float)
    found = {"same_script": script, "same_branch": branch, "same_family": np.ones(len(script))}
    found |= {"answer_overlap": overlap, "prompt_overlap": generator.random(len(script))}
    return {name: x[:, None] for name, x in found.items()}


def kept(truth: str, known: dict[str, np.ndarray], seed: int, noise: float = 0.06) -> np.ndarray:
    """K [L, B] of a study in which only `truth` counts."""
    script, overlap = known["same_script"][:, 0], known["answer_overlap"][:, 0]
    level = {"script": 0.7 - 0.5 * script, "overlap": 1.0 - 1.2 * overlap, "nothing": np.full(len(script), 0.5)}[truth]
    generator = np.random.default_rng(seed)
    each = level + generator.normal(0, noise, len(script))
    return each[:, None] + generator.normal(0, noise / 2, (len(script), len(BLOCKS)))


def asked(truth: str, seed: int, known: dict[str, np.ndarray] | None = None) -> dict[str, dict]:
    """Rows over blocks, by property."""
    known = features(seed) if known is None else known
    k = kept(truth, known, seed)
    return {row["property"]: row for row in properties.tested(k[:, :0], k.mean(1), known)[0]}


def tables(truth: str = "script", seed: int = 0, same: int = SAME, other: int = OTHER) -> tuple[dict, dict]:
    """The tables of a whole study of one model, and what it says of itself."""
    known = features(seed, same, other)
    codes = [f"h{i:02}" for i in range(same + other)]
    k = kept(truth, known, seed)
    cell = {**KEYS, "sources": "-".join(SOURCES), "algorithm": "rmu", "protocol": "matched", "seed": 0, "status": "ok"}
    about = {**ABOUT, "models": {"llama": {"blocks": 3, "languages": [*SOURCES, *codes]}}}
    rows = [
        {**cell, "band": str(block), "language": code, "group": "heldout", "metric": "K", "facts": "all", "n": 60}
        | {"value": k[i, j], "low": k[i, j] - 0.05, "high": k[i, j] + 0.05, "floor": "oracle", "attack": ""}
        for i, code in enumerate(codes)
        for j, block in enumerate(BLOCKS)
    ]
    own = {"model": "llama", "sources": cell["sources"], "forget_set": "domain", "family": "", "branch": ""}
    said = [
        {**own, "language": code, "script": "Latin" if known["same_script"][i, 0] else "Han"}
        | {name: x[i, 0] for name, x in known.items()}
        for i, code in enumerate(codes)
    ]
    cells = pd.DataFrame([{**cell, "band": str(block), "steps": 9} for block in BLOCKS])
    return {"cells": cells, "scores": pd.DataFrame(rows), "properties": pd.DataFrame(said)}, about


# What is true comes out


def test_where_script_counts_script_is_found_and_overlap_says_no_more():
    found = [asked("script", seed) for seed in range(12)]
    assert all(own["same_script"]["verdict"] == YES for own in found)
    assert all(-0.6 < own["same_script"]["estimate"] < -0.4 for own in found)
    assert all(own["same_script"]["low"] < own["same_script"]["estimate"] < own["same_script"]["high"] for own in found)
    # It is confounded with script, and so it goes with K; beside script it does not.
    assert sum(own["answer_overlap"]["verdict"] == YES for own in found) > 6
    assert all(own["answer_overlap"]["beside"] == "same_script" for own in found)
    assert sum(own["answer_overlap"]["within_verdict"] == YES for own in found) <= 1


def test_where_overlap_counts_it_is_found_beside_script():
    found = [asked("overlap", seed) for seed in range(12)]
    assert all(own["answer_overlap"]["verdict"] == YES for own in found)
    assert sum(own["answer_overlap"]["within_verdict"] == YES for own in found) >= 11
    assert all(own["answer_overlap"]["estimate"] < -0.8 for own in found)
    assert sum(own["prompt_overlap"]["verdict"] == YES for own in found) <= 1


def test_where_nothing_counts_a_study_says_otherwise_in_one_of_twenty_at_most():
    """Over all properties of a study together; the properties are the same, so that power is simulated once."""
    known, studies, wrong, within = features(1), 200, 0, 0
    for seed in range(studies):
        found = asked("nothing", 1000 + seed, known)
        wrong += any(row["verdict"] == YES for row in found.values())
        within += any(row["within_verdict"] == YES for row in found.values())
        assert found["same_family"]["verdict"] == "", "the same in all languages: nothing to test"
    # 0.05 and twice the error of 200 draws.
    assert wrong / studies <= 0.081
    assert within / studies <= 0.081


def test_few_languages_decide_nothing_and_say_so():
    known = features(2, same=3, other=3)
    found = asked("script", 2, known)
    assert {row["verdict"] for row in found.values()} == {OPEN, ""}
    assert math.isnan(found["same_script"]["detectable"]), "one of twenty orders is as good: never below the level"


def test_many_languages_may_decide_that_there_is_nothing():
    known = features(3, same=45, other=45)
    found = asked("nothing", 3, known)
    assert found["same_script"]["verdict"] == found["prompt_overlap"]["verdict"] == NO
    assert found["same_script"]["detectable"] < 0.2
    assert found["prompt_overlap"]["detectable"] < 0.5


# The tests themselves


def test_p_values_are_exact_where_orders_are_few():
    x, y = np.array([1.0, 1, 0, 0, 0]), np.array([[5.0, 4, 3, 2, 1]])
    found = permuting.effects(x, y, np.zeros(5, int))
    assert found.exact
    assert found.p[0] == pytest.approx(2 / 10), "the two highest of ten pairs, and the two lowest"
    assert found.estimate[0] == pytest.approx(4.5 - 2)
    ranked = permuting.effects(np.array([0.1, 0.2, 0.4, 0.3]), np.array([[1.0, 2, 4, 3]]), np.zeros(4, int))
    assert ranked.estimate[0] == pytest.approx(1)
    assert ranked.p[0] == pytest.approx(2 / 24)


def test_within_strata_only_languages_alike_are_exchanged():
    """Script alone counts; what hangs on it has an effect over all, and none within."""
    script = np.array([1, 1, 1, 0, 0, 0])
    x, y = script + np.array([0.0, 0.1, 0.2] * 2), (1 - script + np.array([0.02, 0.0, 0.01] * 2))[None]
    whole, within = (permuting.effects(x, y, strata) for strata in (np.zeros(6, int), script))
    assert whole.estimate[0] < -0.7
    assert within.exact
    assert within.p[0] >= 0.5
    assert len(permuting._arranged(permuting.centred(permuting.ranks(x), script), script, 100)[0]) == 36


def test_ranks_of_equal_values_share_their_mean():
    assert permuting.ranks(np.array([3.0, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]
    counts = np.array([[2.0, 0, 1, 1]])
    drawn = permuting._counted_ranks(np.array([3.0, 1, 3, 2]), counts)[0]
    assert drawn[[0, 2, 3]].tolist() == [3, 3, 1], "of 3, 3, 3, 2"


def test_power_grows_with_languages_and_falls_with_the_number_of_tests():
    def least(n: int, level: float) -> float:
        return permuting.detectable(np.linspace(0, 1, n), np.zeros(n, int), level)

    assert least(12, 0.05) > least(24, 0.05)
    assert least(24, 0.05) < least(24, 0.005)
    # Spearman's r of 20 languages, from tables of its critical values and Fisher's z.
    assert least(20, 0.05) == pytest.approx(0.6, abs=0.06)
    halves = np.repeat([1.0, 0.0], 10)
    assert permuting.detectable(halves, np.zeros(20, int), 0.05) == pytest.approx(1.32, abs=0.12), "Student's t"


def test_the_found_share_at_the_detectable_effect_is_the_power():
    """Planted anew, in studies that were not used to find it."""
    x, strata = np.linspace(0, 1, 14), np.zeros(14, int)
    effect = permuting.detectable(x, strata, 0.05)
    signal = permuting._scores(x, strata)
    noise = np.random.default_rng(99).normal(size=(300, 14))
    found = permuting.effects(x, effect * signal + math.sqrt(1 - effect**2) * noise, strata)
    assert float((found.p <= 0.05).mean()) == pytest.approx(0.8, abs=0.07)


def test_intervals_cover_the_effect_and_one_language_gives_none():
    x = np.repeat([1.0, 0.0], 12)
    y = np.random.default_rng(5).normal(0, 0.1, (200, 24)) - 0.3 * x
    low, high = permuting.interval(x, y, 0)
    assert 0.88 < float(((low < -0.3) & (high > -0.3)).mean()) < 0.98
    lone = np.array([1.0, 0, 0, 0, 0])
    assert np.isnan(permuting.interval(lone, y[:1, :5], 0)).all()
    agree = np.arange(5.0)
    assert np.isnan(permuting.interval(agree, agree[None], 0)).all(), "no resample could differ"


# Whole studies


def test_the_table_of_a_study():
    made, about = tables("script", 4)
    found = properties.table(Results(made, about))
    assert list(found.columns) == properties.COLUMNS
    assert list(dict.fromkeys(found["block"])) == [OVER, "0", "1", "2"]
    over = found[found["block"] == OVER].set_index("property")
    assert over.loc["same_script", "verdict"] == YES
    assert over.loc["same_script", "n"] == SAME + OTHER
    assert over.loc["answer_overlap", "with_script"] > 0.5
    each = found[(found["block"] != OVER) & (found["property"] == "same_script")]
    assert set(each["verdict"]) == {YES}
    single = found[found["block"] != OVER]
    assert single["detectable"].isna().all()
    assert NO not in set(single["verdict"]), "at single blocks nothing is decided by finding nothing"
    said = properties.words(found)
    assert said.startswith("K goes with same script (K −0.")
    assert "Whether answer overlap counts beside script is not decided." in said
    assert "At single blocks it goes with same script at 0, 1, 2;" in said
    again = properties.table(Results(*tables("script", 4)))
    pd.testing.assert_frame_equal(found, again)


def test_a_study_of_nothing_says_so_in_words():
    found = properties.table(Results(*tables("nothing", 6)))
    said = properties.words(found)
    assert said.startswith("K is not shown to go with any property of a language.")
    assert "would mostly be found" in said
    assert "Not tested, the same in all languages" in said
    assert said.endswith("At no single block is it shown to.")


def test_without_the_table_packs_and_kin_say_what_they_know():
    made, about = tables("script", 4, same=3, other=3)
    names = dict(zip((f"h{i:02}" for i in range(6)), ("de", "fr", "it", "hi", "ar", "ko")))
    names |= dict(zip(SOURCES, ("en", "es")))
    scores, cells = made["scores"], made["cells"]
    made = {"scores": scores.assign(language=scores["language"].map(names), sources="en-es")}
    made["cells"] = cells.assign(sources="en-es")
    about = {
        **about,
        "models": {"llama": {"blocks": 3, "languages": list(names.values())[-2:] + list(names.values())[:6]}},
    }
    results = Results(made, about)
    own = properties.kept(results, results.cases, "rmu")
    found = properties.values(results, own)
    assert found["same_script"][:, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert found["same_branch"][:, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert found["same_family"][:, 0].tolist() == [1, 1, 1, 1, 0, 0]
    assert "answer_overlap" not in found, "no tokenizer has said"


@pytest.mark.parametrize(
    ("same", "other", "words"), [(0, 0, "holds no language out"), (1, 0, "1 held-out language has")]
)
def test_a_study_of_too_few_languages_says_so(same, other, words):
    made, about = tables("nothing", 0, same, other) if same else tables("nothing", 0, 1, 0)
    if not same:
        about = {**about, "models": {"llama": {"blocks": 3, "languages": SOURCES}}}
    results = Results(made, about)
    assert words in properties.too_few(results)
    assert properties.table(results).empty
    assert properties.pairs(results).empty


def test_languages_in_which_too_few_facts_are_asked_do_not_count():
    made, about = tables("script", 4)
    about["models"]["llama"]["known"] = {"languages": SOURCES, "right_in": 2, "least": 60}
    scores = made["scores"]
    own = scores[(scores["algorithm"] == "rmu") & (scores["metric"] == "K") & (scores["language"] != "")]
    base = own.drop_duplicates("language").assign(algorithm="base", band="", retain="", protocol="", seed=0)
    asked = base.assign(metric="facts_asked", facts="", floor="", value=60.0)
    asked.loc[asked["language"] == "h03", "value"] = 59.0
    results = Results({**made, "scores": pd.concat([scores, asked])}, about)
    assert len(results.tables["scores"]["language"].unique()) == SAME + OTHER
    own = properties.kept(results, results.cases, "rmu")
    assert "h03" not in own.codes
    assert len(own.codes) == SAME + OTHER - 1


@pytest.mark.parametrize("kind", KINDS)
def test_incomplete_studies_say_why_nothing_is_asked(kind):
    results = Results(incomplete(kind), {} if kind in ("empty", "cells only") else ABOUT)
    assert properties.table(results).empty
    assert properties.too_few(results)


def test_the_made_up_study_has_two_held_out_languages():
    assert properties.too_few(Results(make_tables(THE_PAPER), ABOUT)).startswith("2 held-out languages have")


# Two scripts of one language


def with_pair(gap: float, half: float, *, paired: bool = True) -> Results:
    made, about = tables("script", 4)
    scores = made["scores"].replace({"language": {"h10": "hi", "h11": "hi_latn"}})
    about["models"]["llama"]["languages"] = [
        {"h10": "hi", "h11": "hi_latn"}.get(code, code) for code in about["models"]["llama"]["languages"]
    ]
    own = scores[scores["language"].isin(["hi", "hi_latn"])].assign(metric="K_paired", n=40)
    own["value"] = np.where(own["language"] == "hi", 0.6, 0.6 + gap)
    between = own[own["language"] == "hi_latn"].assign(metric="script_gap", value=gap, low=gap - half, high=gap + half)
    return Results({**made, "scores": pd.concat([scores, own, between] if paired else [scores])}, about)


@pytest.mark.parametrize(
    ("gap", "half", "verdict", "words"),
    [
        (-0.4, 0.1, YES, "script goes with K where the language is the same"),
        (0.0, 0.04, NO, "script alone changes nothing"),
        (-0.1, 0.2, OPEN, "is not decided"),
    ],
)
def test_a_language_in_two_scripts_tells_script_from_language(gap, half, verdict, words):
    results = with_pair(gap, half)
    rows = properties.pairs(results)
    assert list(rows["block"]) == [OVER, "0", "1", "2"]
    assert set(rows["verdict"]) == {verdict}
    over = rows.iloc[0]
    assert (over["language"], over["romanised"], over["n"]) == ("hi", "hi_latn", 40)
    assert over["K_romanised"] - over["K"] == pytest.approx(over["difference"]) == pytest.approx(gap)
    (said,) = properties.pair_words(rows)
    assert words in said


def test_without_paired_scores_the_difference_has_no_interval():
    rows = properties.pairs(with_pair(-0.4, 0.1, paired=False))
    assert rows["low"].isna().all()
    assert set(rows["verdict"]) == {OPEN}
