"""ROME: one rank-one change after the other gives each key the value that makes the model say something else.

Meng et al. 2022 (arXiv 2202.05262): Delta = (v - W k) (C^{-1} k)' / (k' C^{-1} k), C the second moment of retain keys.
As unlearning (arXiv 2505.19855) the new answer is a refusal: `mode: reject`. Certainty: code. Published for 7B: one
block (5), z* by 25 steps at a rate of 0.5 or 0.1, decay 0.5 or 0.001, clamp 4.

Ours: the default target is the state of another subject; a band of several blocks shares the way; C has a share of its
mean eigenvalue on its diagonal; no KL term. What a later key is given takes from what earlier ones were given: ROME is
made for one fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import redirect

if TYPE_CHECKING:
    from torch import Tensor


class Settings(redirect.Aimed):
    """ROME."""

    ridge: float = Field(0.1, gt=0, description="What is added to C's diagonal, relative to its mean eigenvalue.")
    target_clamp: float = Field(
        4.0, gt=0, description="`reject`: the longest that it may be, relative to the length of the state."
    )


class ROME(redirect.Aiming[Settings]):
    name = "rome"
    paper = "Meng et al. 2022, arXiv 2202.05262"
    Settings = Settings

    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        return redirect.one_by_one(weight, keys, residual, redirect.damped(moment, self.settings.ridge))
