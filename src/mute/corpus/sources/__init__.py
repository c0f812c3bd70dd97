"""The registry of corpus sources: every module here has `Settings` (a pydantic model) and `build`."""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from mute.names import unknown_name


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def load(name: str) -> ModuleType:
    """The module of a source. Raises ValueError that names the nearest source if there is none."""
    if name not in names():
        raise ValueError(unknown_name("corpus source", name, names()))
    return importlib.import_module(f"{__name__}.{name}")
