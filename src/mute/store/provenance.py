"""Digests of code: what a rule's result depends on besides its inputs and settings."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[1]
# They bring files, lease GPUs, watch over jobs, and check what is asked for, which reaches a job as its parameters: a
# new message there would train every model again. Only a rule that names one, as that which fetches, depends on it.
_ASIDE = frozenset(
    f"mute.{name}"
    for name in (
        *("config.problems", "config.sections", "hub.copies", "hub.download", "hub.errors"),
        *("jobs.devices", "jobs.job", "jobs.logs", "jobs.sealed", "names"),
        *("store.clock", "store.pointers", "store.project", "store.provenance", "store.seals"),
    )
)


@cache
def _path(module: str) -> Path | None:
    """The file of a module of this package, or None if there is no such module."""
    base = _ROOT.joinpath(*module.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules of this package that a module imports, at its top or inside its functions."""
    path = _path(module)
    if path is None:
        raise ValueError(f"there is no module {module}")
    return _imported(path.read_text(encoding="utf-8"))


def _imported(text: str) -> frozenset[str]:
    """Modules of this package that a text of Python imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] == "mute" and _path(name))


@cache
def closure(*modules: str) -> tuple[str, ...]:
    """The modules and all that they import within this package, sorted; without those that change no result."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            # What is named is meant, and all that it needs.
            waiting.extend(_imports(module) if module in _ASIDE else _imports(module) - _ASIDE)
    return tuple(sorted(seen))


@cache
def code_digest(*modules: str) -> str:
    """20 hex digits over the text of `closure(*modules)`: touching a file changes nothing, editing it does."""
    digest = hashlib.sha256()
    for module in closure(*modules):
        path = _path(module)
        assert path is not None
        # The package itself only hands out the library's names: what a job runs stands in their modules.
        text = b"" if module == "mute" else path.read_bytes()
        digest.update(f"{module}\0".encode() + text + b"\0")
    return digest.hexdigest()[:20]


def script_digest(path: Path | str) -> str:
    """20 hex digits over the text of a script or notebook and of all that it imports of this package."""
    text = Path(path).read_text(encoding="utf-8")
    code = text
    if Path(path).suffix == ".ipynb":
        cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        code = "\n".join("".join(source) for source in cells)
    return hashlib.sha256(f"{text}\0{code_digest(*sorted(_imported(code) - _ASIDE))}".encode()).hexdigest()[:20]
