"""Pretrained models in a configuration: where they are, what their config.json says, and what is wrong with them.

Imports no torch: every parse of the workflow asks.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from mute.config.problems import KeyPath, Problem
from mute.config.sections import OF_EMBEDDED, OF_PRETRAINED, Config, ModelSection
from mute.hub.repos import ID, local_folder
from mute.models import directory
from mute.names import shown
from mute.store.records import Record

_OVERLAY = "; files merge key by key, so give a model of another kind a name of its own"


def folder_of(model: ModelSection) -> Path | None:
    """The local directory of a pretrained model, whether it exists or not; None for one of the hub."""
    return local_folder(model.pretrained or "")


def opened(pretrained: str, revision: str) -> Path:
    """The folder to open a model from; asks no network. Raises ValueError where it was not fetched."""
    folder = folder_of(ModelSection(pretrained=pretrained))
    if folder is not None:
        return folder
    from mute.hub import copies

    return copies.local(copies.Repo("model", pretrained, revision))


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
    yield from _source_problems(model)


def _source_problems(model: ModelSection) -> Iterator[tuple[str, str]]:
    """Of the model's id or directory, and of its config.json where that is at hand."""
    folder = folder_of(model)
    if folder is None and not ID.fullmatch(str(model.pretrained)):
        text = f"{shown(model.pretrained)} is neither an id of the hub, such as owner/name, nor a directory that exists"
        yield "pretrained", text
        return
    if folder is not None and "revision" in model.model_fields_set:
        yield "revision", f"a directory has no revisions ({model.pretrained}); leave it out"
    if folder is None and "blocks" in model.model_fields_set:
        # All that planning needs is given: no network is asked.
        return
    try:
        about = _described(folder) if folder is not None else _looked_up(model)
    except ValueError as error:
        hint = "" if folder is not None else "; or give its `blocks`, and it is looked at when it is fetched"
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


def _looked_up(model: ModelSection) -> Record:
    from mute.hub import copies

    return copies.look_up(str(model.pretrained), model.revision)


def _described(folder: Path) -> Record:
    """The config.json of a directory that has weights and a tokenizer, too."""
    about = directory.read_config(folder)
    directory.weights(folder)
    directory.tokenizer_class(folder)
    return about
