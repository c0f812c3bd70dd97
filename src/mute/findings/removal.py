"""Removal or suppression: what kind of forgetting three measured drops look like.

After the taxonomy of Ren et al. (SoK: Machine Unlearning for Large Language Models, arXiv 2506.09227): what a method is
meant to do says nothing of what it does, so that the verdict is of measurements. It is always "-like": no measurement
shows that nothing is left. Rules and thresholds are ours.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Literal

from mute.config.sections import VerdictSection
from mute.findings.results import Number

Kind = Literal["no effect", "suppression-like", "removal-like", "mixed", "not decided"]
Level = Literal["small", "between", "large"]
LEVELS: tuple[Level, ...] = ("small", "between", "large")


def verdict(behaviour: Number, inside: Number, durable: Number, at: VerdictSection) -> Kind:
    """The kind of forgetting, from three drops, each a share from 0 (nothing is gone) to 1 with its interval.

    behaviour: of knowledge in what the model answers, 1 - K. inside: of what can be read off its states, such as the
    gold answer's recall by the logit lens at its best block. durable: 1 - what relearning brings back beyond what it
    gives an oracle. A drop is of every level that its interval holds, and of any where it or its interval is missing:
    `not decided` unless all of these say the same.
    """
    found = {_kind(*levels) for levels in product(*(held(drop, at) for drop in (behaviour, inside, durable)))}
    return found.pop() if len(found) == 1 else "not decided"


def _kind(behaviour: Level, inside: Level, durable: Level) -> Kind:
    """Suppression: the answers are gone, and are inside or come back at once. Removal: nothing is left by all three."""
    if behaviour != "large":
        return "no effect" if behaviour == "small" else "mixed"
    if "small" in (inside, durable):
        return "suppression-like"
    return "removal-like" if inside == durable == "large" else "mixed"


def held(drop: Number, at: VerdictSection) -> tuple[Level, ...]:
    """The levels that the interval of a drop holds: up to `small` it is nothing, from `large` on all."""
    if math.isnan(drop.value) or math.isnan(drop.low) or math.isnan(drop.high):
        return LEVELS
    holds = (drop.low <= at.small, drop.high > at.small and drop.low < at.large, drop.high >= at.large)
    return tuple(level for level, own in zip(LEVELS, holds) if own)


def reach(heldout: Number, source: Number, at: VerdictSection) -> float:
    """Drop in held-out languages over that in the source languages: 1 an edit reaches both alike, 0 the sources alone.

    NaN where the sources lost no more than `small`: there is nothing that could have reached another language.
    """
    return heldout.value / source.value if source.value > at.small else math.nan
