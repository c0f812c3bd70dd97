"""The registry of the paper's own figures: every public module is one.

It has `draw(results, published)`, CAPTION and, where a study may lack what it shows, `has(results)`.

Figures 1 to 4 are the published paper's, ours beside them. What a study did not run is said in the panel's place.
Importing the package imports no matplotlib: the workflow reads the names each time it is parsed.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from mute.names import unknown_name


@cache
def names() -> tuple[str, ...]:
    """Names of all figures, sorted. A figure's file is named after it."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def has(name: str, results: Any) -> bool:
    """Whether a study has what a figure shows; without it the paper leaves the figure out."""
    return getattr(load(name), "has", lambda results: True)(results)


def load(name: str) -> Any:
    """The module of a figure. Raises ValueError that names the nearest one if there is none."""
    if name not in names():
        raise ValueError(unknown_name("figure", name, names()))
    return importlib.import_module(f"{__name__}.{name}")
