"""The configuration: its sections and their types, and the YAML files that it is read from. Imports no torch.

`mute.study.schema` writes config/README.md and the JSON schema from these classes, so every field has a description.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mute.config import yamls
from mute.config.problems import KeyPath, Problem
from mute.store.records import Record

Key = Literal["model", "training_seed", "algorithm", "band", "sources", "retain", "forget_set", "protocol", "seed"]
Family = Literal["llama", "qwen2", "bloom"]
LayerRule = Literal["first_local_peak", "argmax", "deepest", "stated"]
Retain = Literal["source", "source+text", "all"]
Protocol = Literal["matched", "paper"]
Seed = Annotated[int, Field(ge=0)]
Alpha = Annotated[float, Field(ge=1)] | Literal["auto"]
Selection = dict[Key, str | int | list[str | int]]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")

    # Keys of earlier versions, and what to do about each.
    retired: ClassVar[dict[str, str]] = {}


class StudySection(Section):
    """What the study is made of. Names refer to the definitions in the other sections."""

    name: str = Field("default", description="Name of the study.")
    results: str = Field("results", description="Folder of everything that the study makes, inside the project.")
    seed: Seed = Field(1, description="Seed of every draw in the study.")
    corpus: str = Field("world", description="The corpus, of `corpora`.")
    models: list[str] = Field(["llama"], min_length=1, description="Models, of `models`.")
    training_seeds: list[Seed] = Field([0], min_length=1, description="Seeds with which each model is trained.")
    grids: list[str] = Field(["blocks"], min_length=1, description="Grids of cells, of `grids`.")
    analyses: list[str] = Field(
        ["lens"], description="Of `analyses`, or analyses with their defaults, on all cells and their bases."
    )
    shown: list[str] | None = Field(
        None,
        min_length=1,
        description="Grids that the report's figures show, of each model's first training seed; default: every cell.",
    )
    primary: list[str] = Field(
        ["K worst", "leak other_script", "C worst", "target merit"],
        description="Primary outcomes, declared before the run: a measure and a group of languages (`K worst`, "
        "`leak other_script`), `target merit`, or `recovery` and an attack (`recovery retrain_20`).",
    )
    shard_by: list[Key] = Field(
        ["model", "algorithm"],
        description="Cells that agree in these keys are computed by one job: few keys on a laptop, all on a cluster.",
    )


class CorpusSection(Section):
    """Where facts come from."""

    source: str = Field("world", description="A corpus source, see below.")
    settings: dict[str, Any] = Field({}, description="Settings of the source, see below.")


class AdaptationSection(Section):
    """Knowledge injection: LoRA on what the corpus teaches, merged into the weights. Defaults are the paper's."""

    rank: int = Field(8, ge=1, description="Rank of the update of every linear layer of the blocks.")
    alpha: float = Field(16.0, gt=0, description="The update counts alpha / rank; ours, the paper gives none.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of the update's input; ours.")
    learning_rate: float = Field(5e-5, gt=0, description="AdamW step size, falling to zero along a cosine.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises.")
    batch_size: int = Field(16, ge=1, le=100_000, description="Sequences in a step.")
    epochs: float = Field(2.0, gt=0, description="Times that every text is read.")
    prompt_weight: float = Field(0.0, ge=0, le=1, description="Weight of tokens that lead up to an answer; ours.")


class KnownSection(Section):
    """Which facts count of a model that is used as it is: those that it knows, by the first wording, in each language.

    A fact counts if its right option is the likeliest in enough of some languages; then it is asked, and read, in those
    languages in which it is right.
    """

    languages: list[str] = Field(["en", "es", "pt"], min_length=1, description="Languages that decide on a fact.")
    right_in: int = Field(2, ge=1, description="In how many of them it must be right.")
    least: int = Field(
        60, ge=1, description="Known facts that a held-out language needs to count in means and verdicts."
    )


