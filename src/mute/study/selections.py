"""Selections of cells, by values of their keys: what the section `exports` means, and what may be wrong with it."""

from collections.abc import Iterator

from mute import unlearn
from mute.config.problems import KeyPath, Problem
from mute.config.sections import Selection
from mute.hub.repos import Repo
from mute.names import at_home, is_folder, nearest
from mute.study.cells import Cell, Study

SHOWN = 8  # names that an error lists


def guarded(study: Study, cell: Cell) -> bool:
    """Whether a guard stands before a cell's model: its export is then more than a model directory."""
    return unlearn.make(*study.algorithms[cell.algorithm]).guard is not None


def matching(study: Study, chosen: Selection) -> list[Cell]:
    """Cells that agree with a selection in all its keys; a list allows any of its values."""
    allowed = {key: {str(v) for v in _values(value)} for key, value in chosen.items()}
    return [cell for cell in study.cells if all(str(getattr(cell, key)) in values for key, values in allowed.items())]


def _values(value: str | int | list[str | int]) -> list[str | int]:
    return value if isinstance(value, list) else [value]


def problems(study: Study) -> Iterator[Problem]:
    """What is wrong with the section `exports` that only the study's cells can tell."""
    section, asked = study.config.exports, []
    for index, chosen in enumerate(section.cells):
        path = ("exports", "cells", index)
        unknown = list(_unknown_values(study, path, chosen))
        yield from unknown
        found = matching(study, chosen)
        asked += found
        if not found and not unknown:
            yield Problem(path, "no cell of the study has all of these together")
    for id, revision in section.data.items():
        try:
            Repo("dataset", id, revision)
        except ValueError as error:
            yield Problem(("exports", "data", id), str(error))
    if section.tasks and not section.cells:
        yield Problem(("exports", "tasks"), "tasks are asked of exported cells and their base: select some in `cells`")
    elif section.tasks and asked and all(guarded(study, cell) for cell in asked):
        names = ", ".join(sorted({cell.algorithm for cell in asked}))
        yield Problem(("exports", "tasks"), f"the harness asks models without a guard, and {names} has one")
    if section.task_folder and not is_folder(at_home(section.task_folder)):
        yield Problem(("exports", "task_folder"), f"{section.task_folder!r} is no folder")


def _unknown_values(study: Study, path: KeyPath, chosen: Selection) -> Iterator[Problem]:
    """Values of a selection that no cell has."""
    for key, value in chosen.items():
        known = {str(getattr(cell, key)) for cell in study.cells}
        for each in _values(value):
            if str(each) not in known:
                near = nearest(each, known)
                hint = f". Did you mean {near[0]!r}?" if near else ""
                listed = ", ".join(sorted(known)[:SHOWN]) + (", …" if len(known) > SHOWN else "")
                yield Problem((*path, key), f"no cell of the study has {each!r}; they have {listed}{hint}")
