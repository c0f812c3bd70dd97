"""Tests over languages: does a number of each language go with another, by permuting the languages.

Shapes: L languages, B blocks, P arrangements of the languages, R resamples, S simulated studies. x [L] is a property,
y [B, L] what is held against it; `strata` [L] groups within which languages are permuted, one group where there is
nothing to hold constant. A property of two values has the difference of y's means as its effect, in the unit of y; any
other has the rank correlation, -1 to 1. Within strata both are what is left once means of strata are taken away.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from mute.evaluate.inference import cluster_counts, percentile_interval
from mute.store.artifacts import seed_of

DRAWS, RESAMPLES = 10_000, 2_000
# Of the power: simulated studies, permutations of each, and halvings of the range in which the effect is sought.
STUDIES, ORDERS, HALVINGS = 400, 2_000, 9
POWER = 0.8
# The largest effects that are planted: a correlation, and a difference in standard deviations.
MOST_CORRELATED, MOST_APART = 0.995, 12.0
_EQUAL = 1e-9


class Effects(NamedTuple):
    """Of each block: the effect, and the share of arrangements with one as large; exact: whether all were tried."""

    estimate: np.ndarray
    p: np.ndarray
    exact: bool


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the last axis of [..., L]; equal values share the mean of theirs."""
    rounded = np.round(values, 12)
    below = (rounded[..., :, None] > rounded[..., None, :]).sum(-1)
    equal = (rounded[..., :, None] == rounded[..., None, :]).sum(-1)
    return below + (equal + 1) / 2


