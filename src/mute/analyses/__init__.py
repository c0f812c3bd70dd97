"""Looks into a model without changing it: layer scores, logit lens. The registry: every module with an analysis."""

import importlib
import pkgutil
from functools import cache

from mute.analyses.base import Analysis
from mute.names import unknown_name

_NOT_ANALYSES = ("base", "shard", "capture", "similarity")


@cache
def names() -> tuple[str, ...]:
    """Names of all analyses, sorted. An analysis's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_ANALYSES))


def load(name: str) -> type[Analysis]:
    """The class of an analysis. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("analysis", name, names()))
    module = importlib.import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Analysis) and value.__module__ == module.__name__:
            return value
    raise ValueError(f"{module.__file__} defines no subclass of Analysis")
