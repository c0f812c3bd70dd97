"""ROCR, rank-one concept redirection: what the model holds of a subject becomes what it holds of another one.

Ye et al. 2025 (arXiv 2506.07795): the keys K of a subject get the state z* of an unrelated subject s' of the same kind,
by Delta' = (P K K' + L2 I)^{-1} P K R' in the null space of what is to be kept. Certainty: code. Modes: `redirect`;
`reject`, with z* found by 25 steps of Adam at a rate of 0.1 so that a refusal follows (decay 0.5, clamp 1); `noise`.
Published for 7B: last token of the subject, L2 1, eigenvalues below 0.02, blocks 4 to 6 (Llama 3) or 4 to 8 (Qwen 2.5).

Ours: s' is no real person but a subject of the retain side, one and the same in every language; its prompt is the one
that is most like the forget prompt (its relation, or else its options, and its wording). `noise` is a random state of
the same length. L2 is relative to the keys' mean square, eigenvalues are chosen by a quantile, and the rate by the root
mean square of a state's features; no KL term. The model says something else in the place of what it knew: the intent
is suppression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import redirect

if TYPE_CHECKING:
    from torch import Tensor


class Settings(redirect.Aimed):
    """ROCR."""

    null_share: float = Field(
        0.75, gt=0, le=1, description="Share of the retain keys' eigenvectors that may be used, smallest first; 1: all."
    )


class ROCR(redirect.Aiming[Settings]):
    name = "rocr"
    paper = "Ye et al. 2025, arXiv 2506.07795"
    Settings = Settings

    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        return redirect.through_null_space(keys, residual, moment, self.settings.null_share, self.settings.ridge)
