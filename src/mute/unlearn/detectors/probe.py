"""Linear probe: a logistic regression on a prompt's mean state at the input of a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.models.probe import separate
from mute.unlearn.detectors import base, reading

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model

BLOCK = "The block whose input is read; 0: the embeddings; null: the middle one."


class Settings(base.Settings):
    """Linear probe."""

    block: int | None = Field(None, ge=0, description=BLOCK)
    ridge: float = Field(1e-3, gt=0, description="Weight of the probe's squared norm.")


class Probe(base.Detector[Settings]):
    name = "probe"
    paper = "our control"
    reads = "states"
    Settings = Settings

    def learn(self, seen: base.Seen) -> dict[str, Tensor]:
        import torch

        where = reading.middle(seen.model, self.settings.block), reading.begins(seen.encoder)
        sides = (means(seen.model, side.tokens, *where) for side in (seen.forget, seen.retain))
        weight, bias = separate(*sides, self.settings.ridge)
        return {"weight": weight, "bias": bias[None], "where": torch.tensor(where)}

    def scores(self, fitted: Mapping[str, Tensor], model: Model, prompts: Sequence[Sequence[int]]) -> Tensor:
        block, begin = fitted["where"].tolist()
        return means(model, prompts, block, begin) @ fitted["weight"].cpu() + fitted["bias"].cpu()


def means(model: Model, prompts: Sequence[Sequence[int]], block: int, begin: int) -> Tensor:
    """Mean state [N, D] of each prompt at the input of `block`, float64, on the CPU."""
    import torch

    return torch.stack([own.double().mean(0) for own in reading.states(model, prompts, block, begin)])
