"""Region, α, layer choice and depth mapping, held against the published curves and tables of MUTE."""

import csv
import math
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mute.findings.region import (
    ALPHA_GRID,
    LAYER_RULES,
    REGION_RULES,
    Region,
    choose_alpha,
    choose_layer,
    dip,
    local_peaks,
    map_position,
    region,
)

PUBLISHED = Path(__file__).resolve().parents[2] / "paper" / "published"
LLAMA, BLOOM, QWEN = "Llama-3.1-8B", "BLOOM-7b1", "Qwen-2.5-7B"


class Printed(NamedTuple):
    """A row of Table 5, with the number of blocks drawn in the figures; `first` and `last` are the ends of Λ."""

    depth: int
    mean_cka: float
    min_lrds: float
    alpha: float
    tau: float
    first: int
    last: int

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.last + 1))


TABLE_5 = {
    LLAMA: Printed(32, 0.647, 0.0039, 2.5, 0.0096, 8, 23),
    BLOOM: Printed(30, 0.642, 0.0017, 4.4, 0.0073, 5, 22),
    QWEN: Printed(28, 0.512, 0.0287, 1.5, 0.0441, 19, 24),
}
# Ends of Λ by α.
TABLE_6 = {
    LLAMA: {2.0: (8, 17), 2.5: (8, 23), 3.0: (8, 23)},
    BLOOM: {3.9: (5, 21), 4.4: (5, 22), 4.9: (5, 22)},
    QWEN: {1.0: (19, 21), 1.5: (19, 24), 2.0: (19, 26)},
}


