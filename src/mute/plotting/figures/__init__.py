"""The registry of figures: every module of this package is one, with `draw(tables, about)`, TITLE and CAPTION.

Importing the package imports no matplotlib: the workflow reads the names each time it is parsed. Figures that need a
notebook's comments are drawn in workflow/notebooks/ and are not listed here.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from mute.names import unknown_name


@cache
def names() -> tuple[str, ...]:
    """Names of all figures, sorted. A figure's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def modules() -> tuple[str, ...]:
    """The figures' modules, whose code their files depend on."""
    return tuple(f"{__name__}.{name}" for name in names())


def load(name: str) -> Any:
    """The module of a figure. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("figure", name, names()))
    return importlib.import_module(f"{__name__}.{name}")
