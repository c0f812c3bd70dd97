"""Intervals, resampling and verdicts against published values, closed forms and simulation."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mute.evaluate import inference
from mute.evaluate.inference import (
    UNDEFINED_SHARE,
    cluster_counts,
    cluster_weights,
    equivalence,
    holm,
    minimum_detectable,
    percentile_interval,
    t_interval,
    t_quantile,
    wilson,
)

LEVELS = st.floats(0.5, 0.999)


# Newcombe (1998), Table I, method 3.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_published_intervals(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_vectorised_and_undefined_without_trials():
    low, high = wilson([0, 3, 10, 0], [10, 10, 10, 0])
    assert (low[0], high[2]) == (0, 1)
    assert (low[1], high[1]) == pytest.approx(tuple(float(end) for end in wilson(3, 10)))
    assert np.isnan([low[3], high[3]]).all()


@given(st.data(), st.integers(1, 500), LEVELS)
def test_wilson_holds_the_share_inside_the_unit_interval(data, n, level):
    k = data.draw(st.integers(0, n))
    low, high = (float(end) for end in wilson(k, n, level))
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    mirrored = wilson(n - k, n, level)
    assert (1 - high, 1 - low) == pytest.approx(tuple(float(end) for end in mirrored), abs=1e-12)
    wider = wilson(k, n, (1 + level) / 2)
    assert wider[0] <= low < high <= wider[1]


@pytest.mark.parametrize(("successes", "n", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (1, -1, 0.95), (1, 5, 1.0)])
def test_wilson_refuses_what_is_no_share(successes, n, level):
    with pytest.raises(ValueError, match=r"successes|level"):
        wilson(successes, n, level)


def test_cluster_counts_are_multinomial():
    counts = cluster_counts(20, 4000, seed=1)
    assert counts.shape == (4000, 20)
    assert (counts.sum(1) == 20).all()
    assert (counts == np.rint(counts)).all()
    # Each count is binomial(20, 1/20): mean 1, variance 0.95.
    assert counts.mean(0) == pytest.approx(np.ones(20), abs=0.08)
    assert counts.var() == pytest.approx(0.95, abs=0.02)


def test_cluster_weights_are_shares_and_depend_on_the_seed_alone():
    weights = cluster_weights(7, 50, seed=3)
    assert weights.sum(1) == pytest.approx(np.ones(50))
    assert np.array_equal(weights, cluster_weights(7, 50, seed=3))
    assert not np.array_equal(weights, cluster_weights(7, 50, seed=4))
    with pytest.raises(ValueError, match="at least one"):
        cluster_weights(0, 10, seed=0)


def test_bootstrap_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for study in range(300):
        values = rng.exponential(size=60)
        low, high = percentile_interval(values @ cluster_weights(60, 200, seed=study).T)
        covered += bool(low <= 1.0 <= high)
    # The percentile interval of a skewed sample of 60 is known to fall a little short of 95 %.
    assert 0.88 <= covered / 300 <= 0.98


def test_percentile_interval_keeps_the_shape_of_what_is_resampled():
    draws = np.arange(101.0) + np.arange(6.0).reshape(2, 3, 1) * 1000
    low, high = percentile_interval(draws, 0.9)
    assert low == pytest.approx(np.arange(6.0).reshape(2, 3) * 1000 + 5)
    assert high == pytest.approx(np.arange(6.0).reshape(2, 3) * 1000 + 95)


def test_percentile_interval_with_undefined_replicates():
    draws = np.tile(np.arange(100.0), (3, 1))
    draws[1, : int(100 * UNDEFINED_SHARE)] = np.nan
    draws[2, : int(100 * UNDEFINED_SHARE) + 1] = np.nan
    low, high = percentile_interval(draws)
    assert low[1] == pytest.approx(np.quantile(np.arange(5, 100), 0.025))
    assert np.isnan([low[2], high[2]]).all()
    assert np.isnan(percentile_interval(np.zeros((2, 0)))).all()


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    [
        (0.975, 1, 12.70620473617471),
        (0.975, 2, 4.302652729911275),
        (0.95, 3, 2.3533634348018264),
        (0.995, 4, 4.604094871415897),
        (0.975, 9, 2.2621571627409915),
        (0.8, 5, 0.9195437801824434),
        (0.025, 30, -2.0422724563012373),
    ],
)
def test_t_quantiles_are_those_of_the_tables(p, df, expected):
    assert t_quantile(p, df) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("df", [500, 501])
def test_t_quantile_nears_the_normal_as_its_expansion_says(df):
    z = NormalDist().inv_cdf(0.975)
    # Abramowitz and Stegun 26.7.5.
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    assert t_quantile(0.975, df) == pytest.approx(z + first / df + second / df**2, abs=1e-7)


def test_t_quantile_is_zero_at_the_median_and_refuses_the_rest():
    assert t_quantile(0.5, 3) == pytest.approx(0, abs=1e-12)
    for p, df in ((0.0, 3), (1.0, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="df"):
            t_quantile(p, df)


def test_t_interval_of_three_seeds():
    # Mean 2, standard deviation 1, t(0.975, 2) = 4.3027.
    assert t_interval([1, 2, 3]) == pytest.approx((2, 2 - 4.302652730 / math.sqrt(3), 2 + 4.302652730 / math.sqrt(3)))
    assert t_interval([1, math.nan, 2, 3]) == t_interval([1, 2, 3])


def test_t_interval_of_one_seed_has_no_width():
    mean, low, high = t_interval([0.4])
    assert mean == 0.4
    assert np.isnan([low, high]).all()
    assert all(math.isnan(number) for number in t_interval([math.nan]))


def test_holm_steps_down():
    # Sorted: 0.005·4, 0.01·3, 0.03·2, 0.04·1, each at least the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0
    with pytest.raises(ValueError, match="p-values"):
        holm([1.2])


def test_holm_counts_what_could_not_be_computed():
    adjusted = holm([0.01, math.nan])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= np.minimum(np.array(p_values) * len(p_values), 1.0)).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.05, 0.05, "preserved"),
        (-0.01, 0.0, "preserved"),
        (-0.02, 0.06, "not decided"),
        # It excludes zero, yet the effect may be below the margin.
        (0.01, 0.2, "not decided"),
        (0.06, 0.2, "changed"),
        (-0.3, -0.051, "changed"),
        (-0.3, 0.3, "not decided"),
        (math.nan, math.nan, "not decided"),
    ],
)
def test_equivalence_has_three_verdicts(low, high, verdict):
    assert equivalence(low, high) == verdict


def test_equivalence_refuses_a_turned_interval():
    for arguments in ((0.1, 0.0), (0.0, 0.1, 0.0)):
        with pytest.raises(ValueError, match="low90"):
            equivalence(*arguments)


def test_minimum_detectable_effect():
    assert minimum_detectable(6, 1.0) == pytest.approx((2.5705818366 + 0.9195437802) / math.sqrt(6))
    assert minimum_detectable(6, 0.0) == 0
    assert math.isnan(minimum_detectable(1, 1.0))
    assert minimum_detectable(4, 1.0) > minimum_detectable(8, 1.0)
    assert minimum_detectable(6, 1.0, power=0.9) > minimum_detectable(6, 1.0)
    with pytest.raises(ValueError, match="sd"):
        minimum_detectable(6, -1.0)


def test_minimum_detectable_effect_is_found_at_the_stated_rate():
    rng = np.random.default_rng(5)
    n, studies = 8, 4000
    sample = rng.normal(minimum_detectable(n, 1.0), 1.0, size=(studies, n))
    t = sample.mean(1) / (sample.std(1, ddof=1) / math.sqrt(n))
    assert (t > t_quantile(0.975, n - 1)).mean() == pytest.approx(0.8, abs=0.05)


def test_welchs_test_is_students_where_spreads_and_sizes_are_equal():
    # Two and two values, means 3 apart, each of variance 1/2: t = 3 / sqrt(1/2) with two degrees of freedom.
    t = 3 / math.sqrt(0.5)
    exact = 1 - t / math.sqrt(2 + t**2)
    assert inference.welch_p_value([0.0, 1.0], [3.0, 4.0]) == pytest.approx(exact)
    assert inference.welch_p_value([3.0, 4.0], [0.0, 1.0, math.nan]) == pytest.approx(exact)
    assert math.isnan(inference.welch_p_value([1.0], [3.0, 4.0]))
    assert inference.welch_p_value([1.0, 1.0], [1.0, 1.0]) == 1
    assert inference.welch_p_value([1.0, 1.0], [2.0, 2.0]) == 0


def test_welchs_test_errs_as_often_as_it_says_where_spreads_differ():
    draw = np.random.default_rng(0)
    p = [inference.welch_p_value(draw.normal(0, 1, 6), draw.normal(0, 4, 12)) for _ in range(1500)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_permuted_labels_count_the_labellings_that_lead_as_far():
    # One row of four whose largest is chosen: one of four labels leads as far. Two rows: one of sixteen.
    assert inference.permuted_labels([[3.0, 1, 0, 2]], [0], 20_000, 1) == pytest.approx(1 / 4, abs=0.01)
    rows = [[3.0, 1, 0, 2], [0.0, 9, 1, 2]]
    assert inference.permuted_labels(rows, [0, 1], 20_000, 1) == pytest.approx(1 / 16, abs=0.01)
    assert inference.permuted_labels(rows, [2, 0], 20_000, 1) == 1
    # The lead is the chosen value less the mean of the others, by all labellings of two rows.
    lead = [[(r[i] - (sum(r) - r[i]) / 3) for i in range(4)] for r in rows]
    every = [lead[0][i] + lead[1][j] for i in range(4) for j in range(4)]
    share = sum(value >= lead[0][3] + lead[1][1] for value in every) / 16
    assert inference.permuted_labels(rows, [3, 1], 20_000, 1) == pytest.approx(share, abs=0.01)
    assert math.isnan(inference.permuted_labels([], [], 100, 1))
    assert math.isnan(inference.permuted_labels([[1.0]], [0], 100, 1))


def test_a_mean_of_shares_lies_between_the_means_of_their_ends():
    low, high = inference.wilson([0, 50], 100)
    assert inference.wilson_mean([0.0, 0.5], 100) == pytest.approx((0.25, low.mean(), high.mean()))
