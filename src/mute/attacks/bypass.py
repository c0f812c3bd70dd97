"""Bypass: the edited block is skipped, and the identity stands in its place.

Ours, after the skip tests of layer pruning. It needs no data and no training. What it gives back of a one-block edit
is a property of the base, which is skipped alike beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from mute.attacks import base
from mute.bands import is_block


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
        return "" if is_block(band) else "only a single block can be skipped and leave a model"

    def mixed(self, depth: int) -> Mapping[int, float]:
        return dict.fromkeys(self.victim.band.blocks, 0.0)
