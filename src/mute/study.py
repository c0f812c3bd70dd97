"""The study: its configuration, its cells, and how they are cut into jobs. Imports no torch."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mute import languages, unlearn
from mute.corpus import sources
from mute.names import NAME_PATTERN, check_name, unknown_name

COVERAGES = ("source", "source+text", "all")
PROTOCOLS = ("matched", "paper")
CELL_KEYS = ("model", "training_seed", "algorithm", "band", "sources", "retain", "forget_set", "protocol", "seed")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StudySection(Section):
    """What the study is made of; names refer to the definitions in the other sections."""

    name: str = Field("default", description="Name of the study.")
    results: str = Field("results", description="Folder of everything that the study makes, relative to the project.")
    seed: int = Field(1, ge=0, description="Seed of every draw in the study.")
    corpus: str = Field("world", description="The corpus, one of `corpora`.")
    models: list[str] = Field(["llama"], min_length=1, description="Models, of `models`.")
    training_seeds: list[int] = Field([0], min_length=1, description="Seeds with which each model is trained.")
    grids: list[str] = Field(["blocks"], min_length=1, description="Grids of cells, of `grids`.")
    primary: list[str] = Field(
        ["K heldout", "C heldout", "B heldout"], description="Primary outcomes, declared before the run: measure and group."
    )
    shard_by: list[Literal["model", "training_seed", "algorithm", "band", "sources", "retain", "forget_set", "protocol", "seed"]] = (
        Field(["model", "algorithm"], description="Cells that agree in these keys are computed by one job.")
    )


class CorpusSection(Section):
    """A corpus: where its facts come from."""

    source: str = Field("world", description="A module of mute/corpus/sources.")
    settings: dict[str, Any] = Field({}, description="Settings of the source.")


class ModelSection(Section):
    """An embedded model, trained by the study."""

    family: Literal["llama", "qwen2", "bloom"] = Field("llama", description="Architecture.")
    languages: list[str] = Field(["en", "es", "pt"], min_length=2, description="Languages that it learns.")
    blocks: int = Field(8, ge=1, le=128, description="Decoder blocks, L.")
    hidden: int = Field(128, ge=8, description="Hidden size, D.")
    heads: int = Field(4, ge=1, description="Attention heads.")
    vocabulary: int = Field(4096, ge=300, description="Entries of its tokenizer.")
    steps: int = Field(600, ge=1, description="Training steps.")
    oracles: list[str] = Field([], description="Forget sets for which an oracle is trained: the model without them.")


class PretrainingSection(Section):
    """How embedded models are trained."""

    batch: int = Field(192, ge=2, description="Sequences a step.")
    learning_rate: float = Field(4e-3, gt=0, description="Of Muon and of AdamW.")
    warmup: int = Field(50, ge=0, description="Steps over which the learning rate rises.")
    decay: float = Field(0.3, ge=0, le=1, description="Last share of the steps, over which it falls to zero.")
    prompt_weight: float = Field(0.05, ge=0, le=1, description="Weight of tokens that lead up to an answer.")
    shares: dict[str, float] = Field(
        {"facts": 0.6, "glossary": 0.19, "reading": 0.13, "sentences": 0.05, "unknown": 0.03},
        description="Shares of each batch: facts and each ability.",
    )


class GatesSection(Section):
    """What a model must know before it can be made to forget. A model below a gate is marked in every table."""

    recall: float = Field(0.95, ge=0, le=1, description="Strict accuracy on taught facts, in every language.")
    transfer: float = Field(0.80, ge=0, le=1, description="Strict accuracy on transfer facts, mean of held-out languages.")
    transfer_each: float = Field(0.60, ge=0, le=1, description="The same in each held-out language.")
    abilities: float = Field(0.80, ge=0, le=1, description="Accuracy of each ability that is asked with options, mean.")
    on_fail: Literal["report", "stop"] = Field("report", description="Whether a model below a gate stops the study.")


class LayersSection(Section):
    """How blocks are scored and chosen."""

    rule: Literal["hull", "literal"] = Field("hull", description="Region rule that the views use; both are reported.")
    alpha: float | Literal["auto"] = Field("auto", description="Region width; auto: smallest of 1.5, 2, .. that holds 25 %.")
    languages: Literal["source", "all"] = Field("source", description="Languages whose states choose the layer.")
    choice: dict[str, Literal["first_local_peak", "argmax", "deepest", "stated"]] = Field(
        {"rmu": "first_local_peak", "simnpo": "first_local_peak", "slug": "deepest"},
        description="Layer rule per algorithm; others take the first local peak.",
    )
    stated: dict[str, int] = Field({}, description="Block per model for the rule `stated`.")
    null_draws: int = Field(20, ge=1, description="Row permutations of the CKA null.")


class GridSection(Section):
    """Cells: every combination of these lists."""

    models: list[str] | None = Field(None, description="Models, of the study's; null: all.")
    algorithms: list[str] = Field(min_length=1, description="Names in `algorithms`, or of methods with their defaults.")
    bands: list[str | int] = Field(["each"], min_length=1, description="`each` block, a block, `2-3`, `all` or `full`.")
    sources: list[list[str]] = Field([["en", "es", "pt"]], min_length=1, description="Languages unlearning reads.")
    retain: list[Literal["source", "source+text", "all"]] = Field(
        ["source"], min_length=1, description="Retain texts: in source languages, with fact-free text in the others, in all."
    )
    forget_sets: list[str] = Field(["domain"], min_length=1, description="Forget sets of the corpus.")
    protocols: list[Literal["matched", "paper"]] = Field(["matched"], min_length=1, description="Stopping protocols.")
    seeds: list[int] = Field([0], min_length=1, description="Unlearning seeds.")


class MatchingSection(Section):
    """The `matched` protocol: stop at the first point where the source languages have forgotten."""

    target: float = Field(0.05, description="Source knowledge K to reach, from 1 (base) to 0 (never knew).")
    every: int = Field(4, ge=1, description="Steps between looks.")
    facts: int = Field(96, ge=4, description="Forget facts that a look asks for.")


class EvaluationSection(Section):
    """Evaluation and inference."""

    draws: int = Field(400, ge=20, description="Replicates of the cluster bootstrap over facts.")
    mix: float = Field(0.5, gt=0, lt=1, description="Scalar of the second bypass: (1 - mix) identity + mix block.")


class Config(Section):
    """A study in one file."""

    study: StudySection = Field(default_factory=StudySection)
    corpora: dict[str, CorpusSection] = Field(default_factory=lambda: {"world": CorpusSection()})
    models: dict[str, ModelSection] = Field(default_factory=lambda: {"llama": ModelSection()})
    pretraining: PretrainingSection = Field(default_factory=PretrainingSection)
    gates: GatesSection = Field(default_factory=GatesSection)
    layers: LayersSection = Field(default_factory=LayersSection)
    algorithms: dict[str, dict[str, Any]] = Field({}, description="Per name: `method` (default: the name) and its settings.")
    grids: dict[str, GridSection] = Field(default_factory=dict)
    matching: MatchingSection = Field(default_factory=MatchingSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)


class ConfigError(ValueError):
    """Everything that is wrong with a configuration, one line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("the configuration cannot be used:\n" + "\n".join(f"  - {p}" for p in self.problems))


