"""The unlearning methods: what `methods` holds, and how one is made."""

from collections.abc import Iterable
from pathlib import Path

from mute.registry import Classes
from mute.store.artifacts import digest
from mute.store.provenance import code_digest, script_digest
from mute.store.records import Record
from mute.unlearn import detectors, methods, own
from mute.unlearn.base import Descent, Edit, Guard, Method, Settings

__all__ = ["Descent", "Edit", "Guard", "Method", "Settings", "code", "files", "load", "make", "names"]

_REGISTRY = Classes(methods.__name__, methods.__path__, Method, "method")
names = _REGISTRY.names


def load(name: str) -> type[Method]:
    """The method of this name, or the one in the file of this path.

    Raises ValueError that names the nearest one if there is none, AdditionError if its file cannot be used.
    """
    return _REGISTRY.within(own.module(name), Path(name).stem) if own.is_own(name) else _REGISTRY.load(name)


def files(found: Iterable[str]) -> list[str]:
    """Of names of methods those that are paths of users' files."""
    return [name for name in found if own.is_own(name)]


def make(name: str, settings: Record) -> Method:
    """A method with its settings."""
    method = load(name)
    return method(method.Settings.model_validate(settings))


def code(found: Iterable[str], *modules: str) -> str:
    """Digest of the code of some modules and of methods by their names; a user's file counts as it is now."""
    found = list(found)
    own_files = files(found)
    named = [f"{methods.__name__}.{name}" for name in found if name not in own_files]
    # Which detector a guard has is one of its settings: no import of its file says so.
    if any("detector" in load(name).Settings.model_fields for name in found):
        named += detectors.modules()
    named = code_digest(*modules, *named)
    return digest([named, *map(script_digest, own_files)]) if own_files else named
