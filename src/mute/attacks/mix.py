"""Mix: the edited block is mixed with the identity, (1 - m) h + m block(h).

Ours: between the bypass (m = 0) and the edit as it is (m = 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from mute.attacks import base, bypass


class Settings(base.Settings):
    """Mix."""

    share: float = Field(0.5, ge=0, le=1, description="m, the share of the block; 0 skips it, 1 leaves it as it is.")


class Mix(bypass.Bypass):
    name = "mix"
    metric = "B_mixed"
    Settings = Settings
    settings: Settings
    depends: ClassVar[tuple[str, ...]] = ("band",)

    @classmethod
    def of_base(cls, settings: base.Settings, band: str) -> bool:
        return False

    def mixed(self, depth: int) -> Mapping[int, float]:
        return dict.fromkeys(self.victim.band.blocks, self.settings.share)
