"""The registry of trackers: every module of this package is one.

A tracker has a `Writer` (a context manager; its `write(run)` gives the file that a run became, in a folder of its own,
and the copies of the run's files in their order), `folders`, those of all runs that lie there, `where`, the options
that say where runs belong, and `send` if its options have a mode `online`.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from mute.names import unknown_name


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def load(name: str) -> ModuleType:
    """The module of a tracker. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("tracker", name, names()))
    return importlib.import_module(f"{__name__}.{name}")