def centred(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Values [..., L] less the mean of their stratum."""
    left = np.array(values, float)
    for stratum in np.unique(strata):
        own = strata == stratum
        left[..., own] -= left[..., own].mean(-1, keepdims=True)
    return left


def is_two_valued(x: np.ndarray) -> bool:
    """Whether a property only says yes or no."""
    return set(np.unique(x)) <= {0.0, 1.0}


def varies(x: np.ndarray, strata: np.ndarray) -> bool:
    """Whether a property differs between two languages of a stratum: else there is nothing to permute."""
    return bool(abs(centred(x, strata)).max(initial=0) > _EQUAL)


def effects(x: np.ndarray, y: np.ndarray, strata: np.ndarray, draws: int = DRAWS) -> Effects:
    """Effect of x on each row of y, and its two-sided p-value: exact if there are at most `draws` arrangements."""
    two = is_two_valued(x)
    property_, outcome = (centred(own, strata) for own in ((x, y) if two else (ranks(x), ranks(y))))
    arranged, exact = _arranged(property_, strata, draws)
    products, null = outcome @ property_, arranged @ outcome.T
    as_large = abs(null) >= abs(products) - _EQUAL * (1 + abs(products))
    p = as_large.mean(0) if exact else (1 + as_large.sum(0)) / (1 + len(arranged))
    size = (property_**2).sum()
    scale = np.full(len(y), size) if two else np.sqrt(size * (outcome**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        # What does not vary goes with nothing.
        return Effects(np.where(scale > _EQUAL, products / scale, 0.0), p, exact)


def interval(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ends [B] of the 95 % interval of the effect of x on y, by resampling languages; no strata.

    Languages of each value of a two-valued property are resampled apart. NaN where one of these has but one language,
    and where ranks agree in all of them, so that no resample differs.
    """
    if is_two_valued(x):
        sides = []
        for value in (1.0, 0.0):
            own = y[:, x == value]
            if own.shape[1] < 2:
                return np.full(len(y), np.nan), np.full(len(y), np.nan)
            counts = cluster_counts(own.shape[1], RESAMPLES, seed_of(seed, "languages", value))
            sides.append(own @ counts.T / own.shape[1])
        return percentile_interval(sides[0] - sides[1])
    counts = cluster_counts(len(x), RESAMPLES, seed_of(seed, "languages"))
    property_ = _counted_ranks(x, counts)
    drawn = np.array([_correlation(property_, _counted_ranks(own, counts), counts) for own in y])
    alike = np.nanmax(drawn, axis=1, initial=-1.0) - np.nanmin(drawn, axis=1, initial=1.0) <= _EQUAL
    low, high = percentile_interval(drawn)
    return np.where(alike, np.nan, low), np.where(alike, np.nan, high)


def _counted_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rank [R, L] of each language among the languages of a resample, in which each is `counts` [R, L] times."""
    rounded = np.round(values, 12)
    below = (rounded[:, None] < rounded[None, :]).astype(float)
    equal = (rounded[:, None] == rounded[None, :]).astype(float)
    return counts @ below + (counts @ equal + 1) / 2


def _correlation(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Correlation [R] of x and y [R, L], each language counted as often as it was drawn; NaN if one does not vary."""
    total = counts.sum(1, keepdims=True)
    a, b = (own - (own * counts).sum(1, keepdims=True) / total for own in (x, y))
    spread = np.sqrt((counts * a**2).sum(1) * (counts * b**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > _EQUAL, (counts * a * b).sum(1) / spread, np.nan)


# Arrangements


def _arranged(x: np.ndarray, strata: np.ndarray, draws: int) -> tuple[np.ndarray, bool]:
    """x in other orders [P, L], within strata: every different one if they are at most `draws`, or as many by lot."""
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    values, codes = np.unique(np.round(x, 12), return_inverse=True)
    parts = [tuple(sorted(codes[group].tolist())) for group in groups]
    if math.prod(map(_arrangements, parts)) <= draws:
        found = []
        for combined in itertools.product(*map(_every, parts)):
            arranged = np.empty(len(x))
            for group, own in zip(groups, combined):
                arranged[group] = values[list(own)]
            found.append(arranged)
        return np.array(found), True
    return x[_orders(tuple(strata.tolist()), draws)], False


def _arrangements(codes: Sequence[int]) -> int:
    """How many different orders there are."""
    equal = (math.factorial(codes.count(code)) for code in set(codes))
    return math.factorial(len(codes)) // math.prod(equal)


@lru_cache(maxsize=64)
def _every(codes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every different order."""

    def orders(left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if not left:
            yield ()
        for place in sorted({left.index(code) for code in left}):
            for rest in orders(left[:place] + left[place + 1 :]):
                yield (left[place], *rest)

    return list(orders(codes))


@lru_cache(maxsize=64)
def _orders(strata: tuple, draws: int) -> np.ndarray:
    """Random orders [draws, L] of the languages, within strata; the same each time."""
    generator, named = np.random.default_rng(seed_of(0, "orders", len(strata))), np.array(strata)
    found = np.tile(np.arange(len(named)), (draws, 1))
    for stratum in np.unique(named):
        own = np.flatnonzero(named == stratum)
        found[:, own] = generator.permuted(np.tile(own, (draws, 1)), axis=1)
    return found


# Power


def detectable(x: np.ndarray, strata: np.ndarray, level: float) -> float:
    """The smallest effect that the test at `level` finds in POWER of all studies of these languages.

    By simulation: a rank correlation from normal scores of x's ranks and normal noise; of two values a difference of
    means, in standard deviations of y within them. Infinite where no effect is found so often.
    """
    two = is_two_valued(x)
    own = x if two else ranks(x)
    order = np.lexsort((own, strata))
    return _detectable(tuple(own[order].tolist()), tuple(strata[order].tolist()), two, level)


@lru_cache(maxsize=4096)
def _detectable(x: tuple[float, ...], strata: tuple, two: bool, level: float) -> float:
    values, groups = np.array(x), np.array(strata)
    property_ = centred(values, groups)
    if abs(property_).max(initial=0) <= _EQUAL:
        return math.inf
    arranged, exact = _arranged(property_, groups, ORDERS)
    noise = np.random.default_rng(seed_of(0, "power")).normal(size=(STUDIES, len(values)))
    signal = values if two else _scores(values, groups)

    def power(effect: float) -> float:
        y = effect * signal + (1.0 if two else math.sqrt(1 - effect**2)) * noise
        y = centred(y if two else ranks(y), groups)
        products = y @ property_
        as_large = abs(arranged @ y.T) >= abs(products) - _EQUAL * (1 + abs(products))
        p = as_large.mean(0) if exact else (1 + as_large.sum(0)) / (1 + len(arranged))
        return float((p <= level).mean())

    low, high = 0.0, MOST_APART if two else MOST_CORRELATED
    if power(high) < POWER:
        return math.inf
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _scores(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Normal scores of ranks, less the means of strata, of mean square 1."""
    normal = NormalDist()
    left = centred(np.array([normal.inv_cdf((rank - 0.5) / len(values)) for rank in ranks(values)]), strata)
    return left / math.sqrt(float((left**2).mean()))


def spread(x: np.ndarray, y: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Standard deviation [B] of y once a two-valued x and the strata are known: the unit of its detectable effect."""
    property_, outcome = centred(x, strata), centred(y, strata)
    left = outcome - np.outer(outcome @ property_ / (property_**2).sum(), property_)
    return np.sqrt((left**2).sum(-1) / max(len(x) - len(np.unique(strata)) - 1, 1))
