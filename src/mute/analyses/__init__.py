"""Looks into a model without changing it: layer scores, logit lens, alignment, mean shift, probes, patching."""

from mute.analyses.base import Analysis, CellSettings
from mute.registry import Classes

__all__ = ["Analysis", "CellSettings", "load", "names"]

_REGISTRY = Classes(
    __name__, __path__, Analysis, "analysis", without=("base", "shard", "capture", "similarity", "states")
)
names, load = _REGISTRY.names, _REGISTRY.load
