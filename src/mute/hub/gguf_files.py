"""GGUF files that `pretrained` names: one by itself, the only one of a folder, or one of a repository of the hub."""

import glob
from pathlib import Path
from typing import NamedTuple

from mute.hub.repos import ID, INDEX, WEIGHTS, Repo, local_folder
from mute.names import at_home, is_folder, nearest, shown

ENDING = ".gguf"
# Beside a file: `sha256  name` in each line, as `sha256sum` writes them.
SUMS = "SHA256SUMS"
_SHOWN = 5


class Named(NamedTuple):
    """place: a repository of the hub, or a folder; file: in it."""

    place: str
    file: str

    @property
    def path(self) -> Path | None:
        """Where the file is, whether it is there or not; None for one of the hub."""
        folder = local_folder(self.place)
        return None if folder is None else folder / self.file

    def __str__(self) -> str:
        return f"{self.place}/{self.file}"


def named(pretrained: str) -> Named | None:
    """The GGUF file that `pretrained` names; None where it names a model of another kind.

    Raises ValueError for a folder that holds several and says no more.
    """
    folder = local_folder(pretrained)
    if folder is not None and is_folder(folder):
        return _only(pretrained, folder)
    if not pretrained.lower().endswith(ENDING):
        return None
    parts = pretrained.split("/")
    is_here = pretrained.startswith(("./", "../", "/", "~")) or is_folder(parts[0]) or at_home(pretrained).is_file()
    if not is_here and len(parts) > 2 and ".." not in parts and ID.fullmatch("/".join(parts[:2])):
        return Named("/".join(parts[:2]), "/".join(parts[2:]))
    place, _, file = pretrained.rpartition("/")
    # A name that the hub could have, of a folder that is not there, is a folder's all the same.
    place = place or ("/" if pretrained.startswith("/") else ".")
    return Named(place if local_folder(place) is not None else f"./{place}", file)


def _only(pretrained: str, folder: Path) -> Named | None:
    """The GGUF file of a folder that has no other weights."""
    if any((folder / name).is_file() for name in (WEIGHTS, INDEX)):
        return None
    found = _files(folder)
    if len(found) > 1:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        listed = ", ".join(found[:_SHOWN]) + more
        raise ValueError(
            f"{pretrained} holds {len(found)} GGUF files ({listed}): give one, such as {folder / found[0]}"
        )
    return Named(pretrained.rstrip("/") or "/", found[0]) if found else None


def _files(folder: Path) -> list[str]:
    """Names of the GGUF files in a folder."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.name.lower().endswith(ENDING) and path.is_file())
    except OSError:
        return []


def missing(path: Path) -> str:
    """What to say of a file that is not there: which ones are, and the nearest."""
    there = _files(path.parent)
    near = nearest(path.name, there)
    listed = f", which has {', '.join(there[:_SHOWN])}" if there else ""
    hint = f" Did you mean {near[0]!r}?" if near else " `python -m mute weights` lists small ones that can be fetched"
    return f"there is no file {shown(path.name)} in {path.parent}{listed}.{hint}"


def repo(pretrained: str, revision: str) -> Repo:
    """What is needed of the repository or folder that `pretrained` names. Raises ValueError for what cannot be one."""
    found = named(pretrained)
    if found is None:
        return Repo("model", pretrained, revision)
    return Repo("model", found.place, revision, (glob.escape(found.file),))
