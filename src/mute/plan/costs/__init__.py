"""What a study costs, before it runs: jobs, seconds, memory and disk of every rule. Imports no torch.

`Costs(study)` knows every job by its rule and name; the workflow asks it for the resources of jobs,
`mute.plan.costs.table` prints it, and `benchmarks/costs.py` holds it against a finished study.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mute.hub import gguf_files
from mute.names import unknown_name
from mute.plan import Wildcards
from mute.plan.costs.footprint import CUDA_CONTEXT, CUDA_PROCESS, PROCESS, Footprint
from mute.plan.costs.work import Workload
from mute.plan.exports import Exports
from mute.study.cells import Cell, Study

# Rules that run a model, and the wildcards that name their jobs.
RULES = {
    "pretrain_model": ("trained",),
    "adapt_model": ("trained",),
    "evaluate_model": ("trained",),
    "score_layers": ("trained", "forget_set"),
    "unlearn_shard": ("shard",),
    "evaluate_shard": ("shard",),
    "attack_shard": ("shard",),
    "analyse_shard": ("shard",),
    "export_model": ("cell",),
    "run_harness": ("evaluated",),
}
# Questions of a task of the harness that has no limit, and what each is answered with: assumed.
HARNESS_QUESTIONS, HARNESS_OPTIONS = 5000, 4
# Bytes a second from the hub: assumed.
_DOWNLOAD = 50e6
# Bytes a second that are copied on a disk: assumed.
_DISK = 500e6
# Bytes of a file of weights, at most, as transformers cuts them.
_FILE = 5e9
# Beyond the planned time a job may start slowly, and share its machine.
_SPARE_MINUTES = 5
# Each further attempt asks for so many times as much.
GROWTH = 2.0
# Snakemake starts itself again inside a job of a cluster.
_SNAKEMAKE_MB = 250


@dataclass(frozen=True)
class Cost:
    """One job. seconds: as planned, and at most; memory, gpu_memory, disk: bytes; gpus: how many it needs."""

    seconds: float
    longest: float
    memory: float = 0.4e9
    gpu_memory: float = 0
    disk: float = 0
    gpus: int = 0


class Costs:
    """The jobs of a study, and what each costs."""

    def __init__(self, study: Study, elsewhere: bool = False) -> None:
        """elsewhere: whether jobs run on the machines of a cluster, of which nothing is known here."""
        self.study, self.config = study, study.config
        self.work = Workload(study, elsewhere)
        self.footprint = Footprint(self.work)
        self._found: dict[tuple[str, str], Cost] = {}

    @cached_property
    def jobs(self) -> dict[str, dict[str, Cost]]:
        """Every job by rule and name, in the order in which rules run."""
        found = {rule: {name: self.cost(rule, name) for name in self.names[rule]} for rule in RULES}
        found |= {"fetch_inputs": self._downloads(), **self._light()}
        order = dict.fromkeys(("fetch_inputs", "make_corpus", "train_tokenizer", *found))
        return {rule: found[rule] for rule in order if found[rule]}

    @property
    def every(self) -> list[Cost]:
        return [job for jobs in self.jobs.values() for job in jobs.values()]

    @property
    def core_seconds(self) -> float:
        """Of all jobs that need no GPU."""
        return sum(job.seconds for job in self.every if not job.gpus)

    @property
    def on_gpu(self) -> bool:
        """Whether any job needs a GPU."""
        return any(map(self.work.needs_gpu, self.study.models))

    @property
    def gpu_seconds(self) -> float:
        return sum(job.seconds for job in self.every if job.gpus)

    @property
    def chain(self) -> float:
        """Seconds with a machine for every job: the longest of each rule, one after the other."""
        return sum(max(job.seconds for job in jobs.values()) for jobs in self.jobs.values())

    @cached_property
    def names(self) -> dict[str, dict[str, None]]:
        """Names of each rule's jobs, as keys: to look one up among thousands. Values of wildcards, joined by dots."""
        study, exports = self.study, Exports(self.study)
        found: dict[str, list[str]] = {rule: list(study.shards) for rule in RULES if RULES[rule] == ("shard",)}
        found["pretrain_model"] = [name for name, parts in study.trained.items() if not self.opened(parts[0])]
        found["adapt_model"] = [name for name, parts in study.trained.items() if self.opened(parts[0])]
        found["evaluate_model"] = list(study.trained)
        found["score_layers"] = sorted({f"{cell.trained}.{cell.forget_set}" for cell in study.cells})
        found["export_model"] = [cell.name for cell in exports.selected]
        found["run_harness"] = list(exports.evaluated()) if self.config.exports.tasks else []
        return {rule: dict.fromkeys(found[rule]) for rule in RULES}

    def opened(self, model: str) -> bool:
        """Whether a model is opened instead of trained."""
        return self.config.models[model].pretrained is not None

    def cost(self, rule: str, name: str) -> Cost:
        """What one job costs. Raises ValueError for one that the study does not have."""
        if (rule, name) not in self._found:
            # Any cell can be exported, by its name.
            if name not in self.names[rule] and rule != "export_model":
                raise ValueError(unknown_name(f"job of {rule}", name, self.names[rule]))
            self._found[rule, name] = getattr(self, f"_{rule}")(name)
        return self._found[rule, name]

    # Resources of the workflow's rules

    def memory(self, rule: str) -> Callable[[Wildcards, int], int]:
        """Megabytes that a job of a rule asks for, as a function of its wildcards and attempt."""
        return lambda wildcards, attempt: self._asked(
            self._of(rule, wildcards).memory / 1e6, _SNAKEMAKE_MB, attempt, to=100
        )

    def runtime(self, rule: str) -> Callable[[Wildcards, int], int]:
        """Minutes that a job may take."""
        return lambda wildcards, attempt: self._asked(self._of(rule, wildcards).longest / 60, _SPARE_MINUTES, attempt)

    def gpus(self, rule: str) -> Callable[[Wildcards], int] | int:
        """GPUs that a job needs: one or none. A number where no job does: Snakemake calls a function for every job."""
        return (lambda wildcards: self._of(rule, wildcards).gpus) if self.on_gpu else 0

    def _asked(self, planned: float, spare: float, attempt: int, to: int = 1) -> int:
        """What is planned, with the study's margin and some to spare, rounded up; more at each attempt."""
        asked = (self.config.costs.margin * planned + spare) * GROWTH ** (attempt - 1)
        return math.ceil(asked / to) * to

    def _of(self, rule: str, wildcards: Wildcards) -> Cost:
        return self.cost(rule, ".".join(str(getattr(wildcards, key)) for key in RULES[rule]))

    # Jobs by rule

    def _job(
        self, models: list[str], seconds: float, memory: tuple[float, float], disk: float, longest: float = 0
    ) -> Cost:
        """A job that runs models. memory: of the host, and where models run; longest: where it is more than usual."""
        gpu = any(map(self.work.needs_gpu, models))
        host, device = memory
        start = self.work.opening(models, sum(map(self.footprint.weights, models)))
        return Cost(
            start + seconds,
            start + max(seconds, longest),
            memory=CUDA_PROCESS + host if gpu else PROCESS + host + device,
            gpu_memory=CUDA_CONTEXT + device if gpu else 0,
            disk=disk,
            gpus=int(gpu),
        )

    def _pretrain_model(self, name: str) -> Cost:
        model, at = self.study.trained[name][0], self.footprint
        return self._job([model], self.work.pretraining(model), at.pretraining(model), at.model(model))

    def _adapt_model(self, name: str) -> Cost:
        model, at = self.study.trained[name][0], self.footprint
        return self._job([model], self.work.adaptation(model), at.adaptation(model), at.adapted(model))

    def _evaluate_model(self, name: str) -> Cost:
        model, at = self.study.trained[name][0], self.footprint
        memory = at.reading(model, self.work.size.forms)
        return self._job([model], self.work.model_evaluation(model), memory, at.tables(model, self.work.size.forms))

    def _score_layers(self, name: str) -> Cost:
        trained, forget_set = name.rsplit(".", 1)
        model = self.study.trained[trained][0]
        every = self.config.layers.languages == "all"
        languages = self.work.languages(model) if every else len(self.study.first_sources(model))
        seconds = self.work.layers(model, forget_set, languages)
        return self._job([model], seconds, self.footprint.capture(model, languages), 10e3)

    def _unlearn_shard(self, name: str) -> Cost:
        cells, at = self.study.shards[name], self.footprint
        benches = {(c.trained, c.forget_set, c.sources, c.retain): c for c in cells}
        once = sum(map(self.work.bench, benches.values()))
        usual, most = (once + sum(self.work.unlearning(cell, *share) for cell in cells) for share in ((), (1,)))
        return self._job(_models(cells), usual, at.unlearning(cells), sum(map(at.cell, cells)), most)

    def _evaluate_shard(self, name: str) -> Cost:
        cells, at, models = self.study.shards[name], self.footprint, _models(self.study.shards[name])
        seconds = sum(map(self.work.questions, models)) + sum(map(self.work.evaluation, cells))
        memory = max(at.reading(model, self.work.size.asked) for model in models)
        return self._job(models, seconds, memory, sum(at.tables(c.model, self.work.size.asked) for c in cells))

    def _attack_shard(self, name: str) -> Cost:
        cells, at = self.study.shards[name], self.footprint
        used = {attack for cell in cells for attack in self.study.attacked[cell]}
        kinds = (self.work.attacked[attack] for attack in used)
        batch = max((kind.cost(settings).batch for kind, settings in kinds), default=0)
        memory = max(at.probing(model, batch) for model in _models(cells))
        return self._job(_models(cells), self.work.attacks(cells), memory, sum(map(at.cell_attacks, cells)))

    def _analyse_shard(self, name: str) -> Cost:
        cells, at = self.study.shards[name], self.footprint
        host, device = max(at.probing(model, 0) for model in _models(cells))
        if any(analysis.reads_oracle() for analysis in self.work.looks.values()):
            # A second model beside the first.
            device += max(map(at.weights, _models(cells)))
        return self._job(_models(cells), self.work.analyses(cells), (host, device), 30e3 * len(cells))

    def _export_model(self, name: str) -> Cost:
        weights = self.footprint.weights(name.split(".")[0])
        seconds = 5 + weights / _DISK
        # One file of weights at a time, as it was and as it becomes.
        return Cost(seconds, seconds, PROCESS + 2 * min(weights, _FILE), disk=weights)

    def _run_harness(self, name: str) -> Cost:
        model = self.study.trained[name][0] if name in self.study.trained else name.split(".")[0]
        asked, shape, tokens = self.config.exports, self.work.shape(model), self.work.size.tokens
        sequences = len(asked.tasks) * (asked.limit or HARNESS_QUESTIONS) * HARNESS_OPTIONS
        logits = asked.batch_size * tokens * shape.vocabulary * 8
        memory = (0, self.footprint.weights(model) + logits)
        return self._job([model], self.work.run(model, sequences, shape.blocks), memory, 20e3)

    def _downloads(self) -> dict[str, Cost]:
        """Models from the hub; data sets are small beside them."""
        found = {}
        for name in self.study.models:
            source, size = self.config.models[name].pretrained, self.footprint.download(name)
            if source and gguf_files.repo(source, self.config.models[name].revision).folder is None:
                found[source] = Cost(10 + size / _DOWNLOAD, 10 + size / _DOWNLOAD, memory=0.6e9, disk=size)
        return found

    def _light(self) -> dict[str, dict[str, Cost]]:
        """Rules that run no model: measured, and by the number of cells or languages where it decides."""
        study = self.study
        cells, draws = len(study.cells), self.config.evaluation.draws / 400
        each = cells / len(study.shards)
        embedded = [name for name in study.models if not self.opened(name)]
        names = list(study.trained)
        found = [
            ("make_corpus", ["all"], 2, 0.3e9, 1e6),
            ("train_tokenizer", embedded, 3, 0.35e9, 0.3e6),
            ("compare_languages", study.models, 10, 0.6e9, 20e3),
            ("check_gates", names, 1, 0.3e9, 4e3),
            ("score_shard", list(study.shards), 1.5 + 0.16 * each * draws, 0.4e9, 70e3 * each),
            ("make_tables", ["all"], 1.5 + 0.015 * cells, (0.3 + cells / 2000) * 1e9, 90e3 * cells),
            ("draw_figures", ["all"], 10 + cells / 60, (0.35 + cells / 1500) * 1e9, 5e6),
            ("notebooks", ["layers", "trade_off"], 8, 0.6e9, 0.6e6),
            ("summarise", ["all"], 1.5 + 0.01 * cells, (0.35 + cells / 2000) * 1e9, 12e6),
        ]
        return {rule: dict.fromkeys(jobs, Cost(s, s, memory, 0, disk)) for rule, jobs, s, memory, disk in found}


def _models(cells: list[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.model for cell in cells))
