"""The jobs of a study, and the files by which one knows how each stands. Imports no torch.

The workflow says the same in its rules; a test holds the two against each other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mute.plan import origin
from mute.plan.adaptations import Adaptations
from mute.plan.exports import Exports
from mute.plan.inputs import Inputs
from mute.plan.rules import FIGURES, PAPER_FIGURES, PAPER_TABLES, TABLES, Plans
from mute.plotting.registry import NOTEBOOKS
from mute.study.cells import Study

_PRETRAINED = ("record.json", "model.safetensors", "config.json", "tokenizer.json")
_EVALUATED = ("tokens.parquet", "answers.parquet")


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
        # A job belongs to both where the configuration adds it to the study.
        self.whole = list(dict.fromkeys([*self._made(), *self._shards(), *self._shown(), *self._exported()]))
        known = set(self.whole)
        self.asked = [job for job in self._asked() if job not in known]

    def _job(self, rule: str, name: str, *outputs: str, log: str = "") -> Job:
        made = tuple(path.replace("<results>", self.results) for path in outputs)
        return Job(rule, name, made, log or f"{self.results}/logs/{rule}{f'/{name}' if name else ''}.log")

    def _each(self, rule: str, names: Iterable[str], *outputs: str) -> Iterator[Job]:
        """A job per name; in its outputs * stands for the name."""
        for name in names:
            yield self._job(rule, name, *(path.replace("*", name) for path in outputs))

    def _made(self) -> Iterator[Job]:
        """Up to the models, what they answer and which strength they take."""
        study, plans, adapted = self.study, Plans(self.study), set(Adaptations(self.study).names())
        yield from self._each("fetch_inputs", self._fetched(), "<results>/inputs/*.json")
        corpus = (f"<results>/corpus/{name}" for name in ("facts.csv", "texts.parquet", "lines.parquet", "about.json"))
        yield self._job("make_corpus", "", *corpus)
        trained = {name: parts[0] for name, parts in study.trained.items()}
        own = dict.fromkeys(model for name, model in trained.items() if name not in adapted)
        words = ("<results>/tokenizers/*/tokenizer.json", "<results>/tokenizers/*/tokenizer_config.json")
        yield from self._each("train_tokenizer", own, *words)
        compared = [path.split("/")[-2] for path in plans.table_inputs()["languages"]]
        yield from self._each("compare_languages", compared, "<results>/tokenizers/*/languages.csv")
        files = [f"<results>/models/*/{name}" for name in _PRETRAINED]
        yield from self._each("pretrain_model", (name for name in trained if name not in adapted), *files)
        yield from self._each("adapt_model", sorted(adapted), "<results>/models/*/record.json")
        yield from self._each("evaluate_model", trained, *(f"<results>/evaluations/*/{name}" for name in _EVALUATED))
        yield from self._each("check_gates", trained, "<results>/gates/*.csv")
        pairs = dict.fromkeys(f"{cell.trained}.{cell.forget_set}" for cell in study.cells)
        yield from self._each("score_layers", pairs, "<results>/layers/*.csv")
        tunings = dict.fromkeys(cell.tuning for cell in study.cells if study.is_tuned(cell))
        yield from self._each("tune_strength", tunings, "<results>/tuning/*.json")

    def _fetched(self) -> list[str]:
        """Names of the repositories that other jobs wait for: those of local directories need no record."""
        needed = {*Inputs(self.study).of_corpus(), *Exports(self.study).fetched()}
        adaptations = Adaptations(self.study)
        for name in adaptations.names():
            needed.update(adaptations.fetched(_Wildcards(name)))
        return sorted(path.rsplit("/", 1)[1].removesuffix(".json") for path in needed)

    def _shards(self) -> Iterator[Job]:
        made = {"unlearn": "cells", "evaluate": "evaluations"}
        made |= {"attack": "attacks", "analyse": "analyses", "score": "scores"}
        for verb, table in made.items():
            yield from self._each(f"{verb}_shard", self.study.shards, f"<results>/shards/*/{table}.csv")

    def _shown(self) -> Iterator[Job]:
        tables = (f"<results>/tables/{name}.csv" for name in TABLES)
        yield self._job("make_tables", "", *tables, origin.table(self.study))
        yield self._job("draw_figures", "", *(f"<results>/figures/{name}.svg" for name in FIGURES))
        # Rules of notebooks: their log is the notebook itself.
        for name, rule in NOTEBOOKS.items():
            log = f"{self.results}/logs/notebooks/{name}.ipynb"
            yield self._job(rule, "", f"<results>/figures/{name}.svg", log=log)
        yield self._job("write_metrics", "", "<results>/metrics.json", "<results>/plots/blocks.csv")
        yield self._job("summarise", "", "<results>/summary.rst", "<results>/index.html")

    def _exported(self) -> Iterator[Job]:
        exports = Exports(self.study)
        selected = [cell.name for cell in exports.selected]
        yield from self._each("export_model", selected, "<results>/exports/*/record.json")
        if exports.chosen.tasks:
            yield from self._each("run_harness", exports.evaluated(), "<results>/harness/*.json")
            yield self._job("collect_harness", "", "<results>/tables/harness.csv")
        if self.study.config.publishing.with_study:
            yield self._published()

    def _published(self) -> Job:
        return self._job("publish_results", "", "<results>/published.csv")

    def _asked(self) -> Iterator[Job]:
        yield self._published()
        paper = [f"<results>/paper/{name}.{ending}" for ending in ("csv", "tex") for name in PAPER_TABLES]
        yield self._job("write_values", "", "<results>/paper/values.json", *paper)
        drawn = (f"<results>/paper/figures/{name}.{ending}" for ending in ("svg", "pdf") for name in PAPER_FIGURES)
        yield self._job("draw_exhibits", "", *drawn)
        yield self._job("compile_paper", "", "<results>/paper/mute.pdf")
        yield from self._each("export_model", Exports(self.study).names(), "<results>/exports/*/record.json")


@dataclass(frozen=True)
class _Wildcards:
    """What the plans ask of Snakemake's wildcards."""

    trained: str
