"""The claims test, tested: studies drawn where MUTE is true and where it is false."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from mute.findings import claims, simulation

ROOT = Path(__file__).parents[2]
NAMES = [*(claim.name for claim in claims.CLAIMS), "cka predicts merit", "cka_unbiased predicts knowledge"]


def test_a_drawn_study_is_the_same_each_time_and_another_with_another_seed():
    first, second, other = (simulation.study("true", seed).tables["scores"] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert not first["value"].equals(other["value"])


@pytest.fixture(scope="module")
def few() -> dict[str, dict[str, Counter]]:
    found: dict[str, dict[str, Counter]] = {name: {"true": Counter(), "false": Counter()} for name in NAMES}
    for world in simulation.WORLDS:
        for seed in range(3):
            results = simulation.study(world, simulation.SEED + seed)
            for name, verdict in simulation.asked(results).items():
                found[name][world][verdict] += 1
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_is_so_and_can_come_out_both_ways(name, few):
    """Of the first three studies at least two say what is so, and no more than one of all six the contrary."""
    assert few[name]["true"]["supports"] >= 2
    assert few[name]["false"]["contradicts"] >= 2
    assert few[name]["true"]["contradicts"] + few[name]["false"]["supports"] <= 1


def test_rates_are_counts_with_wilsons_intervals():
    row = simulation.row("any", "false", Counter({"contradicts": 18, "supports": 1, "not decided": 1}))
    assert (row["right"], row["wrong"], row["studies"]) == (0.9, 0.05, 20)
    assert (row["right_low"], row["right_high"]) == pytest.approx((0.699, 0.972), abs=1e-3)


def test_the_frozen_rates_are_of_the_claims_that_there_are():
    frozen = simulation.read(ROOT / simulation.FILE)
    assert list(dict.fromkeys(frozen["claim"])) == NAMES
    assert set(frozen["studies"]) == {simulation.STUDIES}


def test_the_frozen_rates_are_as_low_as_they_must_be():
    """Four of five studies say what is so, and no more than one in twenty the contrary."""
    frozen = simulation.read(ROOT / simulation.FILE)
    assert (frozen["right"] >= 0.8).all(), frozen[frozen["right"] < 0.8]
    assert (frozen["wrong"] <= 0.05).all(), frozen[frozen["wrong"] > 0.05]


@pytest.mark.slow
def test_all_studies_drawn_again_give_the_frozen_rates():
    again = simulation.rates()
    pd.testing.assert_frame_equal(again, simulation.read(ROOT / simulation.FILE), check_dtype=False)
