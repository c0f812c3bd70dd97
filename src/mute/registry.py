"""Registries: what a package holds of one kind, each in a module named after it. Adding one is adding a file.

A file that cannot be used is an error of who wrote it: AdditionError says which file, and all that is wrong with it.
"""

import ast
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from mute.names import SLIP, nearest, on_one_line, shown, unknown_name

T = TypeVar("T")


class AdditionError(ValueError):
    """A file that a registry found, and everything for which it cannot be used, one line each."""

    def __init__(self, kind: str, file: str | None, problems: Iterable[str]) -> None:
        self.problems = list(map(on_one_line, problems))
        listed = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(f"the {kind} in {file} cannot be used:{listed}")


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
        """The module of this name.

        Raises ValueError that names the nearest one if there is none, AdditionError if it cannot be imported.
        """
        if name not in self._names:
            raise ValueError(unknown_name(self._kind, name, self._names))
        module = f"{self._package}.{name}"
        try:
            return importlib.import_module(module)
        except Exception as error:
            # Whatever it is: a module runs when it is imported.
            spec = importlib.util.find_spec(module)
            file = spec.origin if spec else None
            raise AdditionError(self._kind, file, [failed_import(error, file)]) from error


class Classes(Modules, Generic[T]):
    """The subclasses of a contract, one in each module of a package, whose `name` is that of the module.

    A contract says what a class must have by its ClassVars, and more in an optional classmethod `faults`, which gives
    the attribute and what is wrong with it, in words. What it says of a class is asked once.
    """

    def __init__(
        self, package: str, folders: Iterable[str], contract: type[T], kind: str, without: Iterable[str] = ()
    ) -> None:
        super().__init__(package, folders, kind, without)
        self._contract = contract
        self._sound: dict[ModuleType, type[T]] = {}

    def load(self, name: str) -> type[T]:
        """The class of this name.

        Raises ValueError that names the nearest one if there is none, AdditionError if its file cannot be used.
        """
        return self.within(self.module(name), name)

    def within(self, module: ModuleType, name: str) -> type[T]:
        """The class of this name in a module, wherever it comes from. Raises AdditionError if it cannot be used."""
        if module not in self._sound:
            found = self._find(module, name)
            if problems := self._problems(found):
                raise AdditionError(self._kind, module.__file__, problems)
            self._sound[module] = found
        return self._sound[module]

    def _find(self, module: ModuleType, name: str) -> type[T]:
        """The one class of a module that bears its name."""
        # A class may stand under two names.
        own = dict.fromkeys(
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, self._contract) and value.__module__ == module.__name__
        )
        found = [each for each in own if getattr(each, "name", None) == name]
        if len(found) == 1:
            return found[0]
        contract = self._contract.__name__
        if found:
            listed = ", ".join(each.__name__ for each in found)
            text = f"several subclasses of {contract} have the name {name!r} of the file: {listed}; one may"
            raise AdditionError(self._kind, module.__file__, [text])
        raise AdditionError(
            self._kind,
            module.__file__,
            [f"{each.__name__}.name is {_given(each, 'name')}, not {name!r} as the file is called" for each in own]
            or [f"it defines no subclass of {contract}; one must have the name {name!r} of the file"],
        )

    def _problems(self, found: type[T]) -> list[str]:
        """Everything that is wrong with a class, each with its attribute."""
        own = found.__name__
        wrong = []
        for attribute, kind in self._declared.items():
            if not hasattr(found, attribute):
                wrong.append(f"{own}.{attribute} is missing: it must be {_words(kind)}{_near(found, attribute)}")
            elif text := _unfit(getattr(found, attribute), kind):
                wrong.append(f"{own}.{attribute}: {text}{_at(found, attribute)}")
        # A contract's own check relies on types that are right.
        faults = getattr(found, "faults", tuple)() if not wrong else ()
        wrong += [f"{own}.{attribute}: {text}{_at(found, attribute)}" for attribute, text in faults]
        for method in sorted(getattr(found, "__abstractmethods__", ())):
            text = f"every {self._kind} of its sort must define it{_near(found, method)}"
            wrong.append(f"{own}.{method} is missing: {text}")
        return wrong

    @cached_property
    def _declared(self) -> dict[str, Any]:
        """Types of the contract's class attributes, those of its bases too."""
        hints = get_type_hints(self._contract)
        return {name: get_args(hint)[0] for name, hint in hints.items() if get_origin(hint) is ClassVar}


def _lines(found: type) -> dict[str, int]:
    """The lines of its file on which a class, first, and what its body names stand. Asked of what is wrong alone."""
    file = getattr(sys.modules.get(found.__module__), "__file__", None)
    tree = ast.parse(Path(file).read_bytes()) if file else ast.Module([], [])
    lines: dict[str, int] = {}
    for each in tree.body:
        if isinstance(each, ast.ClassDef) and each.name == found.__name__:
            lines = {found.__name__: each.lineno}
            for part in each.body:
                targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", part)]
                names = [getattr(target, "id", getattr(target, "name", "")) for target in targets]
                lines.update(dict.fromkeys(filter(None, names), part.lineno))
    return lines


def _at(found: type, attribute: str) -> str:
    """Where an attribute stands, or else its class."""
    lines = _lines(found)
    line = lines.get(attribute.split(".")[0], lines.get(found.__name__))
    return f" (line {line})" if line else ""


def _near(found: type, attribute: str) -> str:
    """Where a class stands that lacks an attribute, or what in it was probably meant to be that."""
    lines = _lines(found)
    near = nearest(attribute, lines, SLIP)
    return f" (line {lines[near[0]]} has {near[0]!r})" if near else _at(found, found.__name__)


def failed_import(error: Exception, file: str | None) -> str:
    """What is said of a file that cannot be imported."""
    return f"it cannot be imported{_line(error, file)}: {type(error).__name__}: {error}"


def _line(error: Exception, file: str | None) -> str:
    """Where in a file an import went wrong, if it is there."""
    if isinstance(error, SyntaxError):
        return "" if error.filename != file else f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", line {lines[-1]}" if lines else ""


def _given(found: type, attribute: str) -> str:
    return shown(getattr(found, attribute)) if hasattr(found, attribute) else "missing"


def _words(kind: Any) -> str:
    """What an attribute may be."""
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is type:
        return f"a subclass of {get_args(kind)[0].__module__}.{get_args(kind)[0].__qualname__}"
    if kind == tuple[str, ...]:
        return "a tuple of texts, such as ('one',)"
    return "a text that is not empty" if kind is str else str(kind)


def _unfit(value: object, kind: Any) -> str:
    """What is wrong with an attribute of a type, or ''; types of which a registry knows nothing pass."""
    if get_origin(kind) is Literal:
        # By `==` and not by hash: it may be anything.
        return "" if value in list(get_args(kind)) else unknown_name("value", value, get_args(kind))
    if get_origin(kind) is type:
        fits = isinstance(value, type) and issubclass(value, get_args(kind)[0])
    elif kind == tuple[str, ...]:
        fits = isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    else:
        fits = kind is not str or (isinstance(value, str) and bool(value.strip()))
    return "" if fits else f"must be {_words(kind)}, not {shown(value)}"


def misspelt(found: type, contract: type, points: Iterable[str]) -> str:
    """A method that no contract knows, and the point that was probably meant by it, as a hint; or ''."""
    own = [name for name, value in vars(found).items() if callable(value) and not hasattr(contract, name)]
    near = [f"Did you mean {close[0]!r} by {name!r}?" for name in own if (close := nearest(name, points))]
    return near[0] if near else ""
