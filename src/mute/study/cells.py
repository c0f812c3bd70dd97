"""The study: its cells, and how they are cut into jobs. Imports no torch."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from mute import analyses, attacks, unlearn
from mute.bands import Languages, file_name, first_block, is_whole
from mute.config.sections import Config, CorpusSection, EngineSection
from mute.corpus import sources
from mute.store.records import Record


@dataclass(frozen=True)
class Cell:
    """One unlearning run; `sources` may be given as a plain text."""

    model: str
    training_seed: int
    algorithm: str
    band: str
    sources: Languages
    retain: str
    forget_set: str
    protocol: str
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.sources, Languages):
            object.__setattr__(self, "sources", Languages(self.sources))

    @property
    def trained(self) -> str:
        """Name of the trained model that it edits."""
        return trained_name(self.model, self.training_seed)

    @property
    def name(self) -> str:
        """All its keys, as they stand in the name of a file."""
        return file_name(*self.key().values())

    def key(self) -> dict[str, str | int]:
        """Its keys as builtins, which are digested, written and told to rules."""
        return {**asdict(self), "sources": str(self.sources)}


def trained_name(model: str, training_seed: int, oracle: str | None = None) -> str:
    """Name of a trained model's folder; `oracle` is the forget set that it never saw."""
    return f"{model}-s{training_seed}" + (f"-without-{oracle}" if oracle else "")


