"""The detectors of guards: what this folder holds, and how one is made."""

from mute.registry import Classes
from mute.store.records import Facts
from mute.unlearn.detectors.base import Detector

_REGISTRY = Classes(__name__, __path__, Detector, "detector", without=("base", "reading"))
names, load, modules = _REGISTRY.names, _REGISTRY.load, _REGISTRY.modules


def make(name: str, settings: Facts) -> Detector:
    """A detector with its settings. Raises ValueError for a name or settings that are not known."""
    kind = load(name)
    return kind(kind.Settings.model_validate(dict(settings)))
