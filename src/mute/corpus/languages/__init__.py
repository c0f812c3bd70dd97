"""The registry of language packs: every module of this package that defines LANGUAGE is one."""

from collections.abc import Iterable

from mute.corpus.languages.base import Language
from mute.registry import Modules

_REGISTRY = Modules(__name__, __path__, "language", without=("base",))
codes = _REGISTRY.names


def load(code: str) -> Language:
    """The pack of a code. Raises ValueError that names the nearest code if there is none."""
    return _REGISTRY.module(code).LANGUAGE


def scripts(chosen: Iterable[str]) -> dict[str, str]:
    """The script of each language that has a pack."""
    return {code: load(code).script for code in chosen if code in codes()}
