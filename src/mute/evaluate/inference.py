"""Intervals, resampling by cluster, corrections for many tests, and verdicts.

Shapes: C clusters (a fact with all its languages and forms, or a line with its translations). Levels and margins are
shares, 0 to 1. Nothing here knows what is measured.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from statistics import NormalDist
from typing import Literal

import numpy as np

Verdict = Literal["preserved", "changed", "not decided"]

# An interval of replicates stands if at most this share of them is undefined; it then covers the defined ones.
UNDEFINED_SHARE = 0.05


def wilson(successes, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a binomial proportion, as (low, high), each of the inputs' common shape.

    It stays inside [0, 1] and has width at 0 and n successes. Where n is 0 both ends are NaN. `successes` may be a
    real number, as from a share times n.

    Raises ValueError for a level outside (0, 1), n < 0 and successes outside 0 to n.
    """
    z = NormalDist().inv_cdf(0.5 + _checked_level(level) / 2)
    successes, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    if (n < 0).any() or (successes < 0).any() or (successes > n + 1e-9 * (n + 1)).any():
        raise ValueError("successes must be from 0 to n")
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.minimum(successes / n, 1.0)
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At 0 and n successes one end is 0 or 1 exactly; the formula leaves rounding there.
    low = np.where(p == 0, 0.0, centre - half)
    high = np.where(p == 1, 1.0, centre + half)
    return low, high


def wilson_mean(shares: Iterable[float], n: int, level: float = 0.95) -> tuple[float, float, float]:
    """The mean of shares of n questions each, between the means of their Wilson ends: (mean, low, high).

    As wide as if one question were right or wrong in all of them together, which the same questions in several
    languages may be: the widest that the interval of such a mean can be.
    """
    values = np.asarray(list(shares), float)
    low, high = wilson(values * n, n, level)
    return float(values.mean()), float(low.mean()), float(high.mean())


def cluster_counts(clusters: int, draws: int, seed: int) -> np.ndarray:
    """How often each of C clusters is in each bootstrap sample of C: whole numbers as float64 [draws, C].

    Rows sum to C. Multinomial with equal shares; the same arguments give the same counts.

    Raises ValueError for clusters < 1 or draws < 1.
    """
    if clusters < 1 or draws < 1:
        raise ValueError(f"need at least one cluster and one draw, not {clusters} and {draws}")
    drawn = np.random.default_rng(seed).integers(clusters, size=(draws, clusters))
    # One bincount for all draws: each draw counts in a range of its own.
    drawn += np.arange(draws)[:, None] * clusters
    return np.bincount(drawn.ravel(), minlength=draws * clusters).reshape(draws, clusters).astype(float)


def cluster_weights(clusters: int, draws: int, seed: int) -> np.ndarray:
    """`cluster_counts` as weights [draws, C] whose rows sum to 1: a bootstrap mean is weights @ values."""
    return cluster_counts(clusters, draws, seed) / clusters


