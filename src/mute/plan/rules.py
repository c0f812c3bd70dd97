"""What each rule of the workflow reads and is told, as functions of its wildcards. Imports no torch.

Snakemake compares the parameters of a rule as a set of their texts; each rule therefore gets one mapping of builtins,
in which nothing stands that does not change its result.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from mute import analyses, unlearn
from mute.config.sections import EngineSection
from mute.corpus import languages as packs
from mute.corpus import sources
from mute.corpus.romanised import bases
from mute.evaluate import measures
from mute.findings import files, tables
from mute.hub import copies, gguf_files
from mute.hub.repos import Repo, record_of
from mute.models import pretrained
from mute.names import unknown_name
from mute.paper import figures as paper_figures
from mute.paper import frozen
from mute.paper import tables as paper_tables
from mute.plan import Wildcards, exports
from mute.plotting import figures
from mute.plotting.registry import NOTEBOOKS
from mute.publishing import plan as publishing
from mute.store import project
from mute.store.artifacts import read_json, seed_of
from mute.store.pointers import tracked
from mute.store.provenance import code_digest
from mute.store.records import Record
from mute.study.cells import Cell, Study, in_order, trained_name

T = TypeVar("T")

TABLES = tuple(tables.TABLES)
FIGURES = figures.names()
MEASURES = measures.modules()
PAPER_FIGURES = paper_figures.names()
PAPER_TABLES = tuple(paper_tables.TABLES)
PUBLISHED = files.FILES


class Plans:
    """Inputs and parameters of every rule of one study. Methods take Snakemake's wildcards, or nothing."""

    def __init__(self, study: Study) -> None:
        self.study, self.config = study, study.config

    def _trained(self, wildcards: Wildcards) -> tuple[str, int, str | None]:
        return _known("trained model", wildcards.trained, self.study.trained)

    def _shard(self, wildcards: Wildcards) -> list[Cell]:
        return _known("shard", wildcards.shard, self.study.shards)

    def _engine(self) -> Record:
        """What of the engine shows in results, by its rounding."""
        return self.config.engine.model_dump(exclude=EngineSection.without_effect)

    # What is fetched

    @cached_property
    def repos(self) -> dict[str, Repo]:
        """What the study needs from outside, by the name of its record. Raises ValueError for what cannot be."""
        models = [self.config.models[name] for name in self.study.models]
        opened = [gguf_files.repo(model.pretrained, model.revision) for model in models if model.pretrained]
        return {repo.name: repo for repo in (*opened, *self._data(), *exports.repos(self.study))}

    def _data(self) -> list[Repo]:
        source = sources.load(self.study.corpus.source)
        if not hasattr(source, "repos"):
            return []
        return source.repos(source.Settings.model_validate(self.study.corpus_settings), bases(self.study.languages))

    def fetched(self) -> list[str]:
        """Records of all that the study needs."""
        return [record_of(repo) for repo in self.repos.values()]

    def fetched_of_corpus(self) -> list[str]:
        """Records of what the corpus is made from."""
        return sorted(record_of(repo) for repo in self._data())

    def local_files(self, wildcards: Wildcards) -> list[str]:
        """Files of a local directory, so that a change is seen. What is missing is the job's error to explain."""
        repo = _known("repository", wildcards.repo, self.repos)
        try:
            return [str(path) for path in copies.files(repo)] if repo.folder else []
        except ValueError:
            return []

    def fetching(self, wildcards: Wildcards) -> Record:
        repo = _known("repository", wildcards.repo, self.repos)
        return {"kind": repo.kind, "id": repo.id, "revision": repo.revision, "patterns": list(repo.patterns)}

    # Corpus and models

    def corpus_files(self) -> list[str]:
        """The user's files, or DVC's pointers to them, so that a change in one is seen.

        A missing one is the job's error to explain.
        """
        source = sources.load(self.study.corpus.source)
        if not hasattr(source, "inputs"):
            return []
        settings = source.Settings.model_validate(self.study.corpus.settings)
        return tracked(source.inputs(settings, bases(self.study.languages)))

    def corpus(self) -> Record:
        return {
            "source": self.study.corpus.source,
            "settings": self.study.corpus_settings,
            "languages": self.study.languages,
            "seed": self.config.study.seed,
            "forget_sets": sorted({cell.forget_set for cell in self.study.cells}),
        }

    def corpus_code(self) -> str:
        return code_digest(*sources.modules(self.study.corpus.source, self.study.languages))

    def tokenizer(self, wildcards: Wildcards) -> Record:
        model = self.config.models[wildcards.model]
        return {"languages": model.languages, "vocabulary": model.vocabulary}

    def compared(self, wildcards: Wildcards) -> Record:
        """What languages of a model are compared for: those that it has, and from which of them what is forgotten."""
        own = [cell for cell in self.study.cells if cell.model == wildcards.model]
        settings = sorted({(cell.sources, cell.forget_set) for cell in own})
        return {
            "languages": self.config.models[wildcards.model].languages,
            "settings": [[list(sources.codes), forget_set] for sources, forget_set in settings],
        }

    def tokenizer_of(self, wildcards: Wildcards) -> str:
        return f"<results>/tokenizers/{self._trained(wildcards)[0]}/tokenizer.json"

    def pretraining(self, wildcards: Wildcards) -> Record:
        name, seed, without = self._trained(wildcards)
        model = self.config.models[name].model_dump(
            exclude={"oracles", "training_seeds", "vocabulary"}, exclude_none=True
        )
        # An oracle is the same model with the same seed: only what it reads differs.
        draw = seed_of(self.config.study.seed, name, seed, "pretraining")
        taught = {"training_seed": seed, "without": without}
        return in_order({**self.config.pretraining.model_dump(), **model, "seed": draw, **taught})

    def longest(self) -> str:
        """Pattern of the models from scratch that take longest: most tokens read, times the size of their blocks."""

        def cost(name: str) -> int:
            model = self.config.models[self.study.trained[name][0]]
            return 0 if model.pretrained else model.steps * len(model.languages) * model.blocks * model.hidden**2

        most = max(map(cost, self.study.trained))
        return _pattern(n for n in sorted(self.study.trained) if cost(n) == most > 0)

    # Models that are opened instead

    def opened(self) -> str:
        """Pattern of the trained models that come from pretrained ones."""
        trained = self.study.trained.items()
        return _pattern(sorted(name for name, (model, *_) in trained if self.config.models[model].pretrained))

    def not_opened(self) -> str:
        """Pattern of all other names, those that are no trained model too: their error says which there are."""
        return f"(?!(?:{self.opened()})[/.])[A-Za-z0-9_-]+"

    def model_files(self, wildcards: Wildcards) -> list[str]:
        """The files of a pretrained model that is a directory, or a GGUF file of this machine."""
        return list(map(str, pretrained.files_of(self.config.models[self._trained(wildcards)[0]])))

    def fetched_model(self, wildcards: Wildcards) -> list[str]:
        """What says that a pretrained model of the hub is there, and which commit of it."""
        model = self.config.models[self._trained(wildcards)[0]]
        repo = gguf_files.repo(str(model.pretrained), model.revision)
        return [] if repo.folder else [record_of(repo)]

    def adaptation(self, wildcards: Wildcards) -> Record:
        name, seed, without = self._trained(wildcards)
        model = self.config.models[name]
        return {
            "model": name,
            "pretrained": model.pretrained,
            "revision": model.revision,
            "blocks": model.blocks,
            "languages": model.languages,
            "adaptation": model.adaptation.model_dump() if model.adaptation else None,
            # How many facts a language needs is asked of scores.
            "known": model.known.model_dump(exclude={"least"}) if model.known else None,
            # An oracle is adapted with the same seed: only what it reads differs.
            "seed": seed_of(self.config.study.seed, name, seed, "adaptation"),
            "training_seed": seed,
            "without": without,
            "engine": self._engine(),
        }

    def beside_tokenizer(self, wildcards: Wildcards) -> str:
        """A file beside the tokenizer of a model: a pretrained one's is its own."""
        name = wildcards.model
        if name not in self.config.models or not self.config.models[name].pretrained:
            return f"<results>/tokenizers/{name}/tokenizer.json"
        return f"<results>/models/{trained_name(name, self.study.training_seeds(name)[0])}/record.json"

    # Before any unlearning

    def evaluation(self, wildcards: Wildcards) -> Record:
        name, seed, _ = self._trained(wildcards)
        return {"languages": self.config.models[name].languages, "training_seed": seed, "engine": self._engine()}

    def gates(self, wildcards: Wildcards) -> Record:
        name, seed, oracle = self._trained(wildcards)
        asked = {"languages": self.config.models[name].languages, "training_seed": seed, "without": oracle}
        return {**asked, "gates": self.config.gates.model_dump()}

    def layers(self, wildcards: Wildcards) -> Record:
        (name, training_seed, _), how = self._trained(wildcards), self.config.layers
        # The layer is chosen by states of the languages that the study's first grid unlearns in.
        languages = self.study.first_sources(name)
        if how.languages == "all" or len(languages) < 2:
            languages = self.config.models[name].languages
        seed = seed_of(self.config.study.seed, wildcards.trained, "layers")
        asked = {"languages": languages, "training_seed": training_seed}
        draws = {"draws": how.null_draws, "resamples": how.resamples}
        return {**asked, **draws, "seed": seed, "engine": self._engine()}

    # Unlearning

    def _bench(self, cell: Cell) -> Record:
        """What a workbench needs, the same for all cells that differ in algorithm, band, seed and protocol alone."""
        return {
            "languages": self.config.models[cell.model].languages,
            "sources": list(cell.sources.codes),
            "forget_set": cell.forget_set,
            "retain": cell.retain,
            "matching": self.config.matching.model_dump(),
            "seed": seed_of(self.config.study.seed, cell.model, cell.training_seed, cell.forget_set, "probe"),
        }

    def _seed(self, cell: Cell) -> int:
        """Without the band: depths are compared on the same draws."""
        parts = (cell.model, cell.training_seed, cell.algorithm, str(cell.sources), cell.seed, "unlearning")
        return seed_of(self.config.study.seed, *parts)

    def _model_inputs(self, cells: list[Cell]) -> dict[str, list[str]]:
        """Records of the models that cells edit, gates that can stop them, and the oracles' answers, their floor."""
        stop = self.config.gates.on_fail == "stop"
        names = sorted({cell.trained for cell in cells})
        oracles = sorted({*filter(None, map(self._oracle, cells))})
        return {
            "records": [f"<results>/models/{name}/record.json" for name in names],
            # Nothing here reads the gates: to wait for them, where they stop nothing, only makes a study longer.
            "gates": [f"<results>/gates/{name}.csv" for name in [*names, *oracles] if stop],
            "oracles": [f"<results>/evaluations/{name}/tokens.parquet" for name in oracles],
        }

    def _unlearning_code(self, cells: list[Cell]) -> str:
        methods = self.study.methods({cell.algorithm for cell in cells})
        spoken = {code for cell in cells for code in self.config.models[cell.model].languages}
        # Refusals stand in the packs, and in no corpus.
        own = [f"{packs.__name__}.{code}" for code in sorted(spoken) if code in packs.codes()]
        return unlearn.code(methods, "mute.unlearn.cells", *own)

    def shard_inputs(self, wildcards: Wildcards) -> dict[str, list[str]]:
        return self._model_inputs(self._shard(wildcards))

    def shard(self, wildcards: Wildcards) -> Record:
        return {"cells": [self.cell(cell) for cell in self._shard(wildcards)]}

    def cell(self, cell: Cell) -> Record:
        """The keys of a cell, and everything besides the model that its result depends on."""
        return {
            "cell": cell.key(),
            "trained": cell.trained,
            "oracle": self._oracle(cell),
            "method": self.study.method(cell.algorithm),
            "settings": self.study.settings(cell.algorithm),
            "bench": self._bench(cell),
            "engine": self._engine(),
            "draw": self._seed(cell),
            "code": self._unlearning_code([cell]),
        }

    def shard_code(self, wildcards: Wildcards) -> str:
        return self._unlearning_code(self._shard(wildcards))

    def attack_inputs(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Models of the cells of a shard, and their oracles: both are attacked beside them."""
        return {"records": [f"<results>/models/{name}/record.json" for name in self._victims(wildcards)]}

    def _victims(self, wildcards: Wildcards) -> list[str]:
        cells = self._shard(wildcards)
        return sorted({cell.trained for cell in cells} | {*filter(None, map(self._oracle, cells))})

    def attacks(self, wildcards: Wildcards) -> Record:
        """The attacks on each cell, and what each attack is."""
        cells, study = self._shard(wildcards), self.study
        names = {name for cell in cells for name in study.attacked[cell]}
        made = {
            name: {
                "method": method,
                "settings": own,
                # Of the method, and not of its name: doses of one attack draw alike.
                "seed": seed_of(study.config.study.seed, method),
                "code": _code("attacks", method),
            }
            for name, (method, own) in study.attacks.items()
            if name in names
        }
        return {
            **self.evaluations(wildcards),
            "attacks": made,
            "chosen": [[list(cell.key().values()), study.attacked[cell]] for cell in cells],
            "oracles": self._oracles(cells),
            "intents": {name: unlearn.load(study.method(name)).intent for name in sorted({c.algorithm for c in cells})},
        }

    def analyses(self, wildcards: Wildcards) -> Record:
        made = {
            name: {"method": method, "settings": own, "code": _code("analyses", method)}
            for name, (method, own) in self.study.analyses.items()
        }
        plan = {**self.evaluations(wildcards), "analyses": made}
        # Only where one is read: nothing else is looked into anew.
        return {**plan, "oracles": self._oracles(self._shard(wildcards))} if self._look_into_oracles() else plan

    def analysis_inputs(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Oracles of the cells of a shard, where an analysis reads them."""
        names = sorted({*filter(None, map(self._oracle, self._shard(wildcards)))}) if self._look_into_oracles() else []
        return {"oracles": [f"<results>/models/{name}/record.json" for name in names]}

    def _look_into_oracles(self) -> bool:
        made = ((analyses.load(method), own) for method, own in self.study.analyses.values())
        return any(kind(kind.Settings.model_validate(own)).reads_oracle() for kind, own in made)

    def _oracle(self, cell: Cell) -> str | None:
        return self.study.oracle(cell.model, cell.training_seed, cell.forget_set)

    def _oracles(self, cells: list[Cell]) -> dict[str, str | None]:
        """The oracle that each trained model and forget set is held against."""
        return {f"{cell.trained}.{cell.forget_set}": self._oracle(cell) for cell in cells}

    def evaluations(self, wildcards: Wildcards) -> Record:
        return {"languages": self._shard_languages(wildcards), "engine": self._engine()}

    def _shard_languages(self, wildcards: Wildcards) -> dict[str, list[str]]:
        names = sorted({cell.model for cell in self._shard(wildcards)})
        return {name: self.config.models[name].languages for name in names}

    # Measures

    def score_inputs(self, wildcards: Wildcards) -> dict[str, list[str]]:
        beside = {name for own in self._trainings(self._shard(wildcards)).values() for pair in own for name in pair}
        return _evaluated(sorted({*self._victims(wildcards), *beside}))

    def _trainings(self, cells: Iterable[Cell]) -> dict[str, list[list[str]]]:
        """Of each model and forget set of some cells all trainings that have an oracle; none where nobody asks."""
        if not self.config.evaluation.lira:
            return {}
        found = {}
        for model, forget_set in sorted({(cell.model, cell.forget_set) for cell in cells}):
            seeds = self.study.training_seeds(model)
            pairs = [(trained_name(model, seed), self.study.oracle(model, seed, forget_set)) for seed in seeds]
            found[f"{model}.{forget_set}"] = [[base, oracle] for base, oracle in pairs if oracle]
        return found

    def scores(self, wildcards: Wildcards) -> Record:
        return {
            "languages": self._shard_languages(wildcards),
            "oracles": self._oracles(self._shard(wildcards)),
            "draws": self.config.evaluation.draws,
            "seed": seed_of(self.config.study.seed, "bootstrap"),
            **({"trainings": found} if (found := self._trainings(self._shard(wildcards))) else {}),
            # Only where a language may have too few: nothing else is scored anew.
            **({"least": least} if (least := self._least(self._shard_languages(wildcards))) else {}),
        }

    def _least(self, models: Iterable[str]) -> dict[str, int]:
        """How many known facts a held-out language needs to count, by model whose facts are gated."""
        known = {name: self.config.models[name].known for name in models}
        return {name: gate.least for name, gate in known.items() if gate is not None}

    def table_inputs(self, wildcards: Wildcards | None = None) -> dict[str, list[str]]:
        """For the rule to unpack: given as lists, Snakemake would hold every file against all of its kind."""
        pairs = sorted({(cell.trained, cell.forget_set) for cell in self.study.cells})
        shards = sorted(self.study.shards)
        names = sorted(self.study.trained)
        return {
            **_evaluated(names),
            "scores": [f"<results>/shards/{shard}/scores.parquet" for shard in shards],
            "cells": [f"<results>/shards/{shard}/cells.csv" for shard in shards],
            "analyses": [f"<results>/shards/{shard}/analyses.csv" for shard in shards],
            "attacks": [f"<results>/shards/{shard}/attacks.csv" for shard in shards],
            "layers": [f"<results>/layers/{trained}.{forget_set}.csv" for trained, forget_set in pairs],
            "gates": [f"<results>/gates/{name}.csv" for name in names],
            **{
                table: [f"<results>/kinship/{name}/{table}.csv" for name in self.study.models]
                for table in ("languages", "properties")
            },
        }

    def tables(self) -> Record:
        """Everything by which the tables name and judge; nothing that changes a cell."""
        cells = self.study.cells
        return {
            "models": {
                name: {
                    "blocks": self.config.models[name].blocks,
                    "languages": self.config.models[name].languages,
                    **({"least": gate.least} if (gate := self.config.models[name].known) else {}),
                }
                for name in self.study.models
            },
            "trained": {name: list(parts) for name, parts in sorted(self.study.trained.items())},
            "layers": in_order(self.config.layers.model_dump()),
            "algorithms": sorted({cell.algorithm for cell in cells}),
            "tables": {name: analyses.load(method).table for name, (method, _) in self.study.analyses.items()},
            "references": [
                list(key)
                for key in sorted(
                    {(c.model, c.training_seed, str(c.sources), c.forget_set, self._oracle(c)) for c in cells}
                )
            ],
            "draws": self.config.evaluation.draws,
            "seed": seed_of(self.config.study.seed, "bootstrap"),
            **({"trainings": found} if (found := self._trainings(cells)) else {}),
        }

    def figures(self) -> Record:
        """What the report says about the study itself."""
        shown = self.study.shown
        return {
            "study": self.config.study.name,
            "models": {name: self.config.models[name].model_dump() for name in self.study.models},
            "protocols": sorted({cell.protocol for cell in self.study.cells}),
            "primary": self.config.study.primary,
            "shown": shown and [list(key) for key in sorted(set(map(_case, shown)))],
            "gates": self.config.gates.model_dump(),
            "source": self.study.corpus.source,
            "one_form": self._one_form(),
            "main": list(self.study.main_setting),
            "files": self.study.files,
            "algorithms": self._algorithms(),
            "taught": self._taught(),
            "relearned": self._relearned(),
            "verdict": self.config.verdict.model_dump(),
            "trainings": {name: len(own) for name, own in self._trainings(self.study.cells).items()},
        }

    def _taught(self) -> dict[str, str]:
        """The attacks that teach facts again in one language, and which."""
        own = {name: own["language"] for name, (method, own) in self.study.attacks.items() if method == "relearning"}
        return {name: language for name, language in own.items() if language != "sources"}

    def _relearned(self) -> list[str]:
        """The attacks that train a model again on what was forgotten, or on what was kept."""
        return [name for name, (method, _) in self.study.attacks.items() if method in ("relearning", "retraining")]

    def _one_form(self) -> bool:
        """Whether every question has one wording, which unlearning reads: no other is left to ask in."""
        source = sources.load(self.study.corpus.source)
        one_form = getattr(source, "one_form", None)
        return one_form is not None and one_form(source.Settings.model_validate(self.study.corpus.settings))

    def _algorithms(self) -> dict[str, dict[str, str]]:
        """What figures know of each algorithm, in the order of the grids: its method, and what this says of itself."""
        found = {}
        for name in dict.fromkeys(a for g in self.config.study.grids for a in self.config.grids[g].algorithms):
            method = self.study.method(name)
            kind = unlearn.load(method)
            found[name] = {"method": method, "family": kind.family, "paper": kind.paper, "intent": kind.intent}
        return found

    def notebooks(self) -> Record:
        """The same, and where the tables were published, if the notebooks are to read them there."""
        return {**self.figures(), **publishing.notebooks(self.config)}

    def notebook_inputs(self) -> list[str]:
        return ["<results>/published.csv"] if publishing.notebooks(self.config) else []

    def publishing(self) -> Record:
        trackers = publishing.chosen(self.config.publishing)
        return {"study": self.config.study.name, "config": self.study.of_record(), "trackers": trackers}

    def published_figures(self) -> list[str]:
        """All figures; but the notebooks', where those are drawn from what this publishes."""
        names = (*FIGURES, *(() if self.notebook_inputs() else NOTEBOOKS))
        return [f"<results>/figures/{name}.svg" for name in names]

    def published_with_study(self) -> list[str]:
        return ["<results>/published.csv"] if self.config.publishing.with_study else []

    def paper(self) -> Record:
        """What the study says of itself in the paper; what it was computed with stands in its records."""
        about = {"about": self.figures(), "provenance": None, "seed": self.config.study.seed}
        return {**about, "config": self.study.of_record()}

    def model_records(self) -> list[str]:
        return [f"<results>/models/{name}/record.json" for name in sorted(self.study.trained)]

    def frozen(self, wildcards: Wildcards) -> Record:
        """The same of the reference run, as it was frozen."""
        kept = read_json(frozen.FOLDER / frozen.PROVENANCE)
        return {"about": self.frozen_about(wildcards), "provenance": kept, "seed": kept["seed"]}

    def frozen_about(self, wildcards: Wildcards) -> Record:
        return read_json(frozen.FOLDER / frozen.ABOUT)

    def of_board(self) -> list[str]:
        """Tables of other studies that the paper tells of."""
        return [project.path(name) for name in files.of_board()]

    def compiler(self, wildcards: Wildcards) -> dict[str, str]:
        """What makes the PDF: another version may set the same text in other bytes."""
        return {"typst": metadata.version("typst")}

    def frozen_tables(self) -> list[str]:
        return [str(frozen.FOLDER / f"{name}.parquet") for name in TABLES]


def _case(cell: Cell) -> tuple:
    """What cells share that figures show together."""
    return cell.model, cell.training_seed, str(cell.sources), cell.retain, cell.forget_set, cell.protocol


def _known(what: str, name: str, found: Mapping[str, T]) -> T:
    """What a wildcard names; a target that the study does not have gets an error that says which there are."""
    if name not in found:
        raise ValueError(unknown_name(what, name, found))
    return found[name]


def _pattern(names: Iterable[str]) -> str:
    """A pattern of names; without any, one that no name has."""
    return "|".join(map(re.escape, names)) or "-"


def _evaluated(names: Iterable[str]) -> dict[str, list[str]]:
    """What trained models answered."""
    return {kind: [f"<results>/evaluations/{name}/{kind}.parquet" for name in names] for kind in ("tokens", "answers")}


def _code(room: str, method: str) -> str:
    """The digest of what computes one attack or analysis."""
    return code_digest(f"mute.{room}.shard", f"mute.{room}.{method}")


def share_code() -> None:
    """Let every job import this very package, whatever is installed: it is the code whose digests are tracked."""
    own, given = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if own not in given:
        os.environ["PYTHONPATH"] = os.pathsep.join([own, *filter(None, given)])


# A step of training frees what the next one needs again: kept, and in large pages, it costs 8 % less time and tens of
# megabytes more, and the results are the same bit by bit. 32 MiB is the most that glibc takes as a threshold.
_KEPT = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=1073741824"


def keep_memory() -> None:
    """Let every job keep memory that it frees for what it needs next, where the C library is glibc.

    Settings that the user gives to it stand.
    """
    os.environ.setdefault("GLIBC_TUNABLES", _KEPT)
