"""A method in a file of a user's: loaded where the one who runs a study said that its code may run.

A configuration names it by its path, `method: ./my_method.py`. The file is held to what the project's own methods are.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from mute.names import nearest
from mute.registry import AdditionError, failed_import
from mute.store.artifacts import sha256

ENDING = ".py"
# Whoever runs a study sets it, and no configuration can: a file of settings that was sent to somebody runs no code.
FLAG = "MUTE_OWN_CODE"
_PREFIX = "mute_own_"


def is_own(name: object) -> bool:
    """Whether a method's name is the path of a file."""
    return isinstance(name, str) and name.endswith(ENDING)


def module(name: str) -> ModuleType:
    """The module in a user's file, run once for each text of it.

    Raises ValueError where no such file is, or nobody said that it may run; AdditionError if it cannot be imported.
    """
    file = Path(name)
    if not file.is_file():
        beside = [each.name for each in file.parent.glob(f"*{ENDING}")] if file.parent.is_dir() else []
        near = nearest(file.name, beside)
        hint = f". Did you mean {str(file.with_name(near[0]))!r}?" if near else ""
        raise ValueError(f"there is no file {name!r}, seen from {Path.cwd()}{hint}")
    if os.environ.get(FLAG) != "1":
        raise ValueError(
            f"{name!r} is a file whose code would run; if you trust it, say so: `make study OWN_CODE=1`, "
            f"`python -m mute ... --own-code`, or {FLAG}=1"
        )
    key = _PREFIX + sha256(file)[:20]
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, file)
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        sys.modules[key] = made
        try:
            spec.loader.exec_module(made)
        except Exception as error:
            del sys.modules[key]
            raise AdditionError("method", name, [failed_import(error, spec.origin)]) from error
    return sys.modules[key]
