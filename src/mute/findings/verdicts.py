"""Verdicts on blocks from scores and intervals: erased, kept or wrecked, the three regimes, rank; lines of claims.

Every verdict is True, False or None (not decided). An effect of less than POINTS decides nothing, and neither does an
interval that holds the line it is judged by. Intervals of one model cover items only; no verdict on it speaks for other
trained models.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Literal

from mute.evaluate.inference import equivalence, t_quantile
from mute.findings.results import MISSING, Case, Number, Results

Verdict = bool | None

HALF = 0.5  # more than half of what the base knew, or could do, is gone
POINTS = 0.05
# How far from nothing a claim may be and still stand: what a t-interval over eight trainings of one architecture can
# tell from nothing, which POINTS is not (findings/simulation.py). A difference of two scores has that of both.
MARGIN, MERIT_MARGIN = 0.1, 0.15
# Of a leak, a mean over languages, a little less is told from nothing; with it a drawn study says what is so in nine of
# ten draws, whether there is a leak or not.
LEAK_MARGIN = 0.09
PROTOCOLS = {
    "matched": "one strength per algorithm, stopped where the source languages have forgotten",
    "paper": "fixed steps and one strength",
}
# A prediction of the best block from layer curves needs more trained models than this.
MODELS_TO_PREDICT = 6


def below(number: Number, line: float = HALF) -> Verdict:
    """Whether a score lies below a line: decided only by an interval that excludes it and a distance of POINTS."""
    if not number or math.isnan(number.low) or math.isnan(number.high) or abs(number.value - line) < POINTS:
        return None
    if number.high < line:
        return True
    return False if number.low > line else None


@cache
def _shortening(df: int) -> float:
    """What the arms of a 95 % interval are to be multiplied by to be those of the 90 % one."""
    if df:
        return t_quantile(0.95, df) / t_quantile(0.975, df)
    return NormalDist().inv_cdf(0.95) / NormalDist().inv_cdf(0.975)


def shorter(number: Number) -> tuple[float, float]:
    """Ends of the 90 % interval, by Student's t where the 95 % one is: what two one-sided tests at 5 % read."""
    arm = _shortening(number.df)
    return number.value - (number.value - number.low) * arm, number.value + (number.high - number.value) * arm


def kept(number: Number, line: float = 1.0) -> Verdict:
    """Whether a score equals a line, the base's 1: its 90 % interval within POINTS of it (None: not decided)."""
    if not number or math.isnan(number.low) or math.isnan(number.high):
        return None
    low, high = shorter(number)
    found = equivalence(min(low, high) - line, max(low, high) - line, POINTS)
    return {"preserved": True, "changed": False}.get(found)


@dataclass(frozen=True)
class Line:
    """What an effect is held against: a claim says that it lies below the line, or above it."""

    at: float
    side: Literal["below", "above"]

    def judge(self, number: Number) -> Verdict:
        """Whether the 90 % interval lies wholly on the claimed side, wholly on the other, or neither: None."""
        if not number or math.isnan(number.low) or math.isnan(number.high):
            return None
        low, high = shorter(number)
        if low <= self.at <= high:
            return None
        return (high < self.at) == (self.side == "below")

    def __str__(self) -> str:
        return f"{self.side} {self.at:g}"


def all_of(verdicts: list[Verdict]) -> Verdict:
    """True if all are, False if any is, else not decided."""
    if any(verdict is False for verdict in verdicts):
        return False
    return None if not verdicts or any(verdict is None for verdict in verdicts) else True


@dataclass(frozen=True)
class Condition:
    """One thing that a regime asks of a block: which score, and what judges it."""

    words: str
    metric: str
    group: str
    judge: Callable[[Number], Verdict] = below  # erased, or wrecked


@dataclass(frozen=True)
class Regime:
    """A pattern that the paper reports: at which view of the blocks, and what it asks of a block there."""

    name: str
    view: str
    words: str
    conditions: tuple[Condition, ...]


# The mean over held-out languages describes none of them: what holds in the worst one holds in every one.
_GROUPS = (("source", "source languages"), ("worst", "every held-out language"))
_ERASED = tuple(Condition(f"erased in {words}", "K", group) for group, words in _GROUPS)
REGIMES = (
    Regime(
        "shallow",
        "shallow",
        "a shallow block erases everywhere and wrecks the rest",
        (*_ERASED, Condition("capability of a held-out language wrecked", "C", "worst")),
    ),
    Regime(
        "middle",
        "target",
        "the chosen block erases everywhere and keeps the rest",
        (*_ERASED, Condition("capability of every held-out language kept", "C", "worst", kept)),
    ),
    Regime(
        "deep",
        "deep",
        "a deep block erases nothing",
        tuple(
            Condition(f"knowledge of {words} kept", "K", group, kept)
            for group, words in (*_GROUPS, ("heldout", "held-out languages"))
        ),
    ),
)


