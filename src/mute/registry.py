"""Registries: what a package holds of one kind, each in a module named after it. Adding one is adding a file."""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cached_property
from types import ModuleType
from typing import Generic, TypeVar

from mute.names import unknown_name

T = TypeVar("T")


class Modules:
    """The modules of a package.

    package, folders: its name and `__path__`; kind: what an error calls one of them; without: modules that are
    none, as those whose name begins with an underscore.
    """

    def __init__(self, package: str, folders: Iterable[str], kind: str, without: Iterable[str] = ()) -> None:
        self._package, self._folders, self._kind, self._without = package, list(folders), kind, frozenset(without)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        found = (module.name for module in pkgutil.iter_modules(self._folders))
        return tuple(sorted(name for name in found if not name.startswith("_") and name not in self._without))

    def names(self) -> tuple[str, ...]:
        """Names of all, sorted."""
        return self._names

    def modules(self) -> tuple[str, ...]:
        """Modules of all: what results depend on besides what is imported by name."""
        return tuple(f"{self._package}.{name}" for name in self._names)

    def module(self, name: str) -> ModuleType:
        """The module of this name. Raises ValueError that names the nearest one if there is none."""
        if name not in self._names:
            raise ValueError(unknown_name(self._kind, name, self._names))
        return importlib.import_module(f"{self._package}.{name}")


class Classes(Modules, Generic[T]):
    """The subclasses of a contract, one in each module of a package."""

    def __init__(
        self, package: str, folders: Iterable[str], contract: type[T], kind: str, without: Iterable[str] = ()
    ) -> None:
        super().__init__(package, folders, kind, without)
        self._contract = contract

    def load(self, name: str) -> type[T]:
        """The class of this name. Raises ValueError that names the nearest one if there is none."""
        module = self.module(name)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, self._contract) and value.__module__ == module.__name__:
                return value
        raise ValueError(f"{module.__file__} defines no subclass of {self._contract.__name__}")
