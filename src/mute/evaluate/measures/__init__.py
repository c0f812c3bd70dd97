"""Measures that stand beside knowledge and capability. The registry: every module that defines a measure is found.

Adding a measure is adding one file to this package with a subclass of `Measure`. It is a pure function of the tables of
an evaluation: a new one runs no model.
"""

import importlib
import pkgutil
from functools import cache

from mute.evaluate.measures.base import Context, Measure
from mute.names import unknown_name

__all__ = ["Context", "Measure", "load", "modules", "names"]


@cache
def names() -> tuple[str, ...]:
    """Names of all measures, sorted. A measure's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base"))


def modules() -> tuple[str, ...]:
    """Modules of all measures: what scores depend on besides what is imported by name."""
    return tuple(f"{__name__}.{name}" for name in names())


def load(name: str) -> type[Measure]:
    """The class of a measure. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("measure", name, names()))
    module = importlib.import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Measure) and value.__module__ == module.__name__:
            return value
    raise ValueError(f"{module.__file__} defines no subclass of Measure")
