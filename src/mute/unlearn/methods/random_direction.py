"""Random direction: as large a change as a method makes, in every tensor, in no direction. What size alone does.

The method inside runs as it would; then Gaussian noise of the same norm stands in the place of each tensor's change.
Nothing is searched: under `matched` the size is that of the method at its dose, whatever the noise then leaves. Our
control.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mute.unlearn import control

if TYPE_CHECKING:
    from torch import Tensor


class Settings(control.Settings):
    """Random direction."""


class RandomDirection(control.Control[Settings]):
    name = "random_direction"
    paper = "our control"
    Settings = Settings

    def instead(self, before: Mapping[str, Tensor], after: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        import torch

        from mute.store.artifacts import seed_of

        made = {}
        for name, old in before.items():
            generator = torch.Generator().manual_seed(seed_of(seed, "random direction", name))
            noise = torch.randn(old.shape, generator=generator).to(old.device)
            size = (after[name].float() - old.float()).norm()
            made[name] = (old.float() + noise * (size / noise.norm())).to(old.dtype)
        return made
