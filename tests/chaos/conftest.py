"""The undisturbed study that every other is held against, and the table at the end."""

import time
from pathlib import Path

import pytest
from harness import ROWS, SEED, WHOLE, Project, table

_STARTED = time.monotonic()


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A micro study that nobody disturbed. Copy it, do not touch it."""
    project = Project.fresh(tmp_path_factory.mktemp("undisturbed") / "mute")
    assert project.run() == 0, project.said
    assert project.check() == 0, project.said
    return project


@pytest.fixture(scope="session")
def expected(finished) -> dict[str, bytes]:
    """What it published."""
    return finished.published()


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A finished study to disturb."""
    return finished.copy(tmp_path / "mute")


def pytest_terminal_summary(terminalreporter):
    if ROWS:
        terminalreporter.section(f"chaos, {'whole' if WHOLE else 'part'}, seed {SEED}")
        terminalreporter.write_line(table())
        terminalreporter.write_line(f"{time.monotonic() - _STARTED:.0f} s")