def percentile_interval(draws, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The central `level` of bootstrap replicates [..., draws], as (low, high), each [...].

    Undefined replicates (NaN) are left out; where they are more than UNDEFINED_SHARE of all, or there is no replicate
    at all, both ends are NaN: what is left would be an interval of something else.

    Raises ValueError for a level outside (0, 1).
    """
    tail = (1 - _checked_level(level)) / 2
    values = np.asarray(draws, float)
    flat = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
    ends = np.full((2, len(flat)), np.nan)
    if flat.size:
        undefined = np.isnan(flat).mean(-1)
        whole = undefined == 0
        if whole.any():
            ends[:, whole] = np.quantile(flat[whole], [tail, 1 - tail], axis=-1)
        for i in np.flatnonzero((undefined > 0) & (undefined <= UNDEFINED_SHARE)):
            ends[:, i] = np.nanquantile(flat[i], [tail, 1 - tail])
    low, high = ends.reshape(2, *values.shape[:-1])
    return low, high


@cache
def t_quantile(p: float, df: int) -> float:
    """The quantile of Student's t with a whole number of degrees of freedom, to about 1e-9 relative.

    Raises ValueError for p outside (0, 1) and df < 1.
    """
    if not 0 < p < 1 or df < 1:
        raise ValueError(f"need 0 < p < 1 and df >= 1, not p={p} and df={df}")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    # In the angle atan(t/√df) the range is finite, so that plain bisection works for every p and df.
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        if 0.5 + _t_share(middle, df) / 2 < p:
            low = middle
        else:
            high = middle
    return math.sqrt(df) * math.tan((low + high) / 2)


def t_interval(values: Iterable[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean and t-interval over training seeds: (mean, low, high). NaN values are left out.

    One value has a mean and no interval (NaN ends); none has neither. Never bootstrap so few values: the resamples of
    three seeds know ten outcomes.

    Raises ValueError for a level outside (0, 1).
    """
    _checked_level(level)
    kept = np.asarray([value for value in values if not math.isnan(value)], float)
    n = len(kept)
    mean = float(kept.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan
    half = t_quantile(0.5 + level / 2, n - 1) * float(kept.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def t_p_value(values: Iterable[float], line: float, side: Literal["below", "above"]) -> float:
    """One-sided p-value of Student's t-test that the mean of `values` lies below (or above) `line`.

    NaN values are left out. NaN for fewer than two values, which test nothing.
    """
    kept = np.asarray([value for value in values if not math.isnan(value)], float)
    n = len(kept)
    if n < 2:
        return math.nan
    distance = float(kept.mean()) - line
    if side == "above":
        distance = -distance
    spread = float(kept.std(ddof=1)) / math.sqrt(n)
    if spread == 0:
        return 0.0 if distance < 0 else 1.0 if distance > 0 else 0.5
    share = _t_share(math.atan(abs(distance) / spread / math.sqrt(n - 1)), n - 1)
    return (1 - share) / 2 if distance < 0 else (1 + share) / 2


def welch_p_value(a: Iterable[float], b: Iterable[float]) -> float:
    """Two-sided p-value of Welch's t-test that two independent samples have one mean; NaN for fewer than two values.

    NaN values are left out. Degrees of freedom are rounded down, which is on the safe side.
    """
    samples = [np.asarray([value for value in values if not math.isnan(value)], float) for values in (a, b)]
    if min(map(len, samples)) < 2:
        return math.nan
    parts = [float(own.var(ddof=1)) / len(own) for own in samples]
    distance, total = abs(float(samples[0].mean() - samples[1].mean())), sum(parts)
    if total == 0:
        return 1.0 if distance == 0 else 0.0
    df = int(total**2 / sum(part**2 / (len(own) - 1) for part, own in zip(parts, samples)))
    df = max(df, 1)
    return 1 - _t_share(math.atan(distance / math.sqrt(total * df)), df)


def permuted_labels(values: Iterable[Sequence[float]], chosen: Iterable[int], draws: int, seed: int) -> float:
    """One-sided p-value that the chosen one of each row is no larger than the others: its label permuted within rows.

    values: a row of any length for each trained model. Statistic: the mean over rows of the chosen value less the mean
    of the others. Random permutations with the observed one among them, so that p is at least 1 / (1 + draws). NaN for
    no row, or a row of one value.
    """
    rows = [np.asarray(row, float) for row in values]
    if not rows or min(map(len, rows)) < 2:
        return math.nan
    # The lead of each value of a row, were it the chosen one.
    leads = [row - (row.sum() - row) / (len(row) - 1) for row in rows]
    observed = sum(float(own[place]) for own, place in zip(leads, chosen, strict=True))
    generator = np.random.default_rng(seed)
    null = sum(own[generator.integers(len(own), size=draws)] for own in leads)
    return (1 + int((null >= observed - 1e-12).sum())) / (1 + draws)


def ks_test(a: Iterable[float], b: Iterable[float]) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov test: exact two-sided p-value, and the statistic D. NaN for an empty sample.

    If both came from one distribution, every order of their values would be equally likely: p is the share of orders
    with a D as large. Mass that leaves the corridor is added up, so that a small p is not lost in 1 - p. Ties are
    taken as values in the order that makes D least, which is on the safe side.
    """
    a, b = (np.sort(np.asarray(list(values), float)) for values in (a, b))
    n, m = len(a), len(b)
    if not n or not m:
        return math.nan, math.nan
    merged = np.concatenate([a, b])
    # In units of 1/(nm), so that equal distances are equal numbers.
    far = int(np.abs(np.searchsorted(a, merged, "right") * m - np.searchsorted(b, merged, "right") * n).max())
    if far == 0:
        return 1.0, 0.0
    i = np.arange(n + 1)
    mass, left = np.zeros(n + 1), 0.0
    mass[0] = 1.0
    for drawn in range(n + m):
        # `i` of the values drawn so far are a's; the next is one of those n + m - drawn that remain.
        up = mass * (n - i) / (n + m - drawn)
        mass = mass * np.clip(m - (drawn - i), 0, m) / (n + m - drawn)
        mass[1:] += up[:-1]
        outside = np.abs(i * m - (drawn + 1 - i) * n) >= far
        left += float(mass[outside].sum())
        mass[outside] = 0.0
    return min(left, 1.0), far / (n * m)


def holm(p_values: Iterable[float]) -> np.ndarray:
    """Holm's step-down adjusted p-values, in the order given; reject those at most the error rate.

    A NaN stays NaN and still counts among the tests: an outcome that was declared and could not be computed does not
    make the others easier.

    Raises ValueError for a p-value outside [0, 1].
    """
    p = np.asarray(list(p_values), float)
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p-values must be from 0 to 1")
    order = np.argsort(p, kind="stable")  # NaN last
    steps = np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def equivalence(low90: float, high90: float, margin: float = 0.05) -> Verdict:
    """What a 90 % interval of a difference decides about an effect of `margin` (two one-sided tests at 5 %).

    "preserved": the interval lies within ±margin, ends included. "changed": it lies wholly beyond one of them. Else
    "not decided", and so for a NaN end.

    Raises ValueError for low90 > high90 and a margin that is not positive.
    """
    if low90 > high90 or not margin > 0:
        raise ValueError(f"need low90 <= high90 and margin > 0, not {low90}, {high90} and {margin}")
    if -margin <= low90 and high90 <= margin:
        return "preserved"
    if low90 > margin or high90 < -margin:
        return "changed"
    return "not decided"


def minimum_detectable(n: int, sd: float, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest mean (of paired differences, say) that n values of standard deviation `sd` would show.

    (t_{(1+level)/2} + t_power)·sd/√n with n-1 degrees of freedom, for a two-sided t-test. In the unit of `sd`; NaN for
    n < 2, which shows nothing of any size.

    Raises ValueError for a negative sd, and a level or power outside (0, 1).
    """
    if sd < 0 or not 0 < power < 1:
        raise ValueError(f"need sd >= 0 and 0 < power < 1, not {sd} and {power}")
    _checked_level(level)
    if n < 2:
        return math.nan
    return (t_quantile(0.5 + level / 2, n - 1) + t_quantile(power, n - 1)) * sd / math.sqrt(n)


def _t_share(angle: float, df: int) -> float:
    """P(|T| < t) at t = √df·tan(angle), a finite sum for whole df (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term = total = cosine if df % 2 else 1.0
    for k in range(2 + df % 2, df - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    if df % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if df > 1 else 0.0))


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    return level
