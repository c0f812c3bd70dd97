"""The registry of unlearning methods: every module of `methods` that defines one is found by itself."""

import importlib
import pkgutil
from functools import cache
from typing import Any

from mute.names import unknown_name
from mute.unlearn import methods
from mute.unlearn.base import Descent, Edit, Guard, Method


@cache
def names() -> tuple[str, ...]:
    """Names of all methods, sorted. A method's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(methods.__path__)))


def load(name: str) -> type[Method]:
    """The class of a method. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("method", name, names()))
    module = importlib.import_module(f"{methods.__name__}.{name}")
    for value in vars(module).values():
        own = isinstance(value, type) and value.__module__ == module.__name__
        if own and issubclass(value, (Descent, Edit, Guard)):
            return value
    raise ValueError(f"{module.__file__} defines no subclass of Descent, Edit or Guard")


def make(name: str, settings: dict[str, Any]) -> Method:
    """A method with its settings."""
    method = load(name)
    return method(method.Settings.model_validate(settings))
