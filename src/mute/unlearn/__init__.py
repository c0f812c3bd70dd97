"""The unlearning methods: what `methods` holds, and how one is made."""

from mute.registry import Classes
from mute.store.records import Record
from mute.unlearn import methods
from mute.unlearn.base import Descent, Edit, Guard, Method, Settings

__all__ = ["Descent", "Edit", "Guard", "Method", "Settings", "load", "make", "names"]

_REGISTRY = Classes(methods.__name__, methods.__path__, Method, "method")
names, load = _REGISTRY.names, _REGISTRY.load


def make(name: str, settings: Record) -> Method:
    """A method with its settings."""
    method = load(name)
    return method(method.Settings.model_validate(settings))
