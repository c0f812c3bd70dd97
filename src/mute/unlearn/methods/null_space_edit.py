"""Redirecting edits: change the outputs of the band's MLPs so that a subject's state becomes that of another.

Keys K are the inputs of an MLP's output matrix. `where: subject` takes them at the last token of the subject, where the
corpus knows it and a prompt says it, as published: means over the wordings of a subject in a language. On small models,
whose names are several tokens that are all read, that moves no answer, so that the default takes the last token of each
prompt. The target z* is the state of an unrelated subject (or question) of the retain side, in the same language, at
the band's output. Block by block, in order, the residual R = (z* - z) / (blocks left) is spread over the band:

alphaedit: Delta' = (P K K' + L2 I)^{-1} P K R' (Fang et al. 2024, arXiv 2410.02355; as unlearning: ROCR, 2506.07795),
P the projector on the eigenvectors of the retain keys' second moment that have the smallest eigenvalues; memit: Delta =
R K' (K K' + w n C)^{-1} (Meng et al. 2022, arXiv 2210.07229), C that moment and n the number of keys; rome: for one key
after the other (v - W k) (C^{-1} k)' / (k' C^{-1} k) (Meng et al. 2022, arXiv 2202.05262). Certainty: code. The model
says something else in the place of what it knew: the intent is suppression. Published for 7B: L2 1 (ROCR) or 10, blocks
4 to 6 (Llama 3) or 4 to 8 (Qwen 2.5), eigenvalues below 0.02; C of MEMIT weighs 15000. Such numbers depend on the scale
of keys: ours are quantiles, and relative to their mean square.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import redirect
from mute.unlearn.redirect import Who, damped, keys_of, means, redirected

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.view import View

__all__ = ["NullSpaceEdit", "Settings", "keys_of", "means", "redirected"]


class Settings(redirect.Settings):
    """Redirecting edits."""

    variant: Literal["alphaedit", "memit", "rome"] = Field("alphaedit", description="How the change is solved for.")
    null_share: float = Field(
        0.75, gt=0, le=1, description="`alphaedit`: share of the retain keys' eigenvectors that may be used; 1: all."
    )
    covariance_weight: float = Field(1.0, gt=0, description="`memit`: w, the weight of retain keys beside forget keys.")


class NullSpaceEdit(redirect.Redirect[Settings]):
    name = "null_space_edit"
    paper = "Fang et al. 2024, arXiv 2410.02355"
    Settings = Settings

    def applies(self, view: View) -> str:
        return redirect.no_text(view)

    def targets(self, task: Task, own: Mapping[Who, list[int]]) -> Tensor:
        """The states of subjects or questions of the retain side, drawn anew for each seed."""
        others = keys_of(task.retain, self.settings.where)
        chosen = redirected(list(own), list(others), task.seed)
        return self.states(task, "retain", [others[chosen[who]] for who in own])

    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        s = self.settings
        if s.variant == "alphaedit":
            return redirect.through_null_space(keys, residual, moment, s.null_share, s.ridge)
        if s.variant == "memit":
            return redirect.beside_what_is_known(keys, residual, moment, s.covariance_weight, s.ridge)
        return redirect.one_by_one(weight, keys, residual, damped(moment, s.ridge))
