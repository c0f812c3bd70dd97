"""MEMIT: new answers to many prompts are written into MLPs at once, by least squares beside what is to be kept.

Meng et al. 2022 (arXiv 2210.07229): Delta = R K' (K K' + w n C)^{-1}, C the second moment of retain keys and n the
number of keys. As unlearning (arXiv 2505.19855) the new answer is a refusal: `mode: reject`. Certainty: code. Published
for 7B: C weighs 15000, blocks 4 to 8, z* by 25 steps at a rate of 0.1, decay 0.5, clamp 0.75.

Ours: the default target is the state of another subject; w is relative to the number of keys, and C has a share of its
mean eigenvalue on its diagonal, for texts of a small corpus span few directions; no KL term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import redirect

if TYPE_CHECKING:
    from torch import Tensor


class Settings(redirect.Aimed):
    """MEMIT."""

    covariance_weight: float = Field(0.1, gt=0, description="w, the weight of retain keys beside forget keys.")
    ridge: float = Field(0.1, gt=0, description="What is added to C's diagonal, relative to its mean eigenvalue.")
    target_clamp: float = Field(
        0.75, gt=0, description="`reject`: the longest that it may be, relative to the length of the state."
    )


class MEMIT(redirect.Aiming[Settings]):
    name = "memit"
    paper = "Meng et al. 2022, arXiv 2210.07229"
    Settings = Settings

    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        s = self.settings
        return redirect.beside_what_is_known(keys, residual, moment, s.covariance_weight, s.ridge)
