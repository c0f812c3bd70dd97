"""The registry of corpus sources: every module here is one.

A source has `Settings` (a pydantic model), `build` and FORGET_SETS; PACKS if its languages are those of the language
packs, or LANGUAGES if they are others; and, where types cannot say what settings are wrong, `problems`. `repos` names
the data sets of the hub that it needs, fetched before `build`, which finds them by `mute.hub.copies.local`; `inputs`
the user's files that it reads; `fact_free` says whether it has text that states no fact, `one_form` whether questions
have one wording, `check` what is wrong with the files, `size` how large it is (docs/planning.md).
"""

from mute.registry import Modules

_REGISTRY = Modules(__name__, __path__, "corpus source")
names, load = _REGISTRY.names, _REGISTRY.module


def modules(name: str, languages: list[str]) -> list[str]:
    """Modules whose code makes a corpus of these languages: the source's, and the packs that it renders them by."""
    packs = languages if getattr(load(name), "PACKS", False) else []
    return [f"{__name__}.{name}", *(f"mute.corpus.languages.{code}" for code in packs)]