@pytest.fixture(scope="module")
def curves() -> dict[str, tuple[list[float], list[float]]]:
    """CKA and LRDS by block of each model, from Figures 2-4."""
    found: dict[str, tuple[list[float], list[float]]] = {model: ([], []) for model in TABLE_5}
    with (PUBLISHED / "mute_fig2_3_4_curves.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cka, lrds = found[row["model"]]
            assert int(row["layer"]) == len(cka)
            cka.append(float(row["cka"]))
            lrds.append(float(row["lrds"]))
    return found


def span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


@pytest.mark.parametrize("model", TABLE_5)
def test_thresholds_are_those_of_table_5(curves, model):
    cka, lrds = curves[model]
    printed = TABLE_5[model]
    found = region(cka, lrds, printed.alpha)
    assert len(cka) == printed.depth
    # BLOOM's curve has mean 0.6438 where the table prints 0.642; no block lies between the two.
    assert found.cka_floor == pytest.approx(printed.mean_cka, abs=0.002 if model == BLOOM else 0.0005)
    if model == BLOOM:
        assert [c >= found.cka_floor for c in cka] == [c >= printed.mean_cka for c in cka]
    assert min(lrds) == pytest.approx(printed.min_lrds, abs=0.00005)
    # Qwen's printed τ, 0.0441, is not 1.5 · 0.0287 = 0.0431.
    assert found.lrds_ceiling == pytest.approx(0.043065 if model == QWEN else printed.tau, abs=0.0001)


@pytest.mark.parametrize("model", TABLE_5)
def test_printed_tau_is_the_lrds_of_the_deepest_printed_block(curves, model):
    _, lrds = curves[model]
    assert round(lrds[TABLE_5[model].last], 4) == TABLE_5[model].tau


@pytest.mark.parametrize("alpha", TABLE_6[BLOOM])
def test_both_rules_give_the_printed_regions_of_bloom(curves, alpha):
    for rule in REGION_RULES:
        assert region(*curves[BLOOM], alpha, rule).blocks == span(*TABLE_6[BLOOM][alpha])


@pytest.mark.parametrize("alpha", TABLE_6[LLAMA])
def test_only_the_hull_gives_the_printed_regions_of_llama(curves, alpha):
    first, last = TABLE_6[LLAMA][alpha]
    assert region(*curves[LLAMA], alpha, "hull").blocks == span(first, last)
    # Blocks 9 to 15 have CKA below the mean.
    assert region(*curves[LLAMA], alpha, "literal").blocks == (8, *span(16, last))


def test_neither_rule_gives_the_printed_regions_of_qwen(curves):
    expected = {
        1.0: (18,),
        1.5: (1, 2, 13, 14, *span(16, 23), 26),
        2.0: (1, 2, 3, 13, 14, *span(16, 26)),
    }
    for alpha, literal in expected.items():
        assert region(*curves[QWEN], alpha, "literal").blocks == literal
        assert region(*curves[QWEN], alpha, "hull").blocks == span(literal[0], literal[-1])
        assert literal != span(*TABLE_6[QWEN][alpha]) != span(literal[0], literal[-1])


def test_no_alpha_gives_the_printed_region_of_qwen(curves):
    """Not a rounding of α, nor the printed τ: blocks 16 to 18 pass wherever blocks 19 and 24 do."""
    cka, lrds = curves[QWEN]
    for alpha in {value / min(lrds) for value in lrds} | {TABLE_5[QWEN].tau / min(lrds)}:
        for rule in REGION_RULES:
            assert region(cka, lrds, alpha * (1 + 1e-9), rule).blocks != TABLE_5[QWEN].blocks


@pytest.mark.parametrize(
    ("model", "first_local_peak", "argmax", "deepest"), [(LLAMA, 8, 17, 23), (BLOOM, 5, 5, 22), (QWEN, 19, 19, 24)]
)
def test_layer_choices_inside_the_printed_regions(curves, model, first_local_peak, argmax, deepest):
    cka, _ = curves[model]
    blocks = TABLE_5[model].blocks
    assert choose_layer(cka, blocks, "first_local_peak") == first_local_peak
    assert choose_layer(cka, blocks, "argmax") == argmax
    assert choose_layer(cka, blocks, "deepest") == deepest


def test_no_rule_gives_the_stated_layers_of_llama(curves):
    cka, lrds = curves[LLAMA]
    for rule in REGION_RULES:
        found = region(cka, lrds, TABLE_5[LLAMA].alpha, rule)
        assert {choose_layer(cka, found, layer_rule) for layer_rule in LAYER_RULES[:3]} == {8, 17, 23}
        assert choose_layer(cka, found, "stated", stated=9) == 9
        assert choose_layer(cka, found, "stated", stated=20) == 20


@pytest.mark.parametrize(
    ("model", "rule", "alpha", "blocks"),
    [
        (LLAMA, "literal", 2.5, (8, *span(16, 23))),
        (LLAMA, "hull", 2.0, span(8, 17)),
        (BLOOM, "literal", 1.5, span(7, 17)),
        (BLOOM, "hull", 1.5, span(7, 17)),
        (QWEN, "literal", 1.5, (1, 2, 13, 14, *span(16, 23), 26)),
        (QWEN, "hull", 1.5, span(1, 26)),
    ],
)
def test_choose_alpha_on_the_published_curves(curves, model, rule, alpha, blocks):
    chosen = choose_alpha(*curves[model], rule)
    assert (chosen.alpha, chosen.blocks, chosen.reason) == (alpha, blocks, None)
    assert chosen == region(*curves[model], alpha, rule)


def test_alpha_grid():
    assert ALPHA_GRID[:3] == (1.5, 2.0, 2.5)
    assert ALPHA_GRID[-1] == 10.0


@pytest.mark.parametrize("lowest", [0.0, -0.01])
def test_lrds_not_positive(lowest):
    cka, lrds = [0.5, 0.6, 0.7, 0.6], [0.2, 0.1, lowest, 0.1]
    for found in (region(cka, lrds, 2.0, "hull"), choose_alpha(cka, lrds, "hull")):
        assert found.blocks == ()
        assert found.reason == "lrds_not_positive"


def test_empty_region_and_share_not_reached():
    cka, lrds = [0.5, 0.6, 0.7, 0.8], [0.001, 0.1, 0.1, 0.1]  # least language-specific where CKA is lowest
    assert (region(cka, lrds, 2.0).blocks, region(cka, lrds, 2.0).reason) == ((), "empty")
    chosen = choose_alpha(cka, lrds)
    assert (chosen.blocks, chosen.reason, chosen.alpha) == ((), "share_not_reached", 10.0)
    assert choose_alpha(cka, lrds, grid=(200.0, 100.0)).alpha == 100.0
    with pytest.raises(ValueError, match="share_not_reached"):
        choose_layer(cka, chosen, "argmax")
    assert choose_layer(cka, chosen, "stated", stated=2) == 2


def test_share_is_met_at_equality():
    cka, lrds = [0.9, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.1]
    assert choose_alpha(cka, lrds, share=0.25).blocks == (0,)
    assert choose_alpha(cka, lrds, share=0.26).reason == "share_not_reached"


positive = st.floats(1e-6, 1.0)


@settings(deadline=None)
@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=12), st.floats(1, 10), st.floats(0, 5))
def test_region_grows_with_alpha_and_the_hull_covers_it(points, alpha, more):
    cka, lrds = zip(*points)
    literal, hull = region(cka, lrds, alpha, "literal"), region(cka, lrds, alpha, "hull")
    assert set(literal.blocks) <= set(hull.blocks)
    assert (literal.blocks[:1], literal.blocks[-1:]) == (hull.blocks[:1], hull.blocks[-1:])
    assert set(literal.blocks) <= set(region(cka, lrds, alpha + more).blocks)
    for found in (literal, hull, choose_alpha(cka, lrds), choose_alpha(cka, lrds, "hull")):
        assert (found.reason is None) == bool(found.blocks)


