"""Which cells a study exports and what lm-evaluation-harness asks of them. Imports no torch.

An export and a harness result are named after their cell; the base model's result after the trained model.
"""

import difflib
import importlib.util
from functools import cached_property
from importlib import metadata

from mute.hub.repos import Repo, record_of
from mute.names import at_home
from mute.plan import Wildcards
from mute.store.records import Record
from mute.study.cells import Cell, Study
from mute.study.selections import SHOWN, guarded, matching


class Exports:
    """Inputs and parameters of the rules of workflow/rules/export.smk. Methods take Snakemake's wildcards."""

    def __init__(self, study: Study) -> None:
        self.study, self.config, self.chosen = study, study.config, study.config.exports

    @cached_property
    def _cells(self) -> dict[str, Cell]:
        return {cell.name: cell for cell in self.study.cells}

    def cell(self, name: str) -> Cell:
        """The cell of a name. Raises ValueError for one that the study does not have."""
        if name not in self._cells:
            names = list(self._cells)
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            more = f" and {len(names) - SHOWN} more (python -m mute exports)" if len(names) > SHOWN else ""
            what = f"unknown cell {name!r}" if name else "give the name of a cell, as in CELL=NAME"
            raise ValueError(f"{what}; there are {', '.join(names[:SHOWN])}{more}.{hint}")
        return self._cells[name]

    def names(self) -> list[str]:
        """Names of all cells that can be exported."""
        return list(self._cells)

    def target(self, name: str) -> str:
        """The file that exports a cell."""
        return f"{self.config.study.results}/exports/{self.cell(name).name}/record.json"

    @cached_property
    def selected(self) -> list[Cell]:
        """Cells that the configuration selects, in the study's order."""
        wanted = {cell for chosen in self.chosen.cells for cell in matching(self.study, chosen)}
        return [cell for cell in self.study.cells if cell in wanted]

    def targets(self) -> list[str]:
        """What `all` makes: the selected exports, and the table of what the harness found."""
        records = [f"<results>/exports/{cell.name}/record.json" for cell in self.selected]
        return [*records, *(["<results>/tables/harness.csv"] if self.chosen.tasks else [])]

    # export_model

    def export_inputs(self, wildcards: Wildcards) -> dict[str, str]:
        cell = self.cell(wildcards.cell)
        base = f"<results>/models/{cell.trained}/record.json"
        return {"cells": f"<results>/shards/{self.study.shard_of[cell]}/cells.csv", "base": base}

    def export(self, wildcards: Wildcards) -> Record:
        return {"cell": self.cell(wildcards.cell).key()}

    # run_harness and collect_harness

    def evaluated(self) -> dict[str, Record]:
        """What is asked, by name: base models first. Keys as in the study's tables.

        The harness opens model directories, and knows of no guard before one.
        """
        asked = [cell for cell in self.selected if not guarded(self.study, cell)]
        bases = {c.trained: {"model": c.model, "training_seed": c.training_seed} for c in asked}
        found = {name: {**key, "algorithm": "base"} for name, key in sorted(bases.items())}
        return found | {cell.name: cell.key() for cell in asked}

    def harness_input(self, wildcards: Wildcards) -> str:
        if wildcards.evaluated in self.study.trained:
            return f"<results>/models/{wildcards.evaluated}/record.json"
        return f"<results>/exports/{self.cell(wildcards.evaluated).name}/record.json"

    def task_files(self) -> list[str]:
        """The user's task files, so that a change in one is seen."""
        folder = self.chosen.task_folder
        return sorted(str(p) for p in at_home(folder).rglob("*") if p.is_file()) if folder else []

    def fetched(self) -> list[str]:
        """Records of the data sets that the tasks read."""
        return [record_of(repo) for repo in repos(self.study)]

    def harness(self) -> Record:
        engine = self.config.engine
        how = self.chosen.model_dump(exclude={"cells"})
        # Another version may ask otherwise.
        version = metadata.version("lm_eval") if importlib.util.find_spec("lm_eval") else None
        return {**how, "device": engine.device, "dtype": engine.dtype, "lm_eval": version}

    def harness_results(self) -> list[str]:
        return [f"<results>/harness/{name}.json" for name in self.evaluated()]

    def harness_table(self) -> Record:
        return {"evaluated": self.evaluated()}


def repos(study: Study) -> list[Repo]:
    """The data sets that the tasks read, for the rule that fetches."""
    return [Repo("dataset", id, revision) for id, revision in sorted(study.config.exports.data.items())]
