"""What a JSON or YAML file holds, as a type, and without places on this machine."""

from collections.abc import Mapping
from typing import Any, TypeAlias

# Read and written; and read alone.
Record: TypeAlias = dict[str, Any]
Facts: TypeAlias = Mapping[str, Any]


def placeless(values: Record) -> Record:
    """A configuration without places on this machine: of an absolute path only its last name is left."""
    return {key: _placeless(inner) for key, inner in values.items()}


def _placeless(value: Any) -> Any:
    if isinstance(value, dict):
        return placeless(value)
    if isinstance(value, list | tuple):
        return [_placeless(inner) for inner in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "\\\\")) or value[1:3] in (":\\", ":/")):
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value
