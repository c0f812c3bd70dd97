"""Hostile caches: prefixes that the study keeps, and what is downloaded from the hub."""

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import test_cache as source
import torch
from cases import Place, refused, taken

from mute.engine import cache


def _damage(given: str, damage: Callable[[Path], object]) -> None:
    how = "noticed, said, and computed again; the results are the same, bit for bit"

    @taken("cache", given, how, "[prefix cache] a cached prefix is damaged")
    def perform(place: Place) -> str:
        model, kept = _model(place), cache.PrefixCache(place.folder / "prefixes", 10**6)
        expected = source.states(model, kept).clone()
        (path,) = source.entries(kept)
        good = path.read_bytes()
        damage(path)
        again, said = cache.PrefixCache(kept.folder, kept.limit), io.StringIO()
        with contextlib.redirect_stderr(said):
            assert torch.equal(source.states(model, again), expected)
        assert (again.hits, again.misses) == (0, 1)
        assert path.read_bytes() == good
        # Then comes what safetensors says of it.
        return said.getvalue().split(" (")[0]


def _model(place: Place):
    import copy

    return copy.deepcopy(place.fixture("random_model")("llama"))


_damage("a flipped bit in an entry", source.flip)
_damage("an entry that somebody else wrote under its name", source.swap)
_damage("an entry cut short", lambda path: path.write_bytes(path.read_bytes()[:-8]))
_damage("an empty entry", lambda path: path.write_bytes(b""))
_damage("a pickle in the place of an entry", lambda path: path.write_bytes(b"\x80\x04N."))


@taken("cache", "another block's entry under its name", "noticed by the key inside, and computed again", "damaged")
def _(place: Place) -> str:
    model, kept = _model(place), cache.PrefixCache(place.folder / "prefixes", 10**6)
    expected = source.states(model, kept, 2).clone()
    (path,) = source.entries(kept)
    source.states(model, kept, 1)
    (other,) = set(source.entries(kept)) - {path}
    shutil.copy(other, path)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert torch.equal(source.states(model, cache.PrefixCache(kept.folder, kept.limit), 2), expected)
    return said.getvalue().split(" (")[0]


@taken("cache", "a file where its folder belongs", "said once; every job computes its own", "prefixes are not cached")
def _(place: Place) -> str:
    model = _model(place)
    expected, said = source.states(model, None), io.StringIO()
    with contextlib.redirect_stderr(said):
        got = source.states(model, cache.PrefixCache(place.write("prefixes", "x"), 10**6))
    assert torch.equal(got, expected)
    return said.getvalue().split(": [")[0].split(":")[0]


@taken("cache", "an entry larger than the cache may be", "not kept")
def _(place: Place) -> None:
    kept = cache.PrefixCache(place.folder / "prefixes", 100)
    assert torch.equal(source.states(_model(place), kept), source.states(_model(place), None))
    assert source.entries(kept) == []


def _hub(place: Place) -> Path:
    """An empty cache of the hub, in which a model's folder is made."""
    from huggingface_hub import constants

    place.fixture("monkeypatch").setattr(constants, "HF_HUB_CACHE", str(place.folder))
    home = place.folder / "models--owner--name"
    (home / "refs").mkdir(parents=True)
    return home


WHEN = "by the job that opens it"


@refused("cache", "hub: a model that was never fetched", "owner/name at main is not in", "run `make fetch`", when=WHEN)
def _(place: Place) -> None:
    from mute.hub import copies

    _hub(place)
    copies.local(copies.Repo("model", "owner/name"))


@refused("cache", "hub: a branch that points out of the cache", "is not in", "run `make fetch`", when=WHEN)
def _(place: Place) -> None:
    from mute.hub import copies

    (_hub(place) / "refs" / "main").write_text("../../../elsewhere")
    (place.folder / "elsewhere").mkdir()
    copies.local(copies.Repo("model", "owner/name"))


@refused("cache", "hub: a model half of whose files are there", "not whole", "run `make fetch`", when=WHEN)
def _(place: Place) -> None:
    from mute.hub import copies

    home = _hub(place)
    (home / "refs" / "main").write_text("a" * 40)
    place.write(f"models--owner--name/snapshots/{'a' * 40}/config.json", "{}")
    os.symlink("nowhere", home / "snapshots" / ("a" * 40) / "model.safetensors")
    copies.local(copies.Repo("model", "owner/name"))


@refused("cache", "hub: `..` in the id of a model", "'owner/..name' is neither a model of the hub", "owner/name")
def _(place: Place) -> None:
    from mute.hub.repos import Repo

    Repo("model", "owner/..name")


@refused("cache", "hub: `..` in a revision", "'../main' is no revision of owner/name", "a branch, a tag or a commit")
def _(place: Place) -> None:
    from mute.hub.repos import Repo

    Repo("model", "owner/name", "../main")
