"""Negated task vector: fine-tune a copy of the band on the forget set, and go as far the other way.

Ilharco et al. 2022 (arXiv 2212.04089): tau = theta_ft - theta_0, theta = theta_0 - lambda tau on the band's parameters.
Certainty: code. Published for 7B: lambda 1 (MUSE: 5), fine-tuning as in training. With several source languages tau may
be one of them all (`joint`), the mean of one each (`mean`), or that mean where their signs agree and zero elsewhere
(`consensus`; ours).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Task


class Settings(base.Settings):
    """Negated task vector."""

    strength: ClassVar[str] = "step_size"

    step_size: float = Field(1.0, gt=0, description="lambda of the `paper` protocol; `matched` searches it.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size of the fine-tuning.")
    steps: int = Field(30, ge=1, description="Steps of the fine-tuning.")
    languages: Literal["joint", "mean", "consensus"] = Field("joint", description="How source languages make a vector.")
    strengths: list[float] = Field([], description="Not used: `matched` searches the step size.")


class TaskVector(base.Edit[Settings]):
    name = "task_vector"
    paper = "Ilharco et al. 2022, arXiv 2212.04089"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        # One fine-tuning a language, of which there are mostly two or so.
        return base.Cost(sides=1, passes=1.0 if self.settings.languages == "joint" else 2.0)

    def change(self, task: Task) -> dict[str, Tensor]:
        """theta_0 - theta_ft."""
        import torch

        languages = sorted(set(task.forget.languages))
        if self.settings.languages == "joint" or len(languages) == 1:
            return self._vector(task, "")
        found = [self._vector(task, language) for language in languages]
        change = {}
        for name in found[0]:
            each = torch.stack([vector[name] for vector in found])
            agree = (each.sign() == each[0].sign()).all(0) | (self.settings.languages == "mean")
            change[name] = each.mean(0) * agree
        return change

    def _vector(self, task: Task, language: str) -> dict[str, Tensor]:
        """What fine-tuning on the forget texts of a language ('': of all) takes away, in float32."""
        from mute.models import patches
        from mute.unlearn.edits import negation
        from mute.unlearn.losses import nll

        names = self.parameters(task.model, task.band)
        drawn = task.draws("forget", self.settings.batch_size, "task vector", language)
        before = patches.take(task.model, names)
        with task.descend(
            names, lambda: nll(*task.answer_logprobs(next(drawn))), self.settings.steps, self.settings.learning_rate
        ):
            tuned = patches.take(task.model, names)
        return {name: negation(old.float(), tuned[name].float()) for name, old in before.items()}
