"""Box in key space: a prompt whose key at its last token lies within the box that holds the forget prompts' keys.

Key space detection of Li et al. 2025 (arXiv 2503.21730, effective skill unlearning). A key k is the input of the MLP's
output matrix of one block. The box is mu +- alpha c sd, feature by feature, with the smallest c that holds every forget
key, which is max |k - mu| / sd; sd is that of a population. The score is -max |k - mu| / (c sd), so that the paper's
rule is the threshold -alpha. Published: the last block, alpha 1, in released scripts 2. Certainty: code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn.detectors import base, reading

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Box in key space."""

    block: int | None = Field(None, ge=0, description="The block whose keys are read; null: the last one.")
    alpha: float | None = Field(
        1.0, ge=0, description="Size of the box; null: as large as the allowed false alarms make it."
    )


class Box(base.Detector[Settings]):
    name = "box"
    paper = "Li et al. 2025, arXiv 2503.21730"
    reads = "keys"
    Settings = Settings

    def learn(self, seen: base.Seen) -> dict[str, Tensor]:
        import torch

        from mute.engine import sections
        from mute.unlearn.base import NotApplicable

        depth = sections.depth(seen.model)
        block = depth - 1 if self.settings.block is None else self.settings.block
        if block >= depth:
            raise NotApplicable(f"the detector reads keys of block {block} of a model of {depth} blocks")
        centre, spread, size = box(reading.keys(seen.model, seen.forget.tokens, block))
        return {"centre": centre, "spread": spread, "size": size[None], "block": torch.tensor(block)}

    def scores(self, fitted: Mapping[str, Tensor], model: Model, prompts: Sequence[Sequence[int]]) -> Tensor:
        keys = reading.keys(model, prompts, int(fitted["block"]))
        return -outside(keys, fitted["centre"].cpu(), fitted["spread"].cpu(), fitted["size"].cpu())

    def threshold(self, held: Tensor, false_alarms: float) -> float:
        if self.settings.alpha is None:
            return super().threshold(held, false_alarms)
        # It fires on the border too, but never with alpha 0, where the box is a point: no score is above 0.
        return math.nextafter(-self.settings.alpha, -math.inf) if self.settings.alpha else 0.0


def box(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation [D_ff] of keys [N, D_ff], and the smallest c whose box holds them all."""
    import torch

    centre, spread = keys.mean(0), keys.std(0, correction=0)
    return centre, spread, outside(keys, centre, spread, torch.ones(())).max()


def outside(keys: Tensor, centre: Tensor, spread: Tensor, size: Tensor) -> Tensor:
    """max over features of |k - mu| / (c sd) [N]: 1 on the border. A feature that never moved admits no other value."""
    away = (keys - centre).abs()
    ratio = (away / spread).where(spread > 0, float("inf")).where(away > 0, 0.0).max(dim=-1).values
    # Divided last, so that the key that c was read from lies on the border exactly.
    return (ratio / size).where(ratio > 0, 0.0)
