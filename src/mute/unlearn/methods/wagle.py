"""WAGLE: train only the weights that matter to forgetting, less those that matter to what is kept.

Jia et al. 2024 (arXiv 2410.17509): a weight's score is |(theta - g_r/mu) g_f|, of the gradients of the forget and the
retain answers' negative log-likelihood at the base weights; the top share of all weights that may train is trained, by
the loss of another method. Certainty: code. mu stands for the mean curvature of the retain loss; its published value is
not known to us. Ours: `curvature` times the mean squared gradient of retain batches. Published: 80 % train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import masked

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Task


class Settings(masked.Settings):
    """WAGLE."""

    share: float = Field(0.8, gt=0, le=1, description="Share of the weights that train: those with the largest scores.")
    curvature: float = Field(
        1.0, gt=0, description="mu, in mean squared gradients of retain batches: the larger, the less retain counts."
    )


class WAGLE(masked.Masked[Settings]):
    name = "wagle"
    paper = "Jia et al. 2024, arXiv 2410.17509"
    family = "divergence"
    Settings = Settings

    def choose(self, task: Task, names: list[str]) -> dict[str, Tensor]:
        import torch

        parameters = dict(task.model.named_parameters())
        forget, _ = self.pass_of(task, "forget", names)
        retain, squares = self.pass_of(task, "retain", names)
        mu = self.settings.curvature * squares
        scores = []
        for name, f, r in zip(names, forget, retain):
            weight = parameters[name].detach()
            f, r = (torch.zeros_like(weight) if g is None else g for g in (f, r))
            # Where nothing is retained nothing is set against the forget gradient.
            scores.append(score(weight, f, r, mu) if mu > 0 else (weight * f).abs())
        return dict(zip(names, top(scores, self.settings.share)))


def score(weight: Tensor, forget: Tensor, retain: Tensor, mu: float) -> Tensor:
    """|(theta - g_r/mu) g_f| of each weight."""
    return ((weight - retain / mu) * forget).abs()


def top(scores: Sequence[Tensor], share: float) -> list[Tensor]:
    """Which weights are in the top share of all: as many as that is, of equal scores those that come first."""
    import torch

    every = torch.cat([own.flatten() for own in scores])
    kept = torch.zeros(len(every), dtype=torch.bool, device=every.device)
    kept[every.argsort(descending=True, stable=True)[: round(share * len(every))]] = True
    parts = kept.split([own.numel() for own in scores])
    return [part.view(own.shape) for part, own in zip(parts, scores)]
