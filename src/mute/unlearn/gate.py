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

    from mute.engine.band import Band, Task


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
        weight, bias = separate(forget, retain, self.settings.ridge)
        embedding = task.model.get_input_embeddings()
        norm = embedding(task.forget.texts.ids).norm(dim=-1).mean()
        state = self.settings.steering * norm * steering_direction(len(weight), task.seed).to(norm)
        return {gate.WEIGHT: weight.float(), gate.BIAS: bias.float()[None], gate.STATE: state.detach().to(torch.float)}

    def _seen(self, task: Task, side: str) -> Tensor:
        """Mean embeddings [N, D] of what stands before each answer token of a side: there the gate must decide."""
        import torch

        from mute.models import gate

        texts = task.side(side)
        ids = texts.texts.ids[None]
        with torch.no_grad():
            embedded = task.model.get_input_embeddings()(ids)
        means = gate.running_means(embedded, ids, gate.beginning(task.model))[0]
        spans = zip(texts.texts.offsets.tolist(), texts.first.tolist(), texts.last.tolist())
        return means[[offset + place - 1 for offset, first, last in spans for place in range(first, last)]]


def separate(positive: Tensor, negative: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weight [D] and bias of the logistic regression that tells two sets of vectors [N, D] apart, sides weighed alike.

    Minimises the mean over sides of the mean log-loss, plus ridge |w|^2 in units of the features' spread.
    """
    import torch

    both = torch.cat([positive, negative]).double()
    centre, spread = both.mean(0), both.std().clamp(min=1e-12)
    sides = [((side.double() - centre) / spread, sign) for side, sign in ((positive, 1.0), (negative, -1.0))]
    found = torch.zeros(both.shape[1] + 1, dtype=torch.float64, device=both.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        margins = (sign * (side @ found[:-1] + found[-1]) for side, sign in sides)
        value = sum(torch.nn.functional.softplus(-margin).mean() for margin in margins) / 2
        value = value + ridge * found[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weight = found[:-1].detach() / spread
    return weight, found[-1].detach() - weight @ centre
