"""What is tried to bring back what was to be forgotten. The registry: every module that defines an attack is found."""

import importlib
import pkgutil
from functools import cache

from mute.attacks.base import Attack
from mute.names import unknown_name

_NOT_ATTACKS = ("base", "shard")


@cache
def names() -> tuple[str, ...]:
    """Names of all attacks, sorted. An attack's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_ATTACKS))


def load(name: str) -> type[Attack]:
    """The class of an attack. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("attack", name, names()))
    module = importlib.import_module(f"{__name__}.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Attack) and value.__module__ == module.__name__:
            return value
    raise ValueError(f"{module.__file__} defines no subclass of Attack")