@dataclass(frozen=True)
class Cell:
    """One unlearning run. `sources` are codes joined by '-'."""

    model: str
    training_seed: int
    algorithm: str
    band: str
    sources: str
    retain: str
    forget_set: str
    protocol: str
    seed: int

    @property
    def trained(self) -> str:
        """Name of the trained model that it edits."""
        return trained_name(self.model, self.training_seed)

    @property
    def tuning(self) -> str:
        """Name of the tuning that gives its strength: it differs between cells in nothing but band, seed and protocol."""
        return f"{self.trained}.{self.algorithm}.{self.forget_set}.{self.sources}.{self.retain.replace('+', '-')}"

    def key(self) -> dict[str, Any]:
        return asdict(self)


def trained_name(model: str, training_seed: int, oracle: str | None = None) -> str:
    """Name of a trained model's folder; `oracle` is the forget set that it never saw."""
    return f"{model}-s{training_seed}" + (f"-without-{oracle}" if oracle else "")


class Study:
    """A checked configuration and what follows from it. Raises ConfigError with all problems at once."""

    def __init__(self, config: dict[str, Any]) -> None:
        try:
            self.config = Config.model_validate(config)
        except ValidationError as error:
            raise ConfigError(_messages(error, config)) from None
        problems = list(_problems(self.config))
        if problems:
            raise ConfigError(dict.fromkeys(problems))

    @classmethod
    def read(cls, *paths: Path | str) -> "Study":
        """The study of YAML files, later ones overlaying earlier ones."""
        merged: dict[str, Any] = {}
        for path in paths:
            merged = overlay(merged, read_yaml(path))
        return cls(merged)

    @property
    def models(self) -> list[str]:
        return self.config.study.models

    @property
    def corpus(self) -> CorpusSection:
        return self.config.corpora[self.config.study.corpus]

    @cached_property
    def languages(self) -> list[str]:
        """Every language of the study's models, in the order of their first mention."""
        return list(dict.fromkeys(code for name in self.models for code in self.config.models[name].languages))

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells, each once, in the order of the grids; bands in order of their first block."""
        found: dict[Cell, None] = {}
        for grid_name in self.config.study.grids:
            grid = self.config.grids[grid_name]
            for model in grid.models or self.models:
                if model not in self.models:
                    continue
                for algorithm, band, source, retain, forget_set, protocol, training_seed, seed in itertools.product(
                    grid.algorithms,
                    expand_bands(grid.bands, self.config.models[model].blocks),
                    grid.sources,
                    grid.retain,
                    grid.forget_sets,
                    grid.protocols,
                    self.config.study.training_seeds,
                    grid.seeds,
                ):
                    cell = Cell(
                        model, training_seed, algorithm, band, "-".join(source), retain, forget_set, protocol, seed
                    )
                    found[cell] = None
        return sorted(found, key=_order)

    @cached_property
    def shards(self) -> dict[str, list[Cell]]:
        """Cells by job."""
        result: dict[str, list[Cell]] = {}
        for cell in self.cells:
            values = (str(getattr(cell, key)).replace("+", "-") for key in self.config.study.shard_by)
            result.setdefault(".".join(values) or "study", []).append(cell)
        return result

    @cached_property
    def trained(self) -> dict[str, tuple[str, int, str | None]]:
        """Trained models by name: model, training seed, and the forget set that an oracle never saw."""
        result: dict[str, tuple[str, int, str | None]] = {}
        for model, seed in itertools.product(self.models, self.config.study.training_seeds):
            for oracle in (None, *self.config.models[model].oracles):
                result[trained_name(model, seed, oracle)] = (model, seed, oracle)
        return result

    def oracle(self, model: str, training_seed: int, forget_set: str) -> str | None:
        """Name of the oracle of a model for a forget set, if the study trains one."""
        name = trained_name(model, training_seed, forget_set)
        return name if name in self.trained else None

    def method(self, algorithm: str) -> str:
        """The method behind a name in `algorithms`."""
        return self.config.algorithms.get(algorithm, {}).get("method", algorithm)

    def settings(self, algorithm: str) -> dict[str, Any]:
        """All settings of an algorithm, defaults filled in, as builtins."""
        given = {k: v for k, v in self.config.algorithms.get(algorithm, {}).items() if k != "method"}
        return unlearn.load(self.method(algorithm)).Settings.model_validate(given).model_dump()

    def tuned_cells(self, tuning: str) -> list[Cell]:
        """Cells whose strength comes from a tuning."""
        return [cell for cell in self.cells if cell.tuning == tuning and cell.protocol == "matched"]

    def heldout(self, model: str, source: str) -> list[str]:
        """Languages of a model that unlearning does not read."""
        return [code for code in self.config.models[model].languages if code not in source.split("-")]


def _order(cell: Cell) -> tuple:
    """Shards stay together; within one, whole-model bands first, then blocks from below: states move upwards."""
    first = -1 if cell.band in ("all", "full") else int(cell.band.split("-")[0])
    key = (cell.model, cell.training_seed, cell.algorithm, cell.forget_set, cell.sources, cell.retain)
    return (*key, first, cell.band, cell.protocol, cell.seed)


def expand_bands(bands: list[str | int], blocks: int) -> list[str]:
    """Names of bands with `each` replaced by every block."""
    result: list[str] = []
    for band in bands:
        result += [str(block) for block in range(blocks)] if band == "each" else [str(band)]
    return list(dict.fromkeys(result))


def overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Mappings merge, anything else replaces: as Snakemake lays one config file over another."""
    result = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = overlay(result[key], value) if both else value
    return result


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, which the ordinary loader drops in silence."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key) for key, _ in node.value]
    repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
    if repeated:
        raise ConfigError([f"line {node.start_mark.line + 1}: key {', '.join(map(repr, repeated))} stands twice"])
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """A YAML mapping from a file. Raises ConfigError on bad syntax and on a key that stands twice."""
    try:
        loaded = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_StrictLoader)
    except ConfigError as error:
        raise ConfigError(f"{path}, {problem}" for problem in error.problems) from None
    except (yaml.YAMLError, OSError) as error:
        raise ConfigError([f"{path} cannot be read: {error}"]) from None
    if not isinstance(loaded, dict):
        raise ConfigError([f"{path} is not a mapping of sections"])
    return loaded


