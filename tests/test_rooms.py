"""The rooms of the package: imports run one way, in no circle, and docs/code.md names what there is."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
PACKAGE = ROOT / "src/mute"
PAGE = ROOT / "docs/code.md"
MOST_ENTRIES = 24


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of the package that one imports, at its top, in its functions, or for its types."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in modules() else node.module for name in full)
    return frozenset(name for name in found if name in modules() and name != module)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected parts of more than one, by Kahn's method in both directions."""
    left = {node: set(targets) & set(graph) - {node} for node, targets in graph.items()}
    while True:
        entered = set().union(*left.values()) if left else set()
        gone = {node for node, targets in left.items() if not targets or node not in entered}
        if not gone:
            return [sorted(left)] if left else []
        left = {node: targets - gone for node, targets in left.items() if node not in gone}


def rooms() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module in modules():
        graph.setdefault(room(module), set()).update(map(room, imports(module)))
    return {name: targets - {name} for name, targets in graph.items()}


def listed() -> list[str]:
    """Rooms in the order of the page, without slashes and endings."""
    table = PAGE.read_text(encoding="utf-8").split("## The rooms")[1].split("\n## ")[0]
    return [name.rstrip("/").removesuffix(".py") for name in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)]


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_files_import_in_no_circle():
    assert circles({module: set(imports(module)) for module in modules()}) == []


def test_rooms_import_in_no_circle():
    assert circles(rooms()) == []


def test_imports_run_from_later_rooms_to_earlier_ones():
    place = {name: number for number, name in enumerate(listed())}
    upwards = {(name, other) for name, others in rooms().items() for other in others if place[other] > place[name]}
    assert upwards == set()


def test_the_page_names_every_room_and_no_other():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert sorted(listed()) == sorted(there)
    assert len(there) <= MOST_ENTRIES


def test_every_place_that_the_page_names_is_there():
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|scripts|workflow)/[\w/.]+)`", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_module_says_in_its_first_line_what_is_in_it():
    """One plain sentence that fits a line: no question, no dots that leave the rest to be guessed."""
    for name, path in modules().items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = text.split("\n")[0]
        assert first.endswith((".", ":")), f"{name}: {first!r}"
        assert not re.search("[?…]", first), f"{name}: {first!r}"
