"""What tests say of each method and attack on three trainings: the sections of docs/behaviours.md, by what they are of.

That page is written by the tests themselves. A section bears the name of an attack, or of a class of tests: it is of
the method that is called so, or else it names those methods whose names stand in the class.
"""

import ast
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mute import attacks, unlearn

PAGE, TESTS = Path("docs/behaviours.md"), Path("tests/unlearn")


@dataclass(frozen=True)
class Section:
    """One section of the page: its heading, and how many of its tests hold on every training.

    own: whether it is of one method or attack, and does not only name it beside others.
    """

    name: str
    held: int
    tests: int
    own: bool = False

    @property
    def anchor(self) -> str:
        return self.name.lower()


def of_each(root: Path) -> dict[str, list[Section]]:
    """Sections by name of a method or attack."""
    found: dict[str, list[Section]] = {}
    for section in sections((root / PAGE).read_text(encoding="utf-8")):
        for name, own in _subjects(section.name, root):
            found.setdefault(name, []).append(replace(section, own=own))
    return found


def words(found: list[Section], page: str) -> str:
    """What the sections say of one method or attack, with links to them on `page`."""
    if not found:
        return "No test of its behaviour reads a trained model."
    own = [f"[{s.held} of {s.tests} tests]({page}#{s.anchor})" for s in found if s.own]
    beside = [f"[{s.name}]({page}#{s.anchor}) ({s.held} of {s.tests})" for s in found if not s.own]
    said = [f"Of its behaviour {' and '.join(own)} hold on all three trainings."] if own else []
    if beside:
        said.append(f"Tests of several methods that name it, and how many hold on all three: {', '.join(beside)}.")
    return " ".join(said)


def sections(text: str) -> list[Section]:
    """All sections of the page, in its order."""
    found = []
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        rows = [line for line in part.split("\n") if re.search(r"\| (holds|\*\*does not\*\*) \|$", line)]
        found.append(Section(part.split("\n")[0].strip(), sum("**does not**" not in row for row in rows), len(rows)))
    return found


def _subjects(name: str, root: Path) -> list[tuple[str, bool]]:
    """What a section is of, each with whether it is of that alone."""
    if name in attacks.names():
        return [(name, True)]
    if called := [method for method in unlearn.names() if _bare(method) == _bare(name)]:
        return [(method, True) for method in called]
    return [(method, False) for method in unlearn.names() if method in _mentioned(root).get(name, ())]


def _bare(name: str) -> str:
    return name.lower().replace("_", "")


@cache
def _mentioned(root: Path) -> dict[str, frozenset[str]]:
    """Texts and modules' names that stand in each class of tests, by the class without its `Test`."""
    found = {}
    for path in sorted((root / TESTS).glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                inner = list(ast.walk(node))
                texts = {each.value for each in inner if isinstance(each, ast.Constant) and isinstance(each.value, str)}
                names = {each.id for each in inner if isinstance(each, ast.Name)}
                found[node.name.removeprefix("Test")] = frozenset(texts | names)
    return found