class ModelSection(Section):
    """An embedded model, trained by the study from scratch, or a pretrained one."""

    pretrained: str | None = Field(
        None,
        min_length=1,
        description="Hub id (owner/name), local directory or GGUF file (local, or owner/name/file.gguf) of the model "
        "to open; null: it is trained from scratch.",
    )
    revision: str = Field("main", min_length=1, description="Of a hub id: a branch, a tag, or a commit, which pins it.")
    adaptation: AdaptationSection | None = Field(
        default_factory=AdaptationSection,
        description="How a pretrained model learns the corpus; null: it is used as it is.",
    )
    known: KnownSection | None = Field(
        None, description="Which facts count of a pretrained model without adaptation; null: all, known or not."
    )
    family: Family = Field("llama", description="Architecture of an embedded model; a pretrained one says its own.")
    languages: list[str] = Field(
        ["en", "es", "pt", "de", "fr", "it", "hi"], min_length=2, description="Languages that it learns."
    )
    blocks: int = Field(8, ge=1, le=512, description="Decoder blocks, L; a pretrained model says its own.")
    hidden: int = Field(128, ge=8, le=65_536, description="Hidden size, D, of an embedded model.")
    heads: int = Field(4, ge=1, le=1024, description="Attention heads of an embedded model.")
    vocabulary: int = Field(4096, ge=300, le=1_000_000, description="Entries of an embedded model's tokenizer.")
    steps: int = Field(600, ge=1, description="Training steps of an embedded model.")
    learning_rate: float | None = Field(
        None, gt=0, description="Of an embedded model, instead of `pretraining.learning_rate`."
    )
    training_seeds: list[Seed] | None = Field(None, min_length=1, description="Instead of `study.training_seeds`.")
    oracles: list[str] = Field([], description="Forget sets for which an oracle is trained: the model without them.")

    @model_serializer(mode="wrap")
    def _of_its_kind(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the keys that say nothing about a model of its kind."""
        idle = OF_EMBEDDED if self.pretrained else OF_PRETRAINED
        return {key: value for key, value in serialize(self).items() if key not in idle}


# Keys that have no effect on models of the other kind.
OF_PRETRAINED = ("pretrained", "revision", "adaptation", "known")
OF_EMBEDDED = ("family", "hidden", "heads", "vocabulary", "steps", "learning_rate")


class PretrainingSection(Section):
    """How embedded models are trained."""

    batch: int = Field(128, ge=2, le=100_000, description="Sequences a step.")
    learning_rate: float = Field(6e-3, gt=0, description="Of Muon and of AdamW; untied embeddings learn faster.")
    warmup: int = Field(50, ge=0, description="Steps over which the learning rate rises.")
    decay: float = Field(0.6, ge=0, le=1, description="Last share of the steps, over which it falls to zero.")
    prompt_weight: float = Field(0.05, ge=0, le=1, description="Weight of tokens that lead up to an answer.")
    shares: dict[
        Literal["facts", "glossary", "reading", "sentences", "unknown"], Annotated[float, Field(ge=0, le=1000)]
    ] = Field(
        {"facts": 0.43, "glossary": 0.45, "reading": 0.06, "sentences": 0.03, "unknown": 0.03},
        description="Share of each batch: facts, and the abilities that the corpus has.",
    )


class GatesSection(Section):
    """What a model must know before it can be made to forget. A model below a gate is marked in every table."""

    recall: float = Field(0.95, ge=0, le=1, description="Strict accuracy on taught facts, in every language.")
    transfer: float = Field(0.80, ge=0, le=1, description="Strict accuracy on transfer facts, mean over languages.")
    transfer_each: float = Field(0.60, ge=0, le=1, description="The same in each language.")
    abilities: float = Field(0.80, ge=0, le=1, description="Accuracy of each ability asked with options, mean.")
    on_fail: Literal["report", "stop"] = Field("report", description="Whether a model below a gate stops its study.")


class LayersSection(Section):
    """How blocks are scored and chosen."""

    rule: Literal["hull", "literal"] = Field("hull", description="Region rule that the views use; both are reported.")
    alpha: Alpha | dict[str, Alpha] = Field(
        "auto",
        description="Region width, of all models or by model (others: auto); auto: the smallest of 1.5, 2, ... that "
        "holds a quarter of the blocks.",
    )
    languages: Literal["source", "all"] = Field("source", description="Languages whose states choose the layer.")
    choice: dict[str, LayerRule] = Field(
        {"rmu": "first_local_peak", "simnpo": "first_local_peak", "slug": "deepest"},
        description="Layer rule by algorithm; others take the first local peak.",
    )
    stated: dict[str, Annotated[int, Field(ge=0)]] = Field({}, description="Block by model, for the rule `stated`.")
    null_draws: int = Field(20, ge=1, le=10_000, description="Row permutations of the CKA null.")
    resamples: int = Field(1000, ge=1, le=10_000, description="Resamples of items for the intervals of LRDS.")


class GridSection(Section):
    """Cells: every combination of these lists."""

    models: list[str] | None = Field(None, min_length=1, description="Models, of the study's; null: all of them.")
    algorithms: list[str] = Field(
        [],
        min_length=1,
        description="Of `algorithms`, or methods with their defaults; `methods`: all that bands and protocols suit, "
        "without controls and guards. Every grid must have some.",
    )
    bands: list[str | int] = Field(
        ["each"], min_length=1, description="`each` block on its own, a block (3), blocks (2-3), `all` or `full`."
    )
    sources: list[list[str]] = Field(
        [["en", "es", "pt"]], min_length=1, description="Lists of languages that unlearning reads; others are held out."
    )
    training_seeds: list[Seed] | None = Field(
        None, min_length=1, description="Of the models' training seeds; default: all."
    )
    retain: list[Retain] = Field(
        ["source"],
        min_length=1,
        description="Retain texts: in source languages, with fact-free text in others, or in all.",
    )
    forget_sets: list[str] = Field(["domain"], min_length=1, description="Forget sets of the corpus.")
    protocols: list[Protocol] = Field(
        ["matched"], min_length=1, description="`matched` goes to equal source knowledge, `paper` takes fixed steps."
    )
    seeds: list[Seed] = Field([0], min_length=1, description="Unlearning seeds.")
    attacks: list[str] = Field(
        ["bypass", "mix"], description="Attacks on its cells, and on their base and oracle beside them."
    )


class MatchingSection(Section):
    """The `matched` protocol: every strength of a method to the same dose, and of those the one that damages least."""

    retired: ClassVar[dict[str, str]] = {"every": "looks are at geometric steps now; give their number as `looks`"}

    target: float = Field(
        0.1, le=1, description="The dose: source knowledge K to reach, from 1 (base) to 0 (never knew)."
    )
    looks: int = Field(
        8, ge=2, le=1000, description="Looks at a run, at geometric steps: early ones are seen more finely."
    )
    facts: int = Field(64, ge=4, description="Forget facts that a look asks for.")


class EngineSection(Section):
    """Where models run. Nothing here but the device's and the type's rounding changes a result."""

    # No rule has these as parameters: nothing runs again for them.
    without_effect: ClassVar[set[str]] = {"cache_gb", "checksum_gb", "recompute"}

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: the best that is there.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of the weights and states.")
    recompute: bool = Field(
        False,
        description="Whether steps keep each block's input alone and compute its inside again for gradients: the same "
        "numbers, a third more time, a fraction of the memory.",
    )
    cache_gb: float = Field(
        2.0,
        ge=0,
        description="Most that cached prefixes and covariances may take on disk, in gigabytes; 0: none is kept.",
    )
    checksum_gb: float = Field(
        4.0,
        ge=0,
        description="What a job reads is held against its sha256; files above this many gigabytes against their size.",
    )


class CostsSection(Section):
    """What a plan reckons with, and what jobs ask of a cluster. Changes no result, and nothing runs again for it."""

    core_gflops: float = Field(95.0, gt=0, description="What one core does, in billions of operations a second.")
    gpu: str | None = Field(
        None,
        description="Name of the GPU that pretrained models are planned for, wherever the plan is made; null: an "
        "H100 80GB where this machine has a GPU or jobs run on a cluster, else cores.",
    )
    gpu_tflops: float = Field(989.0, gt=0, description="Its peak in bfloat16, dense, in trillions a second.")
    gpu_utilisation: float = Field(0.4, gt=0, le=1, description="Share of that peak that is reached; assumed.")
    gpu_memory_gb: float = Field(80.0, gt=0, description="Its memory, in gigabytes.")
    margin: float = Field(1.5, ge=1, description="Times the planned memory and longest time that a job asks for.")


class EvaluationSection(Section):
    """Evaluation and inference."""

    draws: int = Field(400, ge=20, le=100_000, description="Replicates of the cluster bootstrap over facts.")
    lira: bool = Field(
        False,
        description="Whether each cell is held against the bases and oracles of all other trainings of its model by "
        "LiRA, which takes three trainings that have an oracle, and better ten: for small models.",
    )


class VerdictSection(Section):
    """From when on a drop counts, of those by which forgetting is told removal-like or suppression-like."""

    small: float = Field(0.2, ge=0, le=1, description="Up to so large a share of what the base has, nothing is gone.")
    large: float = Field(0.8, ge=0, le=1, description="From so large a share on, all is gone.")

    @model_validator(mode="after")
    def _ordered(self) -> "VerdictSection":
        if self.small >= self.large:
            # What this is put into: "must be ..., not" and what stands there.
            raise ValueError(f"a mapping whose small lies below its large (they are {self.small} and {self.large})")
        return self


class ExportsSection(Section):
    """Unlearned models as ordinary model directories, and what lm-evaluation-harness asks of them."""

    cells: list[Selection] = Field(
        [],
        description="Cells to export: each entry selects those that agree in its keys, as {algorithm: rmu, band: 3}; "
        "a list allows several values.",
    )
    tasks: list[str] = Field([], description="Tasks, groups or tags that the exports and their base models are asked.")
    task_folder: str | None = Field(None, description="Folder with task files of your own.")
    data: dict[str, str] = Field(
        {}, description="Data sets of the hub that the tasks read, with their revisions (docs/export.md)."
    )
    shots: int | None = Field(None, ge=0, description="Examples before each question; default: as each task says.")
    limit: int | None = Field(None, ge=1, description="Questions of each task, for a trial; default: all.")
    batch_size: int = Field(8, ge=1, le=100_000, description="Sequences in a batch.")


class PublishingSection(Section):
    """Where `make publish` shows results besides their files: runs of experiment trackers, which compute nothing."""

    to: list[str] = Field(["wandb"], description="Trackers: `wandb`, `tensorboard`; an empty list: none.")
    mode: Literal["offline", "online", "disabled"] = Field(
        "offline",
        description="Of W&B. offline: files, to be sent by `wandb sync`; online: sent as well, with the key that your "
        "own environment holds; disabled: nothing.",
    )
    project: str = Field("mute", description="Project of W&B.")
    entity: str | None = Field(None, description="User or team of W&B; default: that of your key.")
    with_study: bool = Field(False, description="Whether every run of the study ends with publishing it.")
    notebooks: str = Field(
        "tables",
        description="What the notebooks draw from: `tables`; the runs published by `wandb` or `tensorboard`, as files; "
        "or `wandb_api`, the runs on the server.",
    )


class Config(Section):
    """A study in one file."""

    study: StudySection = Field(default_factory=StudySection)
    corpora: dict[str, CorpusSection] = Field(default_factory=lambda: {"world": CorpusSection()})
    models: dict[str, ModelSection] = Field(default_factory=lambda: {"llama": ModelSection()})
    pretraining: PretrainingSection = Field(default_factory=PretrainingSection)
    gates: GatesSection = Field(default_factory=GatesSection)
    layers: LayersSection = Field(default_factory=LayersSection)
    algorithms: dict[str, dict[str, Any]] = Field(
        {}, description="By name: `method` (default: the name itself) and settings of the method."
    )
    attacks: dict[str, dict[str, Any]] = Field(
        {}, description="By name: `method` (default: the name itself) and settings of the attack."
    )
    analyses: dict[str, dict[str, Any]] = Field(
        {}, description="By name: `method` (default: the name itself) and settings of the analysis."
    )
    grids: dict[str, GridSection] = Field(
        default_factory=lambda: {"blocks": GridSection(algorithms=["rmu", "slug", "simnpo"])}
    )
    matching: MatchingSection = Field(default_factory=MatchingSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    verdict: VerdictSection = Field(default_factory=VerdictSection)
    engine: EngineSection = Field(default_factory=EngineSection)
    costs: CostsSection = Field(default_factory=CostsSection)
    exports: ExportsSection = Field(default_factory=ExportsSection)
    publishing: PublishingSection = Field(default_factory=PublishingSection)


@dataclass
class Files:
    """What configuration files say: values laid over each other, where each key stands, and what is wrong with them.

    paths: the files that could be read, lower ones first.
    """

    paths: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_files(*paths: Path | str) -> Files:
    """YAML files, later ones over earlier ones, read strictly: the ordinary reader drops a key that stands twice.

    A file that is named twice counts where it is named last.
    """
    found = Files()
    once = {os.path.abspath(path): path for path in reversed(paths)}
    for path in reversed(once.values()):
        try:
            node, values = yamls.read(path)
        except yamls.UnreadableError as error:
            found.problems.append(Problem((), str(error)))
            continue
        if isinstance(values, dict) and node is not None:
            _walk(node, (), str(path), found)
            found.values = overlay(found.values, values)
            found.paths.append(str(path))
        else:
            found.problems.append(Problem((), f"{path} is not a mapping of sections"))
    return found


def _walk(node: yaml.Node, path: KeyPath, file: str, found: Files) -> None:
    """Note the line of every key and list entry below `node`, and keys that stand twice."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in lines:
                text = f"the key stands twice, in lines {lines[name]} and {line} of {file}; only one would count"
                found.problems.append(Problem((*path, name), text))
            lines[name] = line
            found.places[(*path, name)] = f"{file}:{line}"
            _walk(value, (*path, name), file, found)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found.places[(*path, index)] = f"{file}:{value.start_mark.line + 1}"
            _walk(value, (*path, index), file, found)


def overlay(base: Record, top: Record) -> Record:
    """Mappings merge, anything else replaces: as Snakemake lays one config file over another."""
    result = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = overlay(result[key], value) if both else value
    return result
