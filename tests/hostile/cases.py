"""The registry of hostile input: what is given, what happens, and a function that performs it.

docs/hostile-input.md is written from here; `test_cases.py` performs every case and holds the page against it.
"""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASE = ROOT / "config" / "config.yaml"
AREAS = ("config", "data", "models", "cache", "environment")
REFUSED, TAKEN = "refused", "taken"


class Place:
    """A folder of the case's own, and the fixtures of the tests."""

    def __init__(self, folder: Path, fixture: Callable[[str], Any]) -> None:
        self.folder, self.fixture = folder, fixture

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


@dataclass(frozen=True)
class Case:
    """words: what the message of a refusal must hold: the key or file, the value, what is allowed, the nearest.

    slow: performed by `pytest -m slow`. until: where a library's own words begin, which differ from version to version:
    the page ends there.
    """

    area: str
    given: str
    happens: str
    perform: Callable[[Place], str | None]
    words: tuple[str, ...] = ()
    until: str = ""
    slow: bool = False

    @property
    def refused(self) -> bool:
        return self.happens.startswith(REFUSED)

    @property
    def id(self) -> str:
        return f"{self.area}: {self.given}"


CASES: dict[str, Case] = {}


def add(case: Case) -> None:
    assert case.area in AREAS
    assert case.id not in CASES, case.id
    CASES[case.id] = case


def refused(area: str, given: str, *words: str, when: str = "before any work", until: str = "") -> Callable:
    """Register a function that must raise an error of ours, or return what a command printed."""

    def register(perform: Callable[[Place], str | None]) -> Callable:
        add(Case(area, given, f"{REFUSED} {when}", perform, words, until))
        return perform

    return register


def taken(area: str, given: str, how: str, *words: str, slow: bool = False) -> Callable:
    """Register a function that asserts what becomes of it; it may return a line that is printed, with `words`."""

    def register(perform: Callable[[Place], str | None]) -> Callable:
        add(Case(area, given, f"{TAKEN}: {how}", perform, words, slow=slow))
        return perform

    return register


def refusal(of: Callable, *given: Any) -> ValueError | None:
    """The ValueError that a call ends with, of any type below it; None if it ends well."""
    try:
        of(*given)
    except ValueError as error:
        return error
    return None


def line_of(text: str) -> str:
    """The first line that says what is wrong: lists stand under a heading."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[1].removeprefix("  - ") if len(lines) > 1 and lines[0].endswith(":") else lines[0]


def mute(*arguments: str) -> str:
    """What `python -m mute` prints, in this process; it must fail."""
    from mute.__main__ import main

    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stderr(said):
        assert main(arguments) != 0
    return said.getvalue()


def python(*arguments: str, **environment: str | None) -> tuple[int, str]:
    """Exit status and all that a Python of its own prints, in the project's folder and a changed environment."""
    env = {**os.environ, **{k: v for k, v in environment.items() if v is not None}}
    for name in (k for k, v in environment.items() if v is None):
        env.pop(name, None)
    call = [sys.executable, *arguments]
    done = subprocess.run(call, cwd=ROOT, env=env, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "Traceback" not in said, said
    return done.returncode, said
