"""The jobs of a study, and the files by which one knows how each stands. Imports no torch.

The workflow says the same in its rules; a test holds the two against each other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mute.plan import origin
from mute.plan.costs import Costs
from mute.plan.exports import Exports
from mute.plan.rules import FIGURES, PAPER_FIGURES, PAPER_TABLES, TABLES, Plans
from mute.plotting.registry import NOTEBOOKS
from mute.study.cells import Study

# Rules of notebooks, whose log is the notebook itself, and the names of these.
_EXPLORE = dict(zip(("explore_layers", "explore_trade_off"), NOTEBOOKS))
# What jobs leave in <results>, by rule; * stands for the name of the job.
_OUTPUTS = {
    "fetch_inputs": ["inputs/*.json"],
    "make_corpus": [f"corpus/{name}" for name in ("facts.csv", "texts.parquet", "lines.parquet", "about.json")],
    "train_tokenizer": ["tokenizers/*/tokenizer.json", "tokenizers/*/tokenizer_config.json"],
    "compare_languages": ["kinship/*/languages.csv", "kinship/*/properties.csv"],
    "pretrain_model": [
        f"models/*/{name}" for name in ("record.json", "model.safetensors", "config.json", "tokenizer.json")
    ],
    "adapt_model": ["models/*/record.json"],
    "evaluate_model": [f"evaluations/*/{name}" for name in ("tokens.parquet", "answers.parquet")],
    "check_gates": ["gates/*.csv"],
    "score_layers": ["layers/*.csv"],
    "unlearn_shard": ["shards/*/cells.csv"],
    "evaluate_shard": ["shards/*/evaluations.csv"],
    "attack_shard": ["shards/*/attacks.csv"],
    "analyse_shard": ["shards/*/analyses.csv"],
    "score_shard": ["shards/*/scores.parquet"],
    "make_tables": [f"tables/{name}.csv" for name in TABLES],
    "draw_figures": [f"figures/{name}.svg" for name in FIGURES],
    **{rule: [f"figures/{name}.svg"] for rule, name in _EXPLORE.items()},
    "write_metrics": ["metrics.json", "plots/blocks.csv"],
    "summarise": ["summary.rst", "index.html"],
    "export_model": ["exports/*/record.json"],
    "run_harness": ["harness/*.json"],
    "collect_harness": ["tables/harness.csv"],
    "publish_results": ["published.csv"],
    "write_values": ["paper/values.json", *(f"paper/{n}.{end}" for end in ("csv", "tex") for n in PAPER_TABLES)],
    "draw_exhibits": [f"paper/figures/{name}.{ending}" for ending in ("svg", "pdf") for name in PAPER_FIGURES],
    "compile_paper": ["paper/mute.pdf"],
}
# Those that somebody has to ask for.
_ASKED = ("publish_results", "write_values", "draw_exhibits", "compile_paper")


@dataclass(frozen=True)
class Job:
    """One job. name: the values of its wildcards, empty where its rule has none. outputs, log: paths."""

    rule: str
    name: str
    outputs: tuple[str, ...]
    log: str

    def __str__(self) -> str:
        return f"{self.rule} {self.name}".rstrip()


class Jobs:
    """`whole`: the jobs of `make study`; `asked`: those that somebody has to ask for, as the paper's."""

    def __init__(self, study: Study) -> None:
        self.study, self.results = study, study.config.study.results
        self.plans, self.exports = Plans(study), Exports(study)
        # A job belongs to both where the configuration adds it to the study.
        self.whole = list(self._jobs(self._names()))
        asked = {**{rule: [""] for rule in _ASKED}, "export_model": self.exports.names()}
        known = set(self.whole)
        self.asked = [job for job in self._jobs(asked) if job not in known]

    def _jobs(self, names: Mapping[str, Iterable[str]]) -> Iterator[Job]:
        for rule in names:
            for name in dict.fromkeys(names[rule]):
                outputs = [f"{self.results}/{path.replace('*', name)}" for path in _OUTPUTS[rule]]
                if rule == "make_tables":
                    outputs.append(origin.table(self.study).replace("<results>", self.results))
                log = f"notebooks/{_EXPLORE[rule]}.ipynb" if rule in _EXPLORE else f"{rule}/{name}".rstrip("/") + ".log"
                yield Job(rule, name, tuple(outputs), f"{self.results}/logs/{log}")

    def _names(self) -> dict[str, Iterable[str]]:
        """Names of the jobs of each rule, in the order in which rules run."""
        study, costs = self.study, Costs(self.study)
        found: dict[str, Iterable[str]] = dict(costs.names)
        # Other jobs wait for no record of a model in a local directory.
        repos = self.plans.repos.items()
        found["fetch_inputs"] = sorted(name for name, repo in repos if repo.kind == "dataset" or not repo.folder)
        found["train_tokenizer"] = [name for name in study.models if not costs.opened(name)]
        found["compare_languages"] = study.models
        found["check_gates"], found["score_shard"] = study.trained, study.shards
        found["collect_harness"] = [""] if self.exports.chosen.tasks else []
        found["publish_results"] = [""] if study.config.publishing.with_study else []
        return {rule: found.get(rule, [""]) for rule in _OUTPUTS if rule in found or rule not in _ASKED}