@settings(deadline=None)
@given(st.integers(1, 40), positive, positive)
def test_flat_curves_qualify_everywhere(depth, cka, lrds):
    assert region([cka] * depth, [lrds] * depth, 1.0).blocks == tuple(range(depth))


@pytest.mark.parametrize(
    ("cka", "peaks"),
    [
        ([1, 2, 1], (1,)),
        ([1, 2, 3], (2,)),
        ([3, 2, 1], (0,)),
        ([3, 1, 2], (0, 2)),
        ([1, 2, 2, 1], (1,)),
        ([1, 2, 2, 3], (3,)),
        ([3, 2, 2, 1], (0,)),
        ([1, 1], (0,)),
    ],
)
def test_local_peaks(cka, peaks):
    assert local_peaks(cka) == peaks


def test_an_edge_of_the_region_is_no_peak_unless_the_curve_turns_there():
    cka = [0.9, 0.8, 0.5, 0.7, 0.6, 0.8]
    assert choose_layer(cka, (1, 2, 3, 4), "first_local_peak") == 3
    assert choose_layer(cka, (1, 2), "first_local_peak") == 1  # no peak inside: the largest
    assert choose_layer(cka, (3, 4), "first_local_peak") == 3
    assert choose_layer(cka, (1, 5), "argmax") == 1  # the earliest of equals


@pytest.mark.parametrize(
    ("block", "depth_from", "depth_to", "expected"),
    [
        (0, 32, 8, 0),
        (31, 32, 8, 7),
        (9, 32, 8, 2),
        (20, 32, 8, 5),
        (5, 30, 8, 1),
        (22, 30, 8, 5),
        (19, 28, 8, 5),
        (24, 28, 8, 6),
        (1, 3, 2, 1),
        (1, 3, 4, 2),
        (1, 3, 6, 3),
        (2, 4, 1, 0),
    ],
)
def test_map_position(block, depth_from, depth_to, expected):
    assert map_position(block, depth_from, depth_to) == expected


@settings(deadline=None)
@given(st.integers(2, 80), st.integers(1, 80), st.data())
def test_map_position_is_the_nearest_block(depth_from, depth_to, data):
    block = data.draw(st.integers(0, depth_from - 1))
    exact = block / (depth_from - 1) * (depth_to - 1)
    assert abs(map_position(block, depth_from, depth_to) - exact) <= 0.5 + 1e-9
    assert map_position(block, depth_from, depth_from) == block