class Study:
    """A checked configuration and what follows from it; `mute.study.checks` makes it from one that may be wrong."""

    def __init__(self, config: Config, files: Sequence[str] = ()) -> None:
        self.config = config
        # The files that it was read from, lower ones first.
        self.files = list(files)

    @property
    def models(self) -> list[str]:
        return self.config.study.models

    @property
    def corpus(self) -> CorpusSection:
        return self.config.corpora[self.config.study.corpus]

    @cached_property
    def corpus_settings(self) -> Record:
        """All settings of the corpus, defaults filled in, as builtins."""
        return in_order(sources.load(self.corpus.source).Settings.model_validate(self.corpus.settings).model_dump())

    @cached_property
    def languages(self) -> list[str]:
        """Every language of the study's models, in the order of their first mention."""
        return list(dict.fromkeys(code for name in self.models for code in self.config.models[name].languages))

    def first_sources(self, model: str) -> list[str]:
        """The languages that the study's first grid for a model unlearns in."""
        grids = (self.config.grids[name] for name in self.config.study.grids)
        return next((g.sources[0] for g in grids if g.models is None or model in g.models), [])

    @property
    def main_setting(self) -> tuple[str, str, str]:
        """Sources, retain coverage and forget set of the study's first grid: what its claims are tested in."""
        grid = self.config.grids[self.config.study.grids[0]]
        return str(Languages.of(grid.sources[0])), grid.retain[0], grid.forget_sets[0]

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells, each once, in the order of the grids; bands in order of their first block."""
        return sorted(self.attacked, key=_order)

    @cached_property
    def attacked(self) -> dict[Cell, list[str]]:
        """The attacks on each cell: those of all its grids, sorted."""
        found: dict[Cell, set[str]] = {}
        for name in self.config.study.grids:
            for cell in self.grid(name):
                found.setdefault(cell, set()).update(self.config.grids[name].attacks)
        return {cell: sorted(names) for cell, names in found.items()}

    @cached_property
    def algorithms(self) -> dict[str, tuple[str, Record]]:
        """Algorithms by name: the method behind each, and all its settings as builtins. Not to be changed."""
        names = sorted({*self.config.algorithms, *(cell.algorithm for cell in self.cells)})
        return {name: _filled(unlearn, name, self.config.algorithms) for name in names}

    @cached_property
    def attacks(self) -> dict[str, tuple[str, Record]]:
        """Attacks of the study by name, as `algorithms`."""
        names = sorted({name for own in self.attacked.values() for name in own})
        return {name: _filled(attacks, name, self.config.attacks) for name in names}

    @cached_property
    def analyses(self) -> dict[str, tuple[str, Record]]:
        """Analyses of the study by name, as `algorithms`."""
        return {name: _filled(analyses, name, self.config.analyses) for name in self.config.study.analyses}

    @cached_property
    def shown(self) -> list[Cell] | None:
        """Cells that the report's figures show; None: all."""
        if self.config.study.shown is None:
            return None
        own = [cell for name in self.config.study.shown for cell in self.grid(name)]
        return [cell for cell in own if cell.training_seed == self.training_seeds(cell.model)[0]]

    def grid(self, name: str) -> Iterator[Cell]:
        """Cells of one grid."""
        grid = self.config.grids[name]
        for model in grid.models or self.models:
            if model not in self.models:
                continue
            seeds = self.training_seeds(model)
            for algorithm, band, source, retain, forget_set, protocol, training_seed, seed in itertools.product(
                grid.algorithms,
                expand_bands(grid.bands, self.config.models[model].blocks),
                map(Languages.of, grid.sources),
                grid.retain,
                grid.forget_sets,
                grid.protocols,
                [s for s in seeds if grid.training_seeds is None or s in grid.training_seeds],
                grid.seeds,
            ):
                yield Cell(model, training_seed, algorithm, band, source, retain, forget_set, protocol, seed)

    @cached_property
    def shards(self) -> dict[str, list[Cell]]:
        """Cells by job."""
        result: dict[str, list[Cell]] = {}
        for cell in self.cells:
            name = file_name(*(getattr(cell, key) for key in self.config.study.shard_by))
            result.setdefault(name or "study", []).append(cell)
        return result

    @cached_property
    def trained(self) -> dict[str, tuple[str, int, str | None]]:
        """Trained models by name: model, training seed, and the forget set that an oracle never saw."""
        result: dict[str, tuple[str, int, str | None]] = {}
        for model in self.models:
            seeds = self.training_seeds(model)
            for seed, oracle in itertools.product(seeds, (None, *self.config.models[model].oracles)):
                if oracle is None or seed in self._oracle_seeds(model):
                    result[trained_name(model, seed, oracle)] = (model, seed, oracle)
        return result

    def training_seeds(self, model: str) -> list[int]:
        """Seeds with which a model is trained."""
        return self.config.models[model].training_seeds or self.config.study.training_seeds

    def _oracle_seeds(self, model: str) -> list[int]:
        seeds = self.training_seeds(model)
        return seeds[:1] if self.config.study.oracle_seeds == "first" else seeds

    def oracle(self, model: str, training_seed: int, forget_set: str) -> str | None:
        """Name of the oracle that a model is measured against for a forget set, if the study trains one."""
        first = self.config.study.oracle_seeds == "first"
        name = trained_name(model, self._oracle_seeds(model)[0] if first else training_seed, forget_set)
        return name if name in self.trained else None

    def method(self, algorithm: str) -> str:
        """The method behind an algorithm."""
        return self.algorithms[algorithm][0]

    def methods(self, algorithms: Iterable[str]) -> list[str]:
        """The methods behind algorithms, and those inside them, sorted: files whose code they run."""
        found = set()
        for name in algorithms:
            method, settings = self.algorithms[name]
            found |= {method, *unlearn.load(method).Settings.model_validate(settings).within}
        return sorted(found)

    @cached_property
    def shard_of(self) -> dict[Cell, str]:
        """The job that computes each cell."""
        return {cell: name for name, cells in self.shards.items() for cell in cells}

    def of_record(self) -> Record:
        """The configuration of what the study is made of, every default filled in."""
        # What it costs, and where results are kept, shown and brought, is no part of what they are.
        aside = {"costs": True, "exports": True, "publishing": True, "engine": EngineSection.without_effect}
        whole, chosen = self.config.model_dump(exclude=aside), self.config.study
        used = {cell.algorithm for cell in self.cells}
        record = {
            **whole,
            "corpora": {chosen.corpus: {**whole["corpora"][chosen.corpus], "settings": self.corpus_settings}},
            "models": {name: whole["models"][name] for name in chosen.models},
            "grids": {name: whole["grids"][name] for name in chosen.grids},
            "algorithms": {n: {"method": method, **own} for n, (method, own) in self.algorithms.items() if n in used},
            "attacks": {n: {"method": method, **own} for n, (method, own) in self.attacks.items()},
            "analyses": {n: {"method": method, **own} for n, (method, own) in self.analyses.items()},
        }
        return in_order(record)

    def settings(self, algorithm: str) -> Record:
        """All settings of an algorithm."""
        return self.algorithms[algorithm][1]


def _filled(registry: Any, name: str, section: dict[str, Record]) -> tuple[str, Record]:
    """What a name of a section means: the method, and its settings with every default."""
    given = dict(section.get(name, {}))
    method = given.pop("method", name)
    return method, registry.load(method).Settings.model_validate(given).model_dump()


def in_order(values: Record) -> Record:
    """Values with the keys of all mappings sorted: in which order they stand in a file changes no result."""
    return {key: _in_order(values[key]) for key in sorted(values)}


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return in_order(value)
    return [_in_order(entry) for entry in value] if isinstance(value, list) else value


def _order(cell: Cell) -> tuple:
    """Shards stay together; within one, whole-model bands first, then blocks from below: states move upwards."""
    key = (cell.model, cell.training_seed, cell.algorithm, cell.forget_set, cell.sources, cell.retain)
    return (*key, not is_whole(cell.band), first_block(cell.band), cell.band, cell.protocol, cell.seed)


def expand_bands(bands: list[str | int], blocks: int) -> list[str]:
    """Names of bands with `each` replaced by every block."""
    result: list[str] = []
    for band in bands:
        result += [str(block) for block in range(blocks)] if band == "each" else [str(band)]
    return list(dict.fromkeys(result))