def _messages(error: ValidationError, config: dict[str, Any]) -> Iterable[str]:
    """One line per problem: the key, the value, what is allowed, and the nearest name."""
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            yield f"{'.'.join(path)}: {unknown_name('key', path[-1], _siblings(Config, path[:-1]))}"
        elif problem["type"] == "literal_error":
            allowed = [a.strip("'") for a in problem["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            yield f"{'.'.join(path)}: {unknown_name('value', problem['input'], allowed)}"
        else:
            shown = repr(problem["input"])
            yield f"{'.'.join(path)}: {problem['msg']}, not {shown if len(shown) < 80 else shown[:77] + '...'}"


def _siblings(model: Any, path: list[str]) -> list[str]:
    """Keys allowed where `path` leads."""
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            continue  # the name of a definition in a mapping
        found = [a for a in (field.annotation, *getattr(field.annotation, "__args__", ())) if hasattr(a, "model_fields")]
        model = found[0] if found else model
    return list(getattr(model, "model_fields", {}))


def _problems(config: Config) -> Iterable[str]:
    """What the types cannot say: names that refer to nothing, languages and bands that do not fit."""
    study = config.study
    for what, names, allowed in (
        ("study.corpus", [study.corpus], config.corpora),
        ("study.models", study.models, config.models),
        ("study.grids", study.grids, config.grids),
    ):
        yield from (f"{what}: {unknown_name('name', name, allowed)}" for name in names if name not in allowed)
    for section in ("corpora", "models", "grids", "algorithms"):
        for name in getattr(config, section):
            try:
                check_name(name, f"{section}: name")
            except ValueError as error:
                yield str(error)
    if Path(study.results).is_absolute() or ".." in Path(study.results).parts:
        yield f"study.results: {study.results!r} must lie inside the project"
    yield from _repeated("study", study)
    yield from _corpus_problems(config)
    for name in study.models:
        if name in config.models:
            yield from _model_problems(config, name)
    for name in study.grids:
        if name in config.grids:
            yield from _grid_problems(config, name)
    for name in config.algorithms:
        yield from _algorithm_problems(config, name)
    for name, block in config.layers.stated.items():
        if name in config.models and not 0 <= block < config.models[name].blocks:
            yield f"layers.stated.{name}: block {block} is outside a model of {config.models[name].blocks} blocks"


def _repeated(where: str, section: Section) -> Iterable[str]:
    for key, value in section:
        if isinstance(value, list) and len({str(v) for v in value}) < len(value):
            yield f"{where}.{key}: a value stands twice in {value}"


def _corpus_problems(config: Config) -> Iterable[str]:
    corpus = config.corpora.get(config.study.corpus)
    if corpus is None:
        return
    where = f"corpora.{config.study.corpus}"
    if corpus.source not in sources.names():
        yield f"{where}.source: {unknown_name('source', corpus.source, sources.names())}"
        return
    settings = sources.load(corpus.source).Settings
    try:
        settings.model_validate(corpus.settings)
    except ValidationError as error:
        for problem in error.errors():
            path = ".".join([where, "settings", *map(str, problem["loc"])])
            if problem["type"] == "extra_forbidden":
                yield f"{path}: {unknown_name('key', problem['loc'][-1], _siblings(settings, [str(p) for p in problem['loc'][:-1]]))}"
            else:
                yield f"{path}: {problem['msg']}"


def _model_problems(config: Config, name: str) -> Iterable[str]:
    model, where = config.models[name], f"models.{name}"
    yield from _repeated(where, model)
    corpus = config.corpora.get(config.study.corpus)
    if corpus is not None and corpus.source == "world":
        for code in model.languages:
            if code not in languages.codes():
                yield f"{where}.languages: {unknown_name('language', code, languages.codes())}"
    for code in model.languages:
        if not isinstance(code, str) or not code.replace("-", "").isalnum():
            yield f"{where}.languages: {code!r} is no language code"
    if corpus is not None:
        for code in corpus.settings.get("teaching_languages", ["en", "es", "pt"]):
            if code not in model.languages:
                yield f"{where}.languages: teaching language {code!r} of the corpus is missing"
    if model.hidden % model.heads:
        yield f"{where}.hidden: {model.hidden} is no multiple of {model.heads} heads"
    elif model.hidden // model.heads % 2:
        yield f"{where}.hidden: {model.hidden // model.heads} features a head is odd; positions rotate pairs of features"


def _grid_problems(config: Config, name: str) -> Iterable[str]:
    grid, where = config.grids[name], f"grids.{name}"
    yield from _repeated(where, grid)
    for algorithm in grid.algorithms:
        if algorithm not in config.algorithms and algorithm not in unlearn.names():
            known = {*config.algorithms, *unlearn.names()}
            yield f"{where}.algorithms: {unknown_name('algorithm', algorithm, known)}"
    for model_name in grid.models if grid.models is not None else config.study.models:
        model = config.models.get(model_name)
        if model is None:
            if grid.models is not None:
                yield f"{where}.models: {unknown_name('model', model_name, config.models)}"
            continue
        for source in grid.sources:
            for code in source:
                if code not in model.languages:
                    yield f"{where}.sources: {model_name}: {unknown_name('language', code, model.languages)}"
            if set(source) >= set(model.languages):
                yield f"{where}.sources: {'-'.join(source)} leaves no held-out language to {model_name}"
        for band in grid.bands:
            yield from (f"{where}.bands: {model_name}: {text}" for text in _band_problem(str(band), model.blocks))
    for source in grid.sources:
        if len(set(source)) < len(source) or not source:
            yield f"{where}.sources: {source} must be different languages, at least one"


def _band_problem(band: str, blocks: int) -> Iterable[str]:
    if band in ("each", "all", "full"):
        return
    parts = band.split("-")
    if not all(part.isdigit() for part in parts):
        yield unknown_name("band", band, ["each", "all", "full", "a block such as 3", "blocks such as 2-3"])
    elif max(map(int, parts)) >= blocks:
        yield f"band {band} is outside a model of {blocks} blocks (0 to {blocks - 1})"
    elif [int(p) for p in parts] != sorted({int(p) for p in parts}) or any(p != str(int(p)) for p in parts):
        yield f"band {band} must name different blocks in ascending order"


def _algorithm_problems(config: Config, name: str) -> Iterable[str]:
    given, where = dict(config.algorithms[name]), f"algorithms.{name}"
    method = given.pop("method", name)
    if method not in unlearn.names():
        yield f"{where}.method: {unknown_name('method', method, unlearn.names())}"
        return
    settings = unlearn.load(method).Settings
    try:
        settings.model_validate(given)
    except ValidationError as error:
        for problem in error.errors():
            path = ".".join([where, *map(str, problem["loc"])])
            if problem["type"] == "extra_forbidden":
                yield f"{path}: {unknown_name('key', problem['loc'][-1], settings.model_fields)}"
            else:
                yield f"{path}: {problem['msg']}, not {problem['input']!r}"


NAME = NAME_PATTERN
