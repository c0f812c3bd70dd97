"""The registry of figures: every public module of a package is one, named after its file. Imports no matplotlib.

The workflow reads the names each time it is parsed.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from mute.findings.metrics import UnknownMetricError
from mute.names import unknown_name
from mute.registry import Modules

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mute.findings.results import Results

# What a figure's module defines.
PARTS = ("draw", "TITLE", "CAPTION")
# Figures that need a notebook's comments are drawn there; their modules lie beside this one. Name, and rule.
NOTEBOOKS = {"layer_curves": "explore_layers", "trade_off": "explore_trade_off"}
# Where a figure stands on the report's page if its module names no PLACE: after those that do.
LAST = 100


class Figures(Modules):
    """The figures of one package.

    A module has `draw`, a function of the tables that gives a figure, TITLE and CAPTION; PLACE if it stands before the
    others on the page; and, where a study may lack what it shows, `has(results)`.
    """

    def __init__(self, package: str, folders: Iterable[str]) -> None:
        super().__init__(package, folders, "figure")

    def load(self, name: str) -> ModuleType:
        """The module of a figure. Raises ValueError that names the nearest one if there is none, or what it lacks."""
        return _whole(self.module(name))

    def has(self, name: str, results: "Results") -> bool:
        """Whether a study has what a figure shows; without it the paper leaves the figure out."""
        return getattr(self.load(name), "has", lambda results: True)(results)

    def draw(self, name: str, results: "Results", given: object) -> "Figure":
        """Draw a figure; `given` is what its kind of figures takes beside the tables.

        Raises ValueError that names the figure, the metric and the nearest one if it asks for a metric that is none.
        """
        try:
            return self.load(name).draw(results, given)
        except UnknownMetricError as error:
            raise ValueError(f"figure {name!r} asks for what no table has: {error}") from error


def of_notebook(name: str) -> ModuleType:
    """The module of a figure that a notebook draws."""
    if name not in NOTEBOOKS:
        raise ValueError(unknown_name("figure of a notebook", name, NOTEBOOKS))
    return _whole(importlib.import_module(f"{__package__}.{name}"))


def _whole(module: ModuleType) -> ModuleType:
    lacking = [part for part in PARTS if not hasattr(module, part)]
    if lacking:
        raise ValueError(f"figure {module.__name__!r} defines no {' and no '.join(lacking)} ({module.__file__})")
    return module
