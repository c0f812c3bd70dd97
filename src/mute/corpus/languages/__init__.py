"""The registry of language packs: every module of this package that defines LANGUAGE is one."""

import importlib
import pkgutil
from functools import cache

from mute.corpus.languages.base import Language
from mute.names import unknown_name


@cache
def codes() -> tuple[str, ...]:
    """Codes of all packs, sorted. A pack's file is named after its code."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base"))


def load(code: str) -> Language:
    """The pack of a code. Raises ValueError that names the nearest code if there is none."""
    if code not in codes():
        raise ValueError(unknown_name("language", code, codes()))
    return importlib.import_module(f"{__name__}.{code}").LANGUAGE