NAN = math.nan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: region([], [], 2.0), "no blocks"),
        (lambda: region([1, 2], [1], 2.0), "2 blocks but LRDS has 1"),
        (lambda: region([1, NAN], [1, 1], 2.0), "CKA is not finite at block 1"),
        (lambda: region([1, 1], [NAN, NAN], 2.0), "LRDS is not finite at block 0, 1"),
        (lambda: region([1], [1], 0.9), "at least 1"),
        (lambda: region([1], [1], NAN), "at least 1"),
        (lambda: region([1], [1], 2.0, "litral"), "Did you mean 'literal'"),  # ty: ignore[invalid-argument-type]
        (lambda: choose_alpha([1], [1], share=0), "share"),
        (lambda: choose_alpha([1], [1], share=1.1), "share"),
        (lambda: choose_alpha([1], [1], grid=()), "grid"),
        (lambda: choose_layer([1, 2], (0,), "deepst"), "Did you mean 'deepest'"),  # ty: ignore[invalid-argument-type]
        (lambda: choose_layer([1, 2], (), "argmax"), "reason: empty"),
        (lambda: choose_layer([1, 2], Region((), "hull", 2, 1, 0, "lrds_not_positive"), "argmax"), "lrds_not_pos"),
        (lambda: choose_layer([1, 2], (1, 2), "argmax"), "block 2 is outside 0 to 1"),
        (lambda: choose_layer([1, 2], (0,), "stated"), "stated=None"),
        (lambda: choose_layer([1, 2], (0,), "stated", stated=2), "block 2 is outside"),
        (lambda: choose_layer([1, 2], (0,), "argmax", stated=0), "only there"),
        (lambda: map_position(3, 3, 8), "block 3 is outside 0 to 2"),
        (lambda: map_position(0, 1, 8), "at least 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_region_needs_no_torch():
    code = "import sys, mute.findings.region; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_published_tables_are_complete():
    with (PUBLISHED / "mute_tables_long.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 800


# Whether there is a band


@pytest.mark.parametrize("model", [LLAMA, BLOOM, QWEN])
def test_the_published_curves_have_an_interior_minimum_below_both_ends(curves, model):
    _, lrds = curves[model]
    found = dip(lrds)
    assert found.exists
    assert lrds[found.block] == min(lrds)
    assert 0 < found.block < len(lrds) - 1
    assert found.below_first.value == pytest.approx(lrds[0] - min(lrds))
    assert found.below_last.value == pytest.approx(lrds[-1] - min(lrds))


@pytest.mark.parametrize(
    ("lrds", "exists", "block"),
    [
        ([0.5, 0.1, 0.5], True, 1),
        ([0.5, 0.4, 0.3, 0.2], False, 2),  # falls to the last block
        ([0.1, 0.2, 0.3, 0.4], False, 1),  # rises from the first
        ([0.3, 0.2, 0.3, 0.2], False, 1),  # as low as the last
        ([0.3, 0.3, 0.3], False, 1),
        ([0.5, 0.1], False, None),
        ([0.5], False, None),
    ],
)
def test_a_band_is_an_interior_minimum_and_no_end(lrds, exists, block):
    found = dip(lrds)
    assert (found.exists, found.block) == (exists, block)


def test_a_minimum_within_its_interval_of_an_end_is_no_band():
    lrds = [0.5, 0.1, 0.4]
    sure, open_, unknown = ([0, 0.1, 0], [0, 0.5, 0]), ([0, -0.01, 0], [0, 0.5, 0]), ([math.nan] * 3, [math.nan] * 3)
    assert dip(lrds, sure, sure).exists
    for one in (open_, unknown):
        assert not dip(lrds, one, sure).exists
        assert not dip(lrds, sure, one).exists
    assert (dip(lrds, sure, sure).below_first.low, dip(lrds, sure, sure).below_last.high) == (0.1, 0.5)
    with pytest.raises(ValueError, match="3 blocks, but intervals of 2 and 2"):
        dip(lrds, ([0, 0], [0, 0]))
