"""Measures that stand beside knowledge and capability.

Adding a measure is adding one file to this package with a subclass of `Measure`. It is a pure function of the tables of
an evaluation: a new one runs no model.
"""

from mute.evaluate.measures.base import Context, Measure
from mute.registry import Classes

__all__ = ["Context", "Measure", "load", "modules", "names"]

_REGISTRY = Classes(__name__, __path__, Measure, "measure", without=("base",))
names, modules, load = _REGISTRY.names, _REGISTRY.modules, _REGISTRY.load
