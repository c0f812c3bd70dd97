"""Chooses one strength per algorithm for the `matched` protocol, on source languages and validation facts only."""

from mute.bands import Band, is_block
from mute.store.records import Record
from mute.unlearn.base import Method
from mute.unlearn.run import Workbench, unlearn

# Shares of validation facts kept that differ by less are alike: a hundred questions tell no more.
ABOUT = 0.02


def bands(names: list[str], depth: int) -> list[str]:
    """The bands to try: blocks at a quarter and three quarters of the depth where blocks are swept alone.

    They are fixed by position, so that tuning favours no layer rule.
    """
    if any(is_block(name) for name in names):
        return [str(block) for block in sorted({min(round(depth * q / 4), depth - 1) for q in (1, 3)})]
    return sorted(set(names))


def tune(bench: Workbench, algorithm: Method, names: list[str], depth: int, seed: int) -> Record:
    """Try strengths on each of `bands`; the best erases most often, then most, then keeps validation facts best.

    Of strengths that keep about as much the fastest is taken: one that only just arrives does not with other draws. One
    that diverges is worse than any that does not; where all do, the one that went on longest is taken.
    A strength that can no longer erase as often as another is not tried further: the choice is the same.

    Returns {"strength": value, "trials": rows}.
    """
    trials: list[Record] = []
    reached = dict.fromkeys(algorithm.settings.strengths, 0)
    tried = sorted((Band.named(name, depth).start, name) for name in bands(names, depth))
    for left, (_, name) in zip(range(len(tried), 0, -1), tried):
        band = Band.named(name, depth)
        # Those that erased so far first: once one has again, those that did not need no trial.
        for strength in sorted(reached, key=lambda strength: (-reached[strength], strength)):
            if reached[strength] + left < max(reached.values()):
                continue
            if band.start < bench.forget.texts.block:
                bench.restart()
            outcome = unlearn(bench, algorithm, band, protocol="matched", seed=seed, strength=strength)
            reached[strength] += outcome.status == "ok"
            told = outcome.told("status", "steps", "diverged_at", "knowledge", "retained")
            trials.append({"strength": strength, "band": name, **told})

    def merit(strength: float) -> tuple[int, int, float, float, int]:
        own = [t for t in trials if t["strength"] == strength]
        diverged = sum(t["status"] == "diverged" for t in own)
        # What is known beyond the target counts before what is kept: one that hardly edits keeps everything.
        excess = sum(max((t["knowledge"] or 0.0) - bench.matching.target, 0.0) for t in own) / len(own)
        kept = sum(t["retained"] or 0.0 for t in own) / len(own)
        steps = sum(t["steps"] for t in own)
        fast = steps if diverged else -steps
        return reached[strength], -diverged, -round(excess, 2), round(kept / ABOUT) * ABOUT, fast

    return {"strength": max(algorithm.settings.strengths, key=merit), "trials": trials}
