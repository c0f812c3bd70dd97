"""`methods` among a grid's algorithms: every method of the package that its bands and protocols suit."""

from collections.abc import Iterator

from mute import unlearn
from mute.config.sections import Config, GridSection

METHODS = "methods"
# What stands in a grid's place for comparison, or leaves the weights alone, is named by who wants it.
NO_METHODS = ("control", "guard")


def spelt_out(config: Config) -> None:
    """Put the methods' names where a grid has `methods` in their place; those it names itself stay, and once.

    A definition of that name in `algorithms` is one algorithm as any other.
    """
    for grid in config.grids.values():
        if METHODS in grid.algorithms and METHODS not in config.algorithms:
            at = grid.algorithms.index(METHODS)
            own = [name for place, name in enumerate(grid.algorithms) if place != at]
            grid.algorithms = [*own[:at], *(name for name in _suited(grid) if name not in own), *own[at:]]


def _suited(grid: GridSection) -> Iterator[str]:
    for name in unlearn.names():
        kind = unlearn.load(name)
        bands = not kind.bands or {str(band) for band in grid.bands} <= set(kind.bands)
        if kind.family not in NO_METHODS and bands and set(grid.protocols) <= set(kind.protocols):
            yield name
