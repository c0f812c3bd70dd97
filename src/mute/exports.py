"""Which cells a study exports and what lm-evaluation-harness asks of them. Imports no torch.

An export and a harness result are named after their cell; the base model's result after the trained model.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from mute import unlearn
from mute.names import at_home, is_folder
from mute.problems import Problem

if TYPE_CHECKING:
    from mute.study import Cell, Study

_SHOWN = 8  # names that an error lists


class Exports:
    """Inputs and parameters of the rules of workflow/rules/export.smk. Methods take Snakemake's wildcards."""

    def __init__(self, study: Study) -> None:
        self.study, self.config, self.chosen = study, study.config, study.config.exports

    @cached_property
    def _cells(self) -> dict[str, Cell]:
        return {cell.name: cell for cell in self.study.cells}

    def cell(self, name: str) -> Cell:
        """The cell of a name. Raises ValueError for one that the study does not have, or that changes no weight."""
        if name not in self._cells:
            names = list(self._cells)
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            more = f" and {len(names) - _SHOWN} more (python -m mute exports)" if len(names) > _SHOWN else ""
            what = f"unknown cell {name!r}" if name else "give the name of a cell, as in CELL=NAME"
            raise ValueError(f"{what}; there are {', '.join(names[:_SHOWN])}{more}.{hint}")
        cell = self._cells[name]
        if not exportable(self.study, cell):
            text = f"cell {name!r} cannot be exported: {cell.algorithm} changes no weight, it filters what is read"
            raise ValueError(text)
        return cell

    def names(self) -> list[str]:
        """Names of all cells that can be exported."""
        return [name for name, cell in self._cells.items() if exportable(self.study, cell)]

    def target(self, name: str) -> str:
        """The file that exports a cell."""
        return f"{self.config.study.results}/exports/{self.cell(name).name}/record.json"

    @cached_property
    def selected(self) -> list[Cell]:
        """Cells that the configuration selects, in the study's order."""
        wanted = {cell for chosen in self.chosen.cells for cell in matching(self.study, chosen)}
        return [cell for cell in self.study.cells if cell in wanted and exportable(self.study, cell)]

    def targets(self) -> list[str]:
        """What `all` makes: the selected exports, and the table of what the harness found."""
        records = [f"<results>/exports/{cell.name}/record.json" for cell in self.selected]
        return [*records, *(["<results>/tables/harness.csv"] if self.chosen.tasks else [])]

    # export_model

    def export_inputs(self, wildcards: Any) -> dict[str, str]:
        cell = self.cell(wildcards.cell)
        base = f"<results>/models/{cell.trained}/record.json"
        return {"cells": f"<results>/shards/{self.study.shard_of[cell]}/cells.csv", "base": base}

    def export(self, wildcards: Any) -> dict[str, Any]:
        return {"cell": self.cell(wildcards.cell).key()}

    # run_harness and collect_harness

    def evaluated(self) -> dict[str, dict[str, Any]]:
        """What is asked, by name: base models first. Keys as in the study's tables."""
        bases = {c.trained: {"model": c.model, "training_seed": c.training_seed} for c in self.selected}
        found = {name: {**key, "algorithm": "base"} for name, key in sorted(bases.items())}
        return found | {cell.name: cell.key() for cell in self.selected}

    def harness_input(self, wildcards: Any) -> str:
        if wildcards.evaluated in self.study.trained:
            return f"<results>/models/{wildcards.evaluated}/record.json"
        return f"<results>/exports/{self.cell(wildcards.evaluated).name}/record.json"

    def task_files(self) -> list[str]:
        """The user's task files, so that a change in one is seen."""
        folder = self.chosen.task_folder
        return sorted(str(p) for p in at_home(folder).rglob("*") if p.is_file()) if folder else []

    def fetched(self) -> list[str]:
        """Records of the data sets that the tasks read."""
        if not self.chosen.data:
            return []
        from mute.inputs import record_of

        return [record_of(repo) for repo in repos(self.study)]

    def harness(self) -> dict[str, Any]:
        engine = self.config.engine
        how = self.chosen.model_dump(exclude={"cells"})
        return {**how, "device": engine.device, "dtype": engine.dtype, "lm_eval": _version()}

    def harness_results(self) -> list[str]:
        return [f"<results>/harness/{name}.json" for name in self.evaluated()]

    def harness_table(self) -> dict[str, Any]:
        return {"evaluated": self.evaluated()}


def repos(study: Study) -> list[Any]:
    """The data sets that the tasks read, for the rule that fetches."""
    if not study.config.exports.data:
        return []
    from mute.hub import Repo

    return [Repo("dataset", id, revision) for id, revision in sorted(study.config.exports.data.items())]


def _version() -> str | None:
    """Of lm-evaluation-harness: another one may ask otherwise."""
    return metadata.version("lm_eval") if importlib.util.find_spec("lm_eval") else None


def exportable(study: Study, cell: Cell) -> bool:
    """Whether a cell has a model of its own: a filter stands before its model and changes no weight."""
    return unlearn.load(study.method(cell.algorithm)).kind != "filter"


def matching(study: Study, chosen: dict[Any, Any]) -> list[Cell]:
    """Cells that agree with a selection in all its keys; a list allows any of its values."""

    def agrees(cell: Cell) -> bool:
        for key, value in chosen.items():
            allowed = {str(v) for v in (value if isinstance(value, list) else [value])}
            if str(getattr(cell, key)) not in allowed:
                return False
        return True

    return [cell for cell in study.cells if agrees(cell)]


def problems(study: Study) -> Iterator[Problem]:
    """What is wrong with the section `exports` that only the study's cells can tell."""
    from mute.repos import Repo

    section = study.config.exports
    for index, chosen in enumerate(section.cells):
        path = ("exports", "cells", index)
        unknown = list(_unknown_values(study, path, chosen))
        yield from unknown
        found = matching(study, chosen)
        if not found and not unknown:
            yield Problem(path, "no cell of the study has all of these together")
        elif found and not any(exportable(study, cell) for cell in found):
            names = ", ".join(sorted({cell.algorithm for cell in found}))
            yield Problem(path, f"{names} changes no weight: there is no model to export")
    for id, revision in section.data.items():
        try:
            Repo("dataset", id, revision)
        except ValueError as error:
            yield Problem(("exports", "data", id), str(error))
    if section.tasks and not section.cells:
        yield Problem(("exports", "tasks"), "tasks are asked of exported cells and their base: select some in `cells`")
    if section.task_folder and not is_folder(at_home(section.task_folder)):
        yield Problem(("exports", "task_folder"), f"{section.task_folder!r} is no folder")


def _unknown_values(study: Study, path: tuple[str | int, ...], chosen: dict[Any, Any]) -> Iterator[Problem]:
    """Values of a selection that no cell has."""
    for key, value in chosen.items():
        known = {str(getattr(cell, key)) for cell in study.cells}
        for each in value if isinstance(value, list) else [value]:
            if str(each) not in known:
                near = difflib.get_close_matches(str(each), known, n=1, cutoff=0.4)
                hint = f". Did you mean {near[0]!r}?" if near else ""
                listed = ", ".join(sorted(known)[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
                yield Problem((*path, key), f"no cell of the study has {each!r}; they have {listed}{hint}")
