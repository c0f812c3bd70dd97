"""Kinds of forgetting on constructed cases: each of a model whose kind is known by how it was made."""

import itertools
import math

import pytest

from mute.findings.removal import LARGE, SMALL, reach, verdict

NAN = math.nan


@pytest.mark.parametrize(
    ("made", "drops", "kind"),
    [
        ("the base itself", (0.0, 0.0, 0.0), "no effect"),
        ("a guard: its answers are gone, the model inside is the base", (1.0, 0.0, 0.0), "suppression-like"),
        ("a bias on the output", (0.95, 0.05, 1.0), "suppression-like"),
        ("a refusal tuned into the last block: retraining undoes it", (0.9, 0.6, 0.1), "suppression-like"),
        ("an oracle: it never knew", (1.0, 1.0, 1.0), "removal-like"),
        ("half of it is gone", (0.5, 0.9, 0.9), "mixed"),
        ("gone from the answers, half inside", (0.9, 0.5, 0.9), "mixed"),
        ("nobody looked inside, and it comes back", (0.9, NAN, 0.1), "suppression-like"),
        ("nobody looked inside, and it does not come back", (0.9, NAN, 0.9), "not decided"),
        ("nobody asked", (NAN, 1.0, 1.0), "not decided"),
        ("more is known than before", (-0.1, NAN, NAN), "no effect"),
    ],
)
def test_what_kind_of_forgetting_it_looks_like(made, drops, kind):
    assert verdict(*drops) == kind, made


def test_less_inside_and_less_lasting_never_look_more_like_removal():
    """Negative control: whatever the answers say, what is left inside or comes back is no removal."""
    shares = (0.0, SMALL, 0.5, LARGE, 1.0)
    for behaviour, inside, durable in itertools.product(shares, repeat=3):
        said = verdict(behaviour, inside, durable)
        assert (said == "removal-like") == (min(behaviour, inside, durable) >= LARGE)
        assert (said == "no effect") == (behaviour <= SMALL)


def test_reach_is_how_much_of_the_sources_drop_other_languages_share():
    assert reach(0.4, 0.8) == pytest.approx(0.5)
    assert reach(0.9, 0.9) == 1
    assert math.isnan(reach(0.1, 0.1))
    assert math.isnan(reach(0.5, NAN))
