"""UniErase: prompts to be forgotten are sent to one state of unlearning, after which a refusal follows.

Our instantiation of Yu et al. 2025 (arXiv 2505.15674). There a new token <unl> is trained so that a refusal follows it
after any question, and then Delta' = (P (K K' + C_prev) + L2 I)^{-1} P K R' makes it follow the questions to be
forgotten. Here nothing outside the band may change, so that the token is a state: one vector, the same for all prompts,
that is added at the band's output to the last token of a prompt and trained until the refusal follows it
(`token_steps`). From there the target z* of each prompt is found by further steps of its own, and the edit sends states
there. Certainty: code for the second step, whose numbers are the published ones; the state is ours.

Published for 7B: the token by Adam at 1e-3 for five epochs and at 1e-4 for three, with noise on the outputs of MLPs; z*
by 10 steps at a rate of 0.1, decay 0.5, clamp 0.75, KL 0.0625; L2 10, blocks 4 to 8. A refusal here is the word with
which questions about unknown subjects are answered. All prompts are edited at once, so that C_prev is 0; no noise and
no KL term; L2 is relative to the keys' mean square, rates to the root mean square of a state's features. The answer is
hidden behind a refusal: the intent is suppression.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base, redirect

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.redirect import Who
    from mute.unlearn.view import View


class Settings(redirect.Settings):
    """UniErase."""

    ridge: float = Field(0.01, gt=0, description="L2, relative to the mean square of the keys.")
    null_share: float = Field(
        1.0, gt=0, le=1, description="Share of the retain keys' eigenvectors that may be used, smallest first; 1: all."
    )
    token_steps: int = Field(20, ge=0, description="Steps of Adam that find the state that all prompts share.")
    target_steps: int = Field(10, ge=1, description="Steps of Adam that find each prompt's own target from there.")
    target_rate: float = Field(
        0.1, gt=0, description="Size of these steps, relative to the root mean square of a state's features."
    )
    target_decay: float = Field(0.5, ge=0, description="Weight of what is added to a state, over its square.")
    target_clamp: float = Field(
        0.75, gt=0, description="The longest that it may be, relative to the length of the state."
    )


class UniErase(redirect.Redirect[Settings]):
    name = "unierase"
    paper = "Yu et al. 2025, arXiv 2505.15674"
    Settings = Settings

    def cost(self) -> base.Cost:
        # Of the two sides the forget side alone is read, and up to the head, in each step that finds a state.
        passes = 1 + (self.settings.token_steps + self.settings.target_steps) / 2
        return base.Cost(reference=True, whole=True, trains="mlp_outputs", passes=passes)

    def applies(self, view: View) -> str:
        return redirect.no_refusal(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": view.forget, "retain": view.retain, "refusals": redirect.refused(view)}

    def targets(self, task: Task, own: Mapping[Who, list[int]]) -> Tensor:
        groups = list(own.values())
        start = self.token(task, groups).expand(len(groups), -1)
        added = redirect.aimed(task, "refusals", groups, self.place, self._aim(self.settings.target_steps), start=start)
        return self.states(task, "forget", groups) + added.double()

    def token(self, task: Task, groups: list[list[int]]) -> Tensor:
        """What is added to the state of any prompt for a refusal to follow [1, D]."""
        aim = self._aim(self.settings.token_steps)
        return redirect.aimed(task, "refusals", groups, self.place, aim, shared=True)

    def _aim(self, steps: int) -> redirect.Aim:
        s = self.settings
        return redirect.Aim(steps, s.target_rate, s.target_decay, s.target_clamp)

    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        return redirect.through_null_space(keys, residual, moment, self.settings.null_share, self.settings.ridge)
