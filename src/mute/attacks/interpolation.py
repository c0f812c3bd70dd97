"""Interpolation: weights on the line from the attacked model to the same one retrained on retain text, and beyond.

Ours, after task vectors (arXiv 2212.04089): theta + a (theta_r - theta), theta_r from `retraining` with the same texts,
steps and draws. a = 0 is the model as it is, 1 the retrained one; above 1 it goes further along what retraining undid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.attacks import retraining

if TYPE_CHECKING:
    from mute.engine.training import Course
    from mute.models.anatomy import Model


class Settings(retraining.Settings):
    """Interpolation."""

    distance: float = Field(0.5, ge=0, le=10, description="a, how far along the line; 0: the model, 1: retrained.")


class Interpolation(retraining.Retraining):
    name = "interpolation"
    paper = "ours; Ilharco et al. 2023, arXiv 2212.04089"
    Settings = Settings
    settings: Settings

    def train(self, model: Model) -> Course:
        from mute.engine.training import Course
        from mute.models import patches

        a = self.settings.distance
        if not a:
            return Course(0, None)
        before = patches.take(model, self.trained(model))
        course = super().train(model)
        if a != 1:
            after = patches.take(model, before)
            # Rounded once, at the end, to the type of the weights.
            line = {n: t.float().lerp(after[n].float(), a).to(t.dtype) for n, t in before.items()}
            patches.put(model, line)
        return course
