"""The `matched` protocol in numbers: when a run is looked at, where it reaches the dose, and which strength is kept.

Every strength is taken to the same dose, so that what differs between cells is what the dose costs. Nothing here knows
a model: knowledge is asked by a function of how far to go.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

# The first look is taken at such a share of the steps that a run may take: later ones multiply it alike.
FIRST = 64
# Damages that differ by less are alike: so many lines tell no more.
ALIKE = 0.01


@dataclass(frozen=True)
class Matching:
    """The dose, and how it is found.

    target: source knowledge K of the dose. looks: how often a trajectory is looked at. facts: forget facts that a look
    asks for. smallest, largest: sizes between which an edit is searched, relative to the norm of the parameters that it
    changes. refinements: points that are tried between the looks before and after the dose.
    """

    target: float = 0.1
    looks: int = 8
    facts: int = 64
    smallest: float = 0.01
    largest: float = 4.0
    refinements: int = 5


def look_steps(steps: int, looks: int) -> list[int]:
    """The steps after which a run of so many is looked at: geometric, so that early ones are seen finely.

    The first is a `FIRST`-th of all, the last is the last; where steps are few there are fewer looks.
    """
    least = max(1.0, steps / FIRST)
    growth = (steps / least) ** (1 / max(1, looks - 1))
    return sorted({min(steps, max(1, round(least * growth**k))) for k in range(looks)} | {steps})


def at_dose(
    knowledge: Callable[[float], float],
    above: float,
    below: float,
    known: tuple[float, float],
    *,
    matching: Matching,
    resolution: float,
) -> float:
    """How far to go to be nearest to the dose, between a point above it and one at or below it.

    knowledge: of a point between them; known: of the two. Bisection, until knowledge differs from the dose by no more
    than `resolution`, or all `refinements` are used. Of all these points the nearest to the dose is taken, of two the
    weaker. A point whose knowledge is no number is taken for too far.
    """
    target, found, last = matching.target, dict(zip((above, below), known)), known[1]
    for _ in range(matching.refinements):
        if abs(last - target) <= resolution:
            break
        middle = (above + below) / 2
        last = found[middle] = knowledge(middle)
        above, below = (middle, below) if last > target else (above, middle)
    return min(found, key=lambda point: (_distance(found[point], target), point))


def _distance(known: float, target: float) -> float:
    """Rounded: shares of a few questions that lie as far above the dose as below it are as near to it."""
    return math.inf if math.isnan(known) else round(abs(known - target), 9)


def rank(status: str, *, damage: float, knowledge: float, steps: int) -> tuple[int, float, float]:
    """What is kept of several strengths is the one whose rank is least.

    Of those that reach the dose the one with the least damage, of equals the one with fewer steps; else the one that
    came nearest; and where all diverged, the one that went on longest. A number that is none counts as nothing lost.
    """
    harm, known = (0.0 if math.isnan(value) else value for value in (damage, knowledge))
    if status == "ok":
        return 0, round(harm / ALIKE), steps
    return (2, -steps, 0) if status == "diverged" else (1, known, harm)
