"""What a JSON or YAML file holds, as a type: a mapping whose values only its reader knows."""

from collections.abc import Mapping
from typing import Any, TypeAlias

# Read and written; and read alone.
Record: TypeAlias = dict[str, Any]
Facts: TypeAlias = Mapping[str, Any]
