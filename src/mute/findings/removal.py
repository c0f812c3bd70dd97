"""Removal or suppression: what kind of forgetting a few measured drops look like.

After the taxonomy of Ren et al. (SoK: Machine Unlearning for Large Language Models, arXiv 2506.09227): what is intended
by a method says nothing of what it does, so that the verdict is of measurements. It is always "-like": no measurement
shows that nothing is left. Thresholds are ours.
"""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal["no effect", "suppression-like", "removal-like", "mixed", "not decided"]
# A drop of a share of what the base has: up to SMALL it is nothing, from LARGE on all.
SMALL, LARGE = 0.2, 0.8


def verdict(behaviour: float, inside: float, durable: float) -> Kind:
    """The kind of forgetting, from three drops, each a share from 0 (nothing is gone) to 1; NaN: not measured.

    behaviour: of knowledge in what the model answers, 1 - K. inside: of what can be read off its states, such as the
    gold answer's recall by the logit lens at its best block. durable: 1 - what an attack on the weights, such as
    retraining, brings back beyond what it gives an oracle.

    Suppression: the answers are gone, and are inside or come back at once. Removal: nothing is left by all three.
    `not decided` where what is missing could change it.
    """
    if math.isnan(behaviour):
        return "not decided"
    if behaviour <= SMALL:
        return "no effect"
    if behaviour < LARGE:
        return "mixed"
    known = [drop for drop in (inside, durable) if not math.isnan(drop)]
    if any(drop <= SMALL for drop in known):
        return "suppression-like"
    if len(known) < 2:
        return "not decided"
    return "removal-like" if min(known) >= LARGE else "mixed"


def reach(heldout: float, source: float) -> float:
    """Drop in held-out languages over that in the source languages: 1 an edit reaches both alike, 0 the sources alone.

    NaN where the sources lost no more than SMALL: there is nothing that could have reached another language.
    """
    return heldout / source if source > SMALL else math.nan
