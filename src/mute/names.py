"""Names that reach the file system, and the messages for names that are not known."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

# A name becomes part of a path: letters, digits, dot, dash and underscore, and no leading dot.
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_NAME = re.compile(NAME_PATTERN)


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it may become part of a path, else raise ValueError saying why not."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{what} {name!r} is not allowed: use 1 to 64 letters, digits, '_', '-' or '.', "
            "starting with a letter or digit, without '..'"
        )
    return name


def unknown_name(what: str, name: object, allowed: Iterable[str]) -> str:
    """The message for a name outside `allowed`: what was given, what is allowed, and the nearest match."""
    options = sorted(allowed)
    near = difflib.get_close_matches(str(name), options, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(options) if options else "none"
    return f"unknown {what} {name!r}; allowed: {listed}.{hint}"


def placeless(value: Any) -> Any:
    """A configuration without places on this machine: of an absolute path only its last name is left."""
    if isinstance(value, dict):
        return {key: placeless(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [placeless(inner) for inner in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "\\\\")) or value[1:3] in (":\\", ":/")):
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value
