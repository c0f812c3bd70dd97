"""The baseline `gate`: no unlearning at all, but a word filter. It shows what an edit must be better than.

A linear probe (logistic regression) on mean embeddings tells forget from retain prompts in the source languages; where
it fires, the state becomes c u, u a fixed random direction. No weight changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Task


class Settings(base.Settings):
    """Gate, a filter on embeddings."""

    steering: float = Field(10.0, gt=0, description="c, relative to the mean norm of the embeddings of forget text.")
    ridge: float = Field(1e-3, gt=0, description="Weight of the probe's squared norm.")
    strengths: list[float] = Field([], description="Not used: the probe is fitted, not trained in steps.")


class Gate(base.Algorithm):
    name = "gate"
    expects = "falls"
    kind = "filter"
    bands = ("full",)
    Settings = Settings
    settings: Settings

    def parameters(self, model: Any, band: Band) -> list[str]:
        return []

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.models import gate
        from mute.unlearn.losses import steering_direction

        forget, retain = (self._seen(task, side) for side in ("forget", "retain"))
        weight, bias = gate.separate(forget, retain, self.settings.ridge)
        embedding = task.model.get_input_embeddings()
        norm = embedding(task.forget.texts.ids).norm(dim=-1).mean()
        state = self.settings.steering * norm * steering_direction(len(weight), task.seed).to(norm)
        return {gate.WEIGHT: weight.float(), gate.BIAS: bias.float()[None], gate.STATE: state.detach().to(torch.float)}

    def _seen(self, task: Task, side: str) -> Tensor:
        """Mean embeddings [N, D] of what stands before each answer token of a side: there the gate must decide."""
        import torch

        from mute.models import gate

        texts = task.side(side)
        found: dict[int, Tensor] = {}
        for rows in texts.texts.batches:
            ids = texts.texts.ids[texts.texts.positions(rows)]
            with torch.no_grad():
                embedded = task.model.get_input_embeddings()(ids)
            means = gate.running_means(embedded)
            for row, own in zip(rows, means):
                found[row] = own[int(texts.first[row]) - 1 : int(texts.last[row]) - 1]
        return torch.cat([found[row] for row in range(len(texts))])
