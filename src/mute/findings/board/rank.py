"""Ranks on the board by worst-language knowledge at a floor of capability, and how sure they are.

The unit is what was drawn. Of two trainings or more the means of all entries are drawn together from what each training
gave (a multivariate t with as many degrees of freedom as trainings but one), so that every single mean and every
difference of two has its paired t-interval: what a training does to all methods alike moves no rank. To draw the
trainings themselves again would know ten outcomes of three of them. Of one training the units are its facts: each
number is drawn from its own interval, apart from the others, which is rather too wide, as all methods are asked the
same facts.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from mute.evaluate.inference import t_quantile
from mute.findings.board.entries import OK, Entry
from mute.findings.results import Number

# More than this of C is kept, in the worst held-out language and in the sources, by an entry that has a rank (ours).
FLOOR = 0.8
DRAWS = 4000
CONTROL = "control"
# Of a share of knowledge that is no more than this apart two entries are equal.
EQUAL = 1e-9


class Rank(NamedTuple):
    """Where an entry stands in its league, of which `of` were measured: 1 leaves least. None where it has no rank.

    low, high: 95 % interval. why: what stands in the place of a rank, or what is not decided of one.
    """

    place: int | None
    low: int | None
    high: int | None
    of: int
    why: str = ""

    def __str__(self) -> str:
        return f"{self.place} [{self.low}, {self.high}] of {self.of}" if self.place else self.why or "–"


def ranks(entries: Sequence[Entry], floor: float = FLOOR, draws: int = DRAWS, seed: int = 1) -> list[Rank]:
    """The rank of every entry, in their order; entries of one league are ranked among each other."""
    found = [Rank(None, None, None, 0, _silent(entry)) for entry in entries]
    leagues: dict[tuple[str, ...], list[int]] = {}
    for place, entry in enumerate(entries):
        if not found[place].why:
            leagues.setdefault(entry.league, []).append(place)
    for own in leagues.values():
        for place, rank in zip(own, _league([entries[place] for place in own], floor, draws, seed)):
            found[place] = rank
    return found


def _silent(entry: Entry) -> str:
    """Why an entry is not ranked, "" where it is."""
    if entry.status != OK:
        return entry.status.replace("_", " ")
    if entry.objective == CONTROL:
        return CONTROL
    if not entry.k or not entry.c:
        return "not measured"
    return "no interval" if any(math.isnan(own.low) for own in (entry.k.number, entry.c.number)) else ""


def _league(entries: Sequence[Entry], floor: float, draws: int, seed: int) -> list[Rank]:
    k, c, source = (
        np.array([number.value for number in numbers], float)
        for numbers in zip(*((entry.k.number, entry.c.number, entry.c_source) for entry in entries))
    )
    drawn = _Draws(entries, draws, seed)
    fit = _fit(c, source, floor)
    places = _places(k[None], fit[None])[0]
    fits = _fit(drawn.of("c"), drawn.of("c_source"), floor)
    likely = _places(drawn.of("k"), fits)
    low = np.quantile(likely, 0.025, axis=0, method="inverted_cdf").astype(int)
    high = np.quantile(likely, 0.975, axis=0, method="inverted_cdf").astype(int)
    share = fits.mean(0)
    found = []
    for i in range(len(entries)):
        if not fit[i]:
            unsure = ", not told from it" if share[i] > 0.025 else ""
            found.append(Rank(None, None, None, len(entries), f"capability below {floor:g}{unsure}"))
            continue
        unsure = "whether its capability reaches the floor is not decided" if share[i] < 0.975 else ""
        own = int(places[i])
        found.append(Rank(own, min(own, int(low[i])), max(own, int(high[i])), len(entries), unsure))
    return found


def _fit(c: np.ndarray, source: np.ndarray, floor: float) -> np.ndarray:
    """Which entries keep enough; of sources that nobody measured nothing is asked."""
    return (c >= floor) & ~(source < floor)


def _places(k: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Ranks [draws, entries]: one more than how many that fit leave less; those that do not fit come after all.

    Less than nothing is left nowhere: a K below 0 is one of 0, and equals share a place.
    """
    left = np.where(fit, np.maximum(k, 0.0), np.inf)
    less = left[:, None, :] < left[:, :, None] - EQUAL
    return 1 + np.where(fit, less.sum(-1), fit.sum(-1, keepdims=True))


class _Draws:
    """Draws of the means of all entries: the same of every training for all of them, and for all of their numbers."""

    def __init__(self, entries: Sequence[Entry], draws: int, seed: int) -> None:
        self.entries = entries
        self.rng = np.random.default_rng(seed)
        self.count = draws
        seeds = sorted({own.seed for entry in entries for own in entry.each})
        self.column = {own: place for place, own in enumerate(seeds)}
        self.normal = self.rng.standard_normal((draws, len(seeds)))
        most = max(1, *(len(entry.each) for entry in entries), *(entry.counted for entry in entries))
        # One chi-square for each number of degrees of freedom, the same for all entries.
        self.squares = np.cumsum(self.rng.standard_normal((draws, most)) ** 2, axis=1)

    def of(self, name: str) -> np.ndarray:
        """Draws of one of `k`, `c` and `c_source` [draws, entries]."""
        return np.stack([self._entry(entry, name) for entry in self.entries], axis=1)

    def _entry(self, entry: Entry, name: str) -> np.ndarray:
        own = [(each.seed, getattr(each, name).value) for each in entry.each if getattr(each, name)]
        if len(own) < 2:
            number = getattr(entry, name)
            return self._stated(number if isinstance(number, Number) else number.number)
        values = np.array([value for _, value in own])
        n = len(values)
        z = self.normal[:, [self.column[place] for place, _ in own]]
        scale = np.sqrt((n - 1) / self.squares[:, n - 2])
        return values.mean() + (z @ (values - values.mean())) / math.sqrt(n * (n - 1)) * scale

    def _stated(self, number: Number) -> np.ndarray:
        """Draws from an estimate and its 95 % interval alone, whose arms may differ; by Student's t if it is one."""
        if not number or math.isnan(number.low) or math.isnan(number.high):
            return np.full(self.count, number.value)
        drawn = self.rng.standard_normal(self.count)
        quantile = t_quantile(0.975, number.df) if number.df else NormalDist().inv_cdf(0.975)
        if number.df:
            drawn *= np.sqrt(number.df / self.squares[:, min(number.df, self.squares.shape[1]) - 1])
        below, above = (number.value - number.low) / quantile, (number.high - number.value) / quantile
        return number.value + drawn * np.where(drawn < 0, below, above)
