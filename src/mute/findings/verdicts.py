"""Verdicts on blocks from scores and intervals: erased, kept or wrecked, the three regimes, suppression, rank.

Every verdict is True, False or None (not decided). An effect of less than POINTS decides nothing, and neither does an
interval that holds the line it is judged by. Intervals cover items only; no verdict speaks for other trained models.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from mute.evaluate.inference import equivalence
from mute.findings.results import MISSING, Case, Number, Results

Verdict = bool | None

HALF = 0.5  # more than half of what the base knew, or could do, is gone (or, after a bypass, back)
POINTS = 0.05
# The arms of a 95 % interval, shortened to those of the 90 % interval that equivalence is judged by.
ARM_90 = NormalDist().inv_cdf(0.95) / NormalDist().inv_cdf(0.975)
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


def kept(number: Number, line: float = 1.0) -> Verdict:
    """Whether a score equals a line, the base's 1: its 90 % interval within POINTS of it (None: not decided)."""
    if not number or math.isnan(number.low) or math.isnan(number.high):
        return None
    low = number.value - (number.value - number.low) * ARM_90
    high = number.value + (number.high - number.value) * ARM_90
    found = equivalence(min(low, high) - line, max(low, high) - line, POINTS)
    return {"preserved": True, "changed": False}.get(found)


def flipped(verdict: Verdict) -> Verdict:
    return None if verdict is None else not verdict


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


_GROUPS = (("source", "source"), ("heldout", "held-out"))
_ERASED = tuple(Condition(f"erased in {words} languages", "K", group) for group, words in _GROUPS)
REGIMES = (
    Regime(
        "shallow",
        "shallow",
        "a shallow block erases everywhere and wrecks the rest",
        (*_ERASED, Condition("capability of held-out languages wrecked", "C", "heldout")),
    ),
    Regime(
        "middle",
        "target",
        "the chosen block erases everywhere and keeps the rest",
        (*_ERASED, Condition("capability of held-out languages kept", "C", "heldout", kept)),
    ),
    Regime(
        "deep",
        "deep",
        "a deep block erases nothing",
        tuple(Condition(f"knowledge of {words} languages kept", "K", group, kept) for group, words in _GROUPS),
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
        else:
            judged = {band: _judge(results, case, algorithm, regime, band) for band in bands}
            missing = f"block {block} was not edited by itself" if str(block) not in judged else ""
            reason = f"no block is the {regime.view} one" if block is None else missing
        verdict, parts = _OPEN if reason else judged[str(block)]
        everywhere = tuple((band, own) for band, (own, _) in judged.items())
        found.append(Finding(regime, block, verdict, parts, everywhere, reason))
    return found


_Judged = tuple[Verdict, tuple[tuple[Condition, Number, Verdict], ...]]
_OPEN: _Judged = (None, ())


def _judge(results: Results, case: Case, algorithm: str, regime: Regime, band: str) -> _Judged:
    parts = []
    for condition in regime.conditions:
        number = results.number(case, algorithm, band, condition.metric, condition.group)
        parts.append((condition, number, condition.judge(number)))
    return all_of([verdict for *_, verdict in parts]), tuple(parts)


@dataclass(frozen=True)
class Reversal:
    """What bypassing the edited block says of it."""

    b: Number
    base: Number
    verdict: Verdict  # True: suppression
    words: str


def find_reversal(results: Results, case: Case, algorithm: str, band: str) -> Reversal:
    """Suppression if most of the held-out knowledge is back once the edited block is bypassed.

    A block without which the base itself loses most of it can show nothing by being bypassed.
    """
    b, base = (results.number(case, algorithm, band, metric) for metric in ("B", "B_base"))
    if not b:
        lost = results.diverged(case, algorithm, band)
        return Reversal(b, base, None, "diverged" if lost else "not bypassed")
    back, blind = flipped(below(b)), below(base)
    if back:
        return Reversal(b, base, True, "suppression")
    if back is False and blind is not False:
        return Reversal(b, base, None, "not decided (base fails too)")
    return Reversal(b, base, back, "not decided" if back is None else "no suppression")


@dataclass(frozen=True)
class Rank:
    """Where the target stands among all edited blocks by merit = C held-out - K held-out."""

    merits: tuple[tuple[str, Number], ...]  # best first
    target: str
    place: int | None
    apart: Verdict  # whether the target and the best are told apart; False where they are the same block

    @property
    def best(self) -> str:
        return self.merits[0][0] if self.merits else ""


def merit(results: Results, case: Case, algorithm: str, band: str) -> Number:
    """C held-out - K held-out: 1 for a block that forgets all and keeps all, 0 for one that does neither or both.

    The interval goes from the worst to the best combination of the two intervals, so it is rather too wide.
    """
    c, k = (results.number(case, algorithm, band, metric) for metric in ("C", "K"))
    if not c or not k:
        return MISSING
    return Number(c.value - k.value, c.low - k.high, c.high - k.low, min(c.n, k.n))


def rank_target(results: Results, case: Case, algorithm: str) -> Rank:
    """The rank of the algorithm's target block; place None without a target or its numbers."""
    merits = [(band, merit(results, case, algorithm, band)) for band in results.blocks(case, algorithm)]
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
