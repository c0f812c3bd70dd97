"""AlphaEdit: new answers are written into MLPs along directions that what is to be kept does not use.

Fang et al. 2024 (arXiv 2410.02355): Delta' = (P (K K' + C_prev) + L2 I)^{-1} P K R', P the projector on eigenvectors of
the retain keys' second moment that have small eigenvalues. As unlearning (arXiv 2505.19855) the new answer is a
refusal: `mode: reject`. Certainty: code. Published for 7B: L2 10, blocks 4 to 8 (Llama 3), eigenvalues below 0.02, z*
by 25 steps at a rate of 0.1, decay 0.5, clamp 0.75.

Ours: the default target is the state of another subject, which needs no text of a refusal; all keys are edited at once,
so that C_prev is 0; L2 is relative to the keys' mean square, eigenvalues are chosen by a quantile; no KL term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import redirect

if TYPE_CHECKING:
    from torch import Tensor


class Settings(redirect.Aimed):
    """AlphaEdit."""

    null_share: float = Field(
        0.75, gt=0, le=1, description="Share of the retain keys' eigenvectors that may be used, smallest first; 1: all."
    )
    target_clamp: float = Field(
        0.75, gt=0, description="`reject`: the longest that it may be, relative to the length of the state."
    )


class AlphaEdit(redirect.Aiming[Settings]):
    name = "alphaedit"
    paper = "Fang et al. 2024, arXiv 2410.02355"
    Settings = Settings

    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        return redirect.through_null_space(keys, residual, moment, self.settings.null_share, self.settings.ridge)
