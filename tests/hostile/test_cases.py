"""Every case of the registry is performed, and docs/hostile-input.md says what it printed."""

import os
import traceback
from pathlib import Path

import cache_cases  # noqa: F401
import config_cases  # noqa: F401
import data_cases  # noqa: F401
import environment_cases  # noqa: F401
import gguf_cases  # noqa: F401
import model_cases  # noqa: F401
import pytest
from cases import AREAS, CASES, ROOT, Case, Place, line_of, refusal

from mute.config.problems import ConfigError

PAGE = ROOT / "docs" / "hostile-input.md"
HEAD = """# Hostile input

What happens to input that is wrong, odd or meant to do harm. Every row is performed by a test, and this page is
written from what the tests saw: `pytest tests/hostile --update-golden`. Refused means an error of ours that says what
is wrong and what is allowed, never a traceback, and before anything that it would have spoilt. FOLDER is where the
given files lie.
"""
_ROWS: dict[str, str] = {}


def row(case: Case, said: str) -> str:
    cells = (case.given, case.happens, f"`{said.replace('`', chr(39))}`" if said else "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def performed(case: Case, place: Place) -> str:
    """What a case prints, as the page shows it; asserts that it ends as the registry says."""
    printed: list[str] = []
    error = refusal(lambda: printed.append(case.perform(place) or ""))
    if error is not None:
        assert case.refused, error
        # Ours: neither another type, nor raised somewhere below.
        assert type(error) in (ValueError, ConfigError), repr(error)
        raised = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        assert raised.is_relative_to(ROOT / "src" / "mute"), raised
    said = str(error or printed[0])
    assert said or not case.refused, "taken"
    assert "Traceback" not in said
    assert len(said) < 20_000
    said = line_of(said) if said else ""
    for word in case.words:
        assert word in said
    said = (
        said.replace(os.path.relpath(place.folder, ROOT), "FOLDER")
        .replace(str(place.folder), "FOLDER")
        .replace(f"{ROOT}/", "")
    )
    if case.until:
        assert case.until in said
        said = said[: said.index(case.until) + len(case.until)].rstrip() + " …"
    return said if len(said) <= 300 else said[:300] + " …"


CHOSEN = [pytest.param(case, marks=pytest.mark.slow if case.slow else (), id=name) for name, case in CASES.items()]


@pytest.mark.parametrize("case", CHOSEN)
def test_what_is_given_ends_as_the_page_says(case, tmp_path, request):
    line = row(case, performed(case, Place(tmp_path, request.getfixturevalue)))
    _ROWS[case.id] = line
    if not request.config.getoption("--update-golden"):
        assert line in PAGE.read_text(encoding="utf-8").splitlines(), "pytest tests/hostile --update-golden"


def write_page() -> None:
    """The page from what was performed now; what was not stays as it was."""
    before = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    parts, area = [HEAD], ""
    old: dict[str, str] = {}
    for line in before:
        area = line[3:].lower() if line.startswith("## ") else area
        old[f"{area}: {line.split(' | ')[0][2:]}"] = line
    for area in AREAS:
        lines = [_ROWS.get(name, old.get(name, "")) for name, case in CASES.items() if case.area == area]
        table = ["| given | what happens | what is printed |", "| --- | --- | --- |", *lines]
        parts.append(f"## {area.capitalize()}\n\n" + "\n".join(table) + "\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def test_the_page_has_these_cases_and_no_other(request):
    if request.config.getoption("--update-golden"):
        write_page()
    text = PAGE.read_text(encoding="utf-8")
    given = [line.split(" | ")[0][2:] for line in text.splitlines() if line.startswith("| ")]
    ours = [case.given.replace("|", "\\|") for case in sorted(CASES.values(), key=lambda case: AREAS.index(case.area))]
    assert [cell for cell in given if cell not in ("given", "---")] == ours
    assert text.startswith(HEAD)


def test_no_row_is_undefined_and_every_refusal_says_why():
    assert len(CASES) >= 100
    assert {case.area for case in CASES.values()} == set(AREAS)
    for case in CASES.values():
        assert "undefined" not in case.happens
        assert case.words or not case.refused, case.id


def test_folders_that_a_study_makes_are_those_of_the_workflow():
    """`results` may not lie in one of them: what a rule writes, or a module stores, is in the list."""
    import re
    import subprocess

    from mute.study import folders

    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "src" / "mute").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"<results>/([a-z]+)/", text)}
    assert len(named) > 15
    assert named <= set(folders.MADE)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tracked = {name.split("/")[0] for name in listed.splitlines() if "/" in name and not name.startswith(".")}
    assert tracked <= set(folders.PROJECT)
