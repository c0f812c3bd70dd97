"""The registry of corpus sources: every module here is one.

A source has `Settings` (a pydantic model), `build` and FORGET_SETS; PACKS if its languages are those of the language
packs, or LANGUAGES if they are others; and, where types cannot say what settings are wrong, `problems`. `repos` names
the data sets of the hub that it needs, fetched before `build`, which finds them by `mute.hub.copies.local`; `inputs`
the user's files that it reads; `fact_free` says whether it has text that states no fact, `size` how large it is
(docs/planning.md).
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from mute.names import unknown_name


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def load(name: str) -> ModuleType:
    """The module of a source. Raises ValueError that names the nearest source if there is none."""
    if name not in names():
        raise ValueError(unknown_name("corpus source", name, names()))
    return importlib.import_module(f"{__name__}.{name}")


def modules(name: str, languages: list[str]) -> list[str]:
    """Modules whose code makes a corpus of these languages: the source's, and the packs that it renders them by."""
    packs = languages if getattr(load(name), "PACKS", False) else []
    return [f"{__name__}.{name}", *(f"mute.corpus.languages.{code}" for code in packs)]
