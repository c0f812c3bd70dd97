"""Bypass: the edited blocks are skipped, and the identity stands in their place.

Ours, after the skip tests of layer pruning. It needs no data and no training. What it gives back of a one-block edit
is a property of the base, which without that block is the same model: there the base alone is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from mute.attacks import base
from mute.bands import is_block, named_blocks


class Settings(base.Settings):
    """Bypass."""


class Bypass(base.Attack[base.Settings]):
    name = "bypass"
    paper = "ours"
    access = "weights"
    depends: ClassVar[tuple[str, ...]] = ("band",)
    metric = "B"
    Settings = Settings

    @classmethod
    def cost(cls, settings: base.Settings) -> base.Cost:
        return base.Cost(whole=False)

    @classmethod
    def applies(cls, settings: base.Settings, band: str, intent: str) -> str:
        if intent == "guard":
            return "a guard edits no block"
        return "" if named_blocks(band) else "without all of its blocks there is no model"

    @classmethod
    def of_base(cls, settings: base.Settings, band: str) -> bool:
        return is_block(band)

    def mixed(self, depth: int) -> Mapping[int, float]:
        return dict.fromkeys(self.victim.band.blocks, 0.0)