@dataclass(frozen=True)
class Finding:
    """Whether a regime shows at the block that stands for it, with the numbers, and the same at every other block."""

    regime: Regime
    block: int | None
    verdict: Verdict
    parts: tuple[tuple[Condition, Number, Verdict], ...] = ()
    blocks: tuple[tuple[str, Verdict], ...] = ()
    reason: str = ""

    def at(self, verdict: Verdict) -> list[str]:
        """The blocks of this verdict."""
        return [band for band, own in self.blocks if own is verdict]


def say(verdict: Verdict) -> str:
    return {True: "shows", False: "does not show", None: "not decided"}[verdict]


def find_regimes(results: Results, case: Case, algorithm: str) -> list[Finding]:
    """All regimes for one algorithm in one case. A model below its gate decides nothing."""
    views, bands = results.views(case, algorithm), results.blocks(case, algorithm)
    found = []
    for regime in REGIMES:
        block = next(iter(views.get(regime.view, [])), None)
        if results.below_gate(case):
            judged, reason = dict.fromkeys(bands, _OPEN), "the model is below its gate"
        elif results.nothing_to_forget(case):
            judged, reason = dict.fromkeys(bands, _OPEN), "the model knows nothing to forget"
        else:
            judged = {band: _judge(results, case, algorithm, regime, band) for band in bands}
            missing = f"block {block} was not edited by itself" if str(block) not in judged else ""
            reason = f"no block is the {regime.view} one" if block is None else missing
        if not reason and regime.view == "target" and results.has_band(case) is False:
            reason = "the model has no band"
        if not reason and (silent := results.silence(case, algorithm, str(block))):
            reason = f"the edit of block {block} is of status {silent.replace('_', ' ')}"
        verdict, parts = _OPEN if reason else judged[str(block)]
        everywhere = tuple((band, own) for band, (own, _) in judged.items())
        found.append(Finding(regime, block, verdict, parts, everywhere, reason))
    return found


_Judged = tuple[Verdict, tuple[tuple[Condition, Number, Verdict], ...]]
_OPEN: _Judged = (None, ())


def _judge(results: Results, case: Case, algorithm: str, regime: Regime, band: str) -> _Judged:
    parts = []
    if not results.votes(case, algorithm, band):
        return _OPEN
    for condition in regime.conditions:
        number = results.number(case, algorithm, band, condition.metric, condition.group)
        parts.append((condition, number, condition.judge(number)))
    return all_of([verdict for *_, verdict in parts]), tuple(parts)


@dataclass(frozen=True)
class Rank:
    """Where the target stands among all edited blocks that vote, by merit = C - K of the worst held-out language."""

    merits: tuple[tuple[str, Number], ...]  # best first
    target: str
    place: int | None
    apart: Verdict  # whether the target and the best are told apart; False where they are the same block

    @property
    def best(self) -> str:
        return self.merits[0][0] if self.merits else ""


def merit(results: Results, case: Case, algorithm: str, band: str, group: str = "worst") -> Number:
    """C - K, each of its worst held-out language: 1 for a block that forgets all and keeps all, 0 for neither or both.

    The interval goes from the worst to the best combination of the two intervals, so it is rather too wide.
    """
    c, k = (results.number(case, algorithm, band, metric, group) for metric in ("C", "K"))
    if not c or not k:
        return MISSING
    return Number(c.value - k.value, c.low - k.high, c.high - k.low, min(c.n, k.n))


def rank_target(results: Results, case: Case, algorithm: str) -> Rank:
    """The rank of the algorithm's target block; place None without a target or its numbers."""
    bands = [band for band in results.blocks(case, algorithm) if results.votes(case, algorithm, band)]
    merits = [(band, merit(results, case, algorithm, band)) for band in bands]
    ranked = sorted((pair for pair in merits if pair[1]), key=lambda pair: -pair[1].value)
    blocks = results.views(case, algorithm).get("target", [])
    target = str(blocks[0]) if blocks else ""
    names = [band for band, _ in ranked]
    if target not in names:
        return Rank(tuple(ranked), target, None, None)
    own, best = dict(ranked)[target], ranked[0][1]
    clear = best.low > own.high and best.value - own.value >= POINTS
    apart = False if target == names[0] else clear or None
    return Rank(tuple(ranked), target, names.index(target) + 1, apart)
