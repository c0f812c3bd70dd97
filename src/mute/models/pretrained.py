"""Pretrained models in a configuration: where they are, what their config.json says, and what is wrong with them.

Imports no torch: every parse of the workflow asks.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from mute.config.problems import KeyPath, Problem
from mute.config.sections import OF_EMBEDDED, OF_PRETRAINED, Config, KnownSection, ModelSection
from mute.hub import gguf_files, weights
from mute.hub.repos import ID, local_folder
from mute.models import directory
from mute.models.gguf import folder as gguf
from mute.names import shown, unknown_name
from mute.store.records import Record

# Bytes of a GGUF file of the hub that planning reads: more than the header of a large vocabulary.
_BEGINNING = 2**24
_OVERLAY = "; files merge key by key, so give a model of another kind a name of its own"


def folder_of(model: ModelSection) -> Path | None:
    """The local directory of a pretrained model, whether it exists or not; None for one of the hub."""
    return local_folder(model.pretrained or "")


def awaited(model: ModelSection) -> str:
    """What to do for weights that `make weights` fetches and that are not there yet; '' of every other model."""
    place = Path(str(model.pretrained))
    if place.parent != weights.FOLDER or place.name not in weights.KNOWN or place.exists():
        return ""
    return f"{place} is not there yet: `make weights NAMES={place.name}` fetches it"


def files_of(model: ModelSection) -> list[Path]:
    """The files of a pretrained model that is on this machine by itself; none of one of the hub."""
    if awaited(model):
        place = Path(str(model.pretrained))
        return [place / weights.KNOWN[place.name].file]
    if (found := gguf_files.named(str(model.pretrained))) is not None:
        return [] if found.path is None else [found.path]
    folder = folder_of(model)
    return [] if folder is None else directory.files(folder)


def opened(
    pretrained: str,
    revision: str,
    cache: Path,
    dtype: str = "float32",
    report: gguf.Report = lambda done, total: None,
) -> tuple[Path, Record]:
    """The folder to open a model from, and where that came from; asks no network.

    A GGUF file is de-quantised into a folder in `cache`, once, in the engine's dtype; `report` is told of bytes written
    and of all. Of other models nothing is to be said. Raises ValueError where a model was not fetched, and for a file
    that cannot be opened.
    """
    found = gguf_files.named(pretrained)
    if found is not None:
        folder, record = gguf.opened(_here(found, revision), cache, dtype, report)
        return folder, {"gguf": record["gguf"]}
    own = folder_of(ModelSection(pretrained=pretrained))
    if own is not None:
        return own, {}
    from mute.hub import copies

    return copies.local(copies.Repo("model", pretrained, revision)), {}


def _here(found: gguf_files.Named, revision: str) -> Path:
    """Where a GGUF file is on this machine, once it was fetched."""
    if found.path is not None:
        return found.path
    from mute.hub import copies

    return copies.local(gguf_files.repo(str(found), revision)) / found.file


def look_up(model: ModelSection) -> Record:
    """The config.json of a pretrained model, from its directory, its GGUF file, the cache, or else the hub.

    Raises ValueError for what is not there, or is no model that can be opened.
    """
    from mute.hub import copies

    found = gguf_files.named(str(model.pretrained))
    if found is None:
        return copies.look_up(str(model.pretrained), model.revision)
    if found.path is not None:
        if not found.path.is_file():
            raise ValueError(gguf_files.missing(found.path))
        return gguf.described(found.path)
    try:
        return gguf.described(_here(found, model.revision))
    except ValueError:
        if copies.is_here(gguf_files.repo(str(found), model.revision)):
            raise
    return gguf.described_by(str(found), *copies.beginning(found.place, found.file, model.revision, _BEGINNING))


def complete(config: Config, broken: Collection[KeyPath] = ()) -> Iterator[Problem]:
    """What is wrong with the kind of each of the study's models; fills in the blocks of those that do not say them."""
    for name in dict.fromkeys(config.study.models):
        if name in config.models and not any(path[:2] == ("models", name) for path in broken):
            path = ("models", name)
            for key, text in _problems(config, config.models[name]):
                yield Problem((*path, key), text)


def _problems(config: Config, model: ModelSection) -> Iterator[tuple[str, str]]:
    given = model.model_fields_set
    if model.pretrained is None:
        for key in OF_PRETRAINED:
            if key in given and key != "pretrained":
                yield key, f"says nothing of a model that is trained from scratch; give `pretrained` too{_OVERLAY}"
        return
    for key in OF_EMBEDDED:
        if key in given:
            yield key, f"has no effect on a pretrained model ({model.pretrained}); leave it out{_OVERLAY}"
    if model.adaptation is None:
        if model.oracles:
            text = "an oracle is the model adapted on everything but a forget set: it needs an `adaptation`"
            yield "oracles", text
        if len(model.training_seeds or config.study.training_seeds) > 1:
            yield "training_seeds", "a model that is used as it is has no training to repeat: write [0]"
    if model.known is not None:
        yield from _known_problems(model, model.known)
    yield from _source_problems(model)


def _known_problems(model: ModelSection, known: KnownSection) -> Iterator[tuple[str, str]]:
    if model.adaptation is not None:
        yield "known", "facts are gated where a model is used as it is; write `adaptation: null`, or leave this out"
    for code in known.languages:
        if code not in model.languages:
            yield "known", unknown_name("language of the model", code, model.languages)
    if len(set(known.languages)) < len(known.languages):
        yield "known", "a language stands more than once in `languages`"
    if known.right_in > len(known.languages):
        yield "known", f"right_in {known.right_in} is more than the {len(known.languages)} languages that decide"


def _source_problems(model: ModelSection) -> Iterator[tuple[str, str]]:
    """Of the model's id, directory or GGUF file, and of its config.json where that is at hand."""
    try:
        found = gguf_files.named(str(model.pretrained))
    except ValueError as error:
        yield "pretrained", str(error)
        return
    folder = folder_of(model) if found is None else None
    if text := awaited(model):
        # As of the hub: where `blocks` are given a plan needs nothing more, and whoever runs it is told.
        if folder is None or "blocks" not in model.model_fields_set:
            yield "pretrained", text
        return
    is_here = folder is not None or (found is not None and found.path is not None)
    if found is None and folder is None and not ID.fullmatch(str(model.pretrained)):
        text = f"{shown(model.pretrained)} is neither an id of the hub, such as owner/name, nor a directory that exists"
        yield "pretrained", text
        return
    if is_here and "revision" in model.model_fields_set:
        what = "directory" if found is None else "GGUF file of this machine"
        yield "revision", f"a {what} has no revisions ({model.pretrained}); leave it out"
    if not is_here and "blocks" in model.model_fields_set:
        # All that planning needs is given: no network is asked.
        return
    try:
        about = _described(folder) if folder is not None else look_up(model)
    except ValueError as error:
        hint = "" if is_here else "; or give its `blocks`, and it is looked at when it is fetched"
        yield "pretrained", f"{error}{hint}"
        return
    try:
        own = directory.blocks(about, str(model.pretrained))
    except ValueError as error:
        # No hint: `blocks` would but put off what is wrong with the model itself.
        yield "pretrained", str(error)
        return
    if "blocks" in model.model_fields_set and model.blocks != own:
        yield "blocks", f"is {model.blocks}, but {model.pretrained} has {own}; leave it out"
    model.blocks = own


def _described(folder: Path) -> Record:
    """The config.json of a directory that has weights and a tokenizer, too."""
    about = directory.read_config(folder)
    directory.weights(folder)
    directory.tokenizer_class(folder)
    return about
