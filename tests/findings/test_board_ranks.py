"""Ranks on the board: known orders, equals, controls by shuffling, and how often their intervals hold the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mute.findings import trainings
from mute.findings.board import rank
from mute.findings.board.entries import Entry, Training
from mute.findings.by_language import Worst
from mute.findings.results import MISSING, Number

PLAIN = Entry(
    **dict.fromkeys(
        ("study", "method", "family", "architecture", "setup", "retain", "protocol", "statuses", "dose"), ""
    ),
    algorithm="a",
    objective="removal",
    model="llama",
    band="3",
    sources="en",
    forget_set="domain",
    status="ok",
    trainings=1,
    counted=1,
    facts=60,
    steps=math.nan,
    size=math.nan,
    k=Worst(MISSING),
    k_source=MISSING,
    k_heldout=MISSING,
    k_same=MISSING,
    k_other=MISSING,
    c=Worst(MISSING),
    c_source=MISSING,
)


def number(value: float, half: float = 0.03) -> Number:
    return Number(value, value - half, value + half, 60)


def single(k: float, c: float = 0.95, half: float = 0.03, **changes) -> Entry:
    """An entry of one training."""
    own = Training(0, number(k, half), number(c), number(0.99))
    found = replace(PLAIN, k=Worst(own.k, "hi"), c=Worst(own.c, "hi"), c_source=own.c_source, each=(own,))
    return replace(found, **changes)


def trained(ks, c: float = 0.95) -> Entry:
    """An entry of several trainings."""
    each = tuple(Training(seed, number(k), number(c), number(0.99)) for seed, k in enumerate(ks))
    k, kept, source = (trainings.mean(getattr(own, name) for own in each) for name in ("k", "c", "c_source"))
    whole = {"trainings": len(each), "counted": len(each), "each": each}
    return replace(PLAIN, k=Worst(k, "hi"), c=Worst(kept, "hi"), c_source=source, **whole)


def intervals(*entries: Entry, **options) -> list[tuple]:
    return [(own.place, own.low, own.high) for own in rank.ranks(entries, **options)]


def test_a_clear_winner_is_first_for_sure_and_two_equals_share_their_places():
    found = intervals(single(0.5), single(0.1), single(0.5))
    assert found == [(2, 2, 3), (1, 1, 1), (2, 2, 3)]


def test_over_trainings_what_all_methods_share_moves_no_rank():
    """Four trainings that differ by far more than the methods do, which keep their order in each of them."""
    shared = np.array([0.1, 0.5, 0.3, 0.7])
    assert intervals(trained(shared + 0.2), trained(shared)) == [(2, 2, 2), (1, 1, 1)]
    # Each number by itself could not tell them apart.
    alone = [replace(own, each=()) for own in (trained(shared + 0.2), trained(shared))]
    assert [own[1:] for own in intervals(*alone)] == [(1, 2), (1, 2)]


def test_shuffled_labels_know_no_order():
    rng = np.random.default_rng(3)
    values = np.array([0.1, 0.3, 0.5, 0.7, 0.9])[:, None] + rng.normal(0, 0.02, (5, 4))
    assert [own[0] for own in intervals(*map(trained, values))] == [1, 2, 3, 4, 5]
    assert all(high == low for _, low, high in intervals(*map(trained, values)))
    shuffled = rng.permuted(values, axis=0)
    assert sum(high - low >= 3 for _, low, high in intervals(*map(trained, shuffled))) >= 4


def test_intervals_hold_the_true_rank_as_often_as_they_say():
    """Five methods of known K, whose trainings differ together and apart: 200 drawn studies."""
    truth, rng = np.array([0.1, 0.2, 0.3, 0.45, 0.6]), np.random.default_rng(5)
    held = narrow = 0
    for _ in range(200):
        values = truth[:, None] + rng.normal(0, 0.1, 4) + rng.normal(0, 0.06, (5, 4))
        for true, (_, low, high) in enumerate(intervals(*map(trained, values), draws=400), start=1):
            held += low <= true <= high
            narrow += high - low < 4
    assert held / 1000 >= 0.93
    # And they say something: hardly any spans all five places.
    assert narrow > 900


def test_capability_below_the_floor_has_no_place_and_one_at_it_is_not_decided():
    found = rank.ranks([single(0.1, c=0.4), single(0.3, c=0.82), single(0.5), single(0.2, c=0.79)])
    assert [own.place for own in found] == [None, 1, 2, None]
    assert found[0].why == "capability below 0.8"
    assert "not decided" in found[1].why
    assert "not told from it" in found[3].why
    # It may not reach the floor, and comes after all that do.
    assert (found[1].low, found[1].high) == (1, 2)
    assert [own.place for own in rank.ranks([single(0.1, c=0.4), single(0.3)], floor=0.3)] == [1, 2]


def test_sources_that_are_wrecked_are_below_the_floor():
    wrecked = replace(single(0.1), c_source=number(0.3), each=(Training(0, number(0.1), number(0.95), number(0.3)),))
    assert [own.place for own in rank.ranks([wrecked, single(0.5)])] == [None, 1]


def test_less_than_nothing_is_left_nowhere():
    assert [own.place for own in rank.ranks([single(-0.2), single(0.0), single(0.5)])] == [1, 1, 3]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (single(0.0, status="destroyed"), "destroyed"),
        (single(0.0, status="not_reached"), "not reached"),
        (single(0.0, objective="control"), "control"),
        (replace(single(0.0), k=Worst(MISSING)), "not measured"),
        (replace(single(0.0), k=Worst(Number(0.1))), "no interval"),
    ],
)
def test_what_is_not_ranked_says_why_and_moves_nobody(entry, why):
    found = rank.ranks([entry, single(0.4)])
    assert (found[0].place, found[0].why) == (None, why)
    assert found[1] == rank.Rank(1, 1, 1, 1)


def test_entries_that_were_trained_or_asked_otherwise_are_not_compared():
    found = rank.ranks([single(0.1), single(0.2, setup="other"), single(0.3, forget_set="conjunctive"), single(0.4)])
    assert [(own.place, own.of) for own in found] == [(1, 2), (1, 1), (1, 1), (2, 2)]


def test_ranks_are_the_same_each_time():
    entries = [trained([0.1, 0.2, 0.3]), trained([0.2, 0.1, 0.3]), single(0.2)]
    assert rank.ranks(entries) == rank.ranks(entries)
