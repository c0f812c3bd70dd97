"""Where the project's own files are: the workflow, its configurations and the published tables.

In a checkout they lie beside the package; a wheel brings them as data, below share/mute of the environment.
"""

import os
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

_SHARED = Path("share/mute")
# The configuration over which all others are laid. A folder with it is the project, or what a wheel brought of it.
BASE = "config/config.yaml"
_MARK = Path(BASE)


def is_here() -> bool:
    """Whether Python was started in the project's own folder: then its files have short names, the same everywhere."""
    return _MARK.is_file()


def root() -> Path:
    """The project's folder: this one where it is the project, as an absolute path where it is not.

    Raises ValueError if the package was installed without them.
    """
    return Path() if is_here() else _elsewhere()


def path(name: str) -> str:
    """A file of the project by its name from the project's folder, as a path from here. Nothing says that it exists."""
    return name if is_here() else str(_elsewhere() / name)


def named(path: str) -> str:
    """A path from here as results name it: one of the project by its name there, wherever the project is."""
    if is_here():
        return path
    own = Path(os.path.abspath(path))
    return own.relative_to(_elsewhere()).as_posix() if own.is_relative_to(_elsewhere()) else path


def base() -> str:
    """The configuration over which all others are laid."""
    return path(BASE)


def own_config() -> list[str]:
    """What is laid over it if nothing is named: config.yaml, where a study was started in this folder."""
    return [] if is_here() or not os.path.isfile("config.yaml") else ["config.yaml"]


def over_base(configfiles: list[str]) -> list[str]:
    """The files of a command line, or what stands for none; without the base, over which they are laid."""
    return [name for name in configfiles or own_config() if name != base()]


@cache
def _elsewhere() -> Path:
    beside = Path(__file__).resolve().parents[3]
    if (beside / _MARK).is_file():
        return beside
    for folder in _installed():
        if (folder / _MARK).is_file():
            return folder
    raise ValueError(
        f"the workflow of MUTE is not there: the package in {Path(__file__).parents[1]} came without {_SHARED}. "
        "Install it again, or run it from its source folder"
    )


def _installed() -> list[Path]:
    """Where installers put the data of a wheel: what they wrote down first, and then where it belongs."""
    try:
        listed = metadata.files("mute") or []
    except metadata.PackageNotFoundError:
        listed = []
    marks = [Path(str(file.locate())).resolve() for file in listed if file.as_posix().endswith(str(_SHARED / _MARK))]
    depth = len(_MARK.parts)
    return [*(mark.parents[depth - 1] for mark in marks), Path(sys.prefix) / _SHARED]
