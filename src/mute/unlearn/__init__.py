"""The registry of unlearning algorithms: every module of `methods` that defines one is found by itself."""

import importlib
import pkgutil
from functools import cache

from mute.names import unknown_name
from mute.unlearn import methods
from mute.unlearn.base import Algorithm


@cache
def names() -> tuple[str, ...]:
    """Names of all algorithms, sorted. An algorithm's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(methods.__path__)))


def load(name: str) -> type[Algorithm]:
    """The class of an algorithm. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("algorithm", name, names()))
    module = importlib.import_module(f"{methods.__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Algorithm) and value.__module__ == module.__name__:
            return value
    raise ValueError(f"{module.__file__} defines no subclass of Algorithm")
