"""Names that reach the file system, and the messages for names that are not known."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

# A name becomes part of a path: letters, digits, dot, dash and underscore, and no leading dot.
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_NAME = re.compile(NAME_PATTERN)
_LONGEST_PATH = 1000  # characters
SHOWN = 80  # characters of a value that an error shows
SLIP = 0.7  # likeness above which a word is taken for another one misspelt, unasked
# Cyrillic letters that look like Latin ones: who meant the Latin name is asked about that.
_LOOKS_LIKE = str.maketrans("асеіјорѕхуԁ", "aceijopsxyd")


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it may become part of a path, else raise ValueError saying why not."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{what} {shown(name)} is not allowed: use 1 to 64 letters, digits, '_', '-' or '.', "
            f"starting with a letter or digit, without '..'{foreign(name)}"
        )
    return name


def foreign(name: object) -> str:
    """What a name holds beyond ASCII, in words: it may look like another letter, or like nothing at all."""
    found = dict.fromkeys(c for c in str(name) if ord(c) > 127)
    told = [f"U+{ord(c):04X} {unicodedata.name(c, 'without a name')}" for c in list(found)[:3]]
    return f" (it holds {', '.join(told)})" if told else ""


def unknown_name(what: str, name: object, allowed: Iterable[str]) -> str:
    """The message for a name outside `allowed`: what was given, what is allowed, and the nearest match."""
    options = sorted(allowed)
    near = nearest(name, options)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(map(on_one_line, options)) if options else "none"
    return f"unknown {what} {shown(name)}; allowed: {listed}.{hint}{foreign(name)}"


def nearest(name: object, options: Iterable[str], likeness: float = 0.4) -> list[str]:
    """The option that was probably meant, whatever its case; or none that is at least so like it (0 to 1)."""
    by_case = {option.casefold(): option for option in options}
    # Longer texts are no slip of the finger, and to compare them takes long.
    meant = str(name)[:SHOWN].casefold().translate(_LOOKS_LIKE)
    near = difflib.get_close_matches(meant, by_case, n=1, cutoff=likeness)
    return [by_case[each] for each in near]


def on_one_line(text: str) -> str:
    """Text in which what would break the line, or cannot be seen, stands by its number."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shown(value: object) -> str:
    """A value as an error shows it: short, on one line."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def at_home(path: Path | str) -> Path:
    """A path with `~` as the user's folder; one of nobody's stays as it is, and is then not there."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_folder(path: Path | str) -> bool:
    """Whether there is a folder of this name; no name of a file is too long, or too odd, to be asked for."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def unusable(path: str) -> str:
    """Why a path that stands in a configuration can be no input of the workflow; empty where it can."""
    if "{" in path or "}" in path:
        return f"{shown(path)} holds braces, which Snakemake reads as wildcards"
    if len(path) > _LONGEST_PATH or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in path):
        return f"{shown(path)} is no path that a file system takes"
    return ""
