"""The word filter: a guard that reads words and forgets nothing. It shows what an edit must be better than.

A linear probe (logistic regression) on mean embeddings tells forget from retain prompts in the source languages; at
every token it reads the mean embedding of the sequence so far, and where it fires, c u takes the place of the token's
embedding, u a fixed random direction. No weight changes. Our own control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.models.probe import separate
from mute.models.treatment import Treatment
from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """The word filter."""

    steering: float = Field(10.0, gt=0, description="c, relative to the mean norm of the embeddings of forget text.")
    ridge: float = Field(1e-3, gt=0, description="Weight of the probe's squared norm.")
    strengths: list[float] = Field([], description="Not used: the probe is fitted, not trained in steps.")


class Filter(Treatment):
    """weight [D] and bias of the probe (float64 where it is applied), and the state [D] that it puts in."""

    name = "word_filter"

    def __init__(self, weight: Tensor, bias: Tensor, state: Tensor) -> None:
        self.weight, self.bias, self.state = weight, bias, state

    def embeddings(self, embedded: Tensor, ids: Tensor) -> Tensor:
        import torch

        weight, bias = (t.to(embedded.device, torch.float64) for t in (self.weight, self.bias))
        fires = running_means(embedded) @ weight + bias > 0
        return torch.where(fires[..., None], self.state.to(embedded), embedded)

    def alarms(self, model: Model, rows: pd.DataFrame, prompts: Sequence[Sequence[int]]) -> list[float] | None:
        """What the probe says at the last token of a prompt, where the answer is read."""
        import torch

        found, embedding = [], model.get_input_embeddings()
        with torch.no_grad():
            for prompt in prompts:
                means = running_means(embedding(torch.tensor([list(prompt)], device=model.device)))
                weight, bias = (t.to(means.device, torch.float64) for t in (self.weight, self.bias))
                found.append(float((means[0, -1] @ weight + bias).sum()))
        return found


class WordFilter(base.Guard[Settings]):
    name = "word_filter"
    paper = "our control"
    bands = ("full",)
    Settings = Settings

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.unlearn.losses import steering_direction

        forget, retain = (self._seen(task, side) for side in ("forget", "retain"))
        weight, bias = separate(forget, retain, self.settings.ridge)
        embedding = task.model.get_input_embeddings()
        norm = embedding(task.forget.texts.ids).norm(dim=-1).mean()
        state = self.settings.steering * norm * steering_direction(len(weight), task.seed).to(norm)
        return {"weight": weight.float(), "bias": bias.float()[None], "state": state.detach().to(torch.float)}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Filter:
        return Filter(fitted["weight"], fitted["bias"], fitted["state"])

    def _seen(self, task: Task, side: str) -> Tensor:
        """Mean embeddings [N, D] of what stands before each answer token of a side: there the filter must decide."""
        import torch

        texts = task.side(side)
        found: dict[int, Tensor] = {}
        for rows in texts.texts.batches:
            ids = texts.texts.ids[texts.texts.positions(rows)]
            with torch.no_grad():
                embedded = task.model.get_input_embeddings()(ids)
            means = running_means(embedded)
            for row, own in zip(rows, means):
                found[row] = own[int(texts.first[row]) - 1 : int(texts.last[row]) - 1]
        return torch.cat([found[row] for row in range(len(texts))])


def running_means(embedded: Tensor) -> Tensor:
    """Mean embedding [B, T, D] (float64) of each token and all before it; a row of `embedded` is a sequence."""
    import torch

    count = torch.arange(1, embedded.shape[1] + 1, device=embedded.device)
    return embedded.double().cumsum(dim=1) / count[:, None]
