"""The registry of corpus sources: every module here is one.

A source has `Settings` (a pydantic model), `build` and FORGET_SETS; PACKS if its languages are those of the language
packs, or LANGUAGES if they are others, GRAMMARS if it takes sentences from packs that are there; and, where types
cannot say what settings are wrong, `problems`. `repos` names the data sets of the hub that it needs, fetched before
`build`, which finds them by `mute.hub.copies.local`; `inputs` the user's files that it reads; `fact_free` says whether
it has text that states no fact, `one_form` whether questions have one wording, `check` what is wrong with the files,
`size` how large it is (docs/planning.md).
"""

from mute.corpus.languages import codes
from mute.corpus.romanised import SUFFIX, bases
from mute.registry import Modules

_REGISTRY = Modules(__name__, __path__, "corpus source")
names, load = _REGISTRY.names, _REGISTRY.module


def modules(name: str, languages: list[str]) -> list[str]:
    """Modules whose code makes a corpus of these languages: the source's, and the packs that it renders them by."""
    source, read = load(name), bases(languages)
    packs = read if getattr(source, "PACKS", False) else []
    if getattr(source, "GRAMMARS", False):
        packs = [code for code in read if code in codes()]
    own = ["mute.corpus.romanised"] if any(code.endswith(SUFFIX) for code in languages) else []
    return [f"{__name__}.{name}", *own, *(f"mute.corpus.languages.{code}" for code in packs)]
