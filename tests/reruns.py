"""The rerun contract: what changes, and exactly which rules run again. `python tests/reruns.py` writes docs/reruns.md.

A row's `do` makes its change in a copy of the project whose study is finished; tests/workflow/test_reruns.py runs the
study again and looks at what ran.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mute.config.sections import overlay
from mute.store import artifacts

DOCS = Path(__file__).parents[1] / "docs/reruns.md"
CONFIG, RESULTS = "config/rows.yaml", "results/rows"
MICRO = "config/micro.yaml"
# Laid over it, so that every rule of a study from scratch has something to do.
STUDY = f"""\
study: {{name: rows, results: {RESULTS}}}
algorithms:
  rmu: {{strengths: [1.0, 3.0]}}
exports: {{cells: [{{algorithm: rmu, band: 1}}]}}
publishing: {{to: [tensorboard], with_study: true}}
"""
CELLS = 5

# Groups of rules, each with all that stands on it, by their names in the table.
PAPER = {"write_values", "draw_exhibits", "compile_paper"}
SHOWN = {"draw_figures", "explore_layers", "explore_trade_off", "summarise", "write_metrics", "publish_results"} | PAPER
TABLES = {"make_tables"} | SHOWN
SCORES = {"score_shard"} | TABLES
PATCHES = {"unlearn_shard", "evaluate_shard", "attack_shard", "analyse_shard", "export_model"} | SCORES
MODELS = {"pretrain_model", "evaluate_model", "check_gates", "score_layers"} | PATCHES
ALL = {"make_corpus", "train_tokenizer", "compare_languages"} | MODELS
GROUPS = {"all": ALL, "models": MODELS, "patches": PATCHES, "scores": SCORES, "tables": TABLES, "shown": SHOWN}
# In the order in which a study runs them.
ORDER = (
    *("make_corpus", "train_tokenizer", "compare_languages", "pretrain_model", "evaluate_model"),
    *("check_gates", "score_layers"),
    *(
        "unlearn_shard",
        "evaluate_shard",
        "attack_shard",
        "analyse_shard",
        "export_model",
        "score_shard",
        "make_tables",
    ),
    *("draw_figures", "explore_layers", "explore_trade_off", "summarise", "write_metrics", "publish_results"),
    *("write_values", "draw_exhibits", "compile_paper"),
)

# Why the first of the rules runs, in Snakemake's words, and in the table's.
PARAMETERS, INPUT, OUTPUT = "parameters", "input", "output"
REASONS = {
    "Params have changed since last execution": PARAMETERS,
    "Updated input files": INPUT,
    "Missing output files": OUTPUT,
}


@dataclass(frozen=True)
class Call:
    """How the study is called after a change, where that differs."""

    project: Path
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    cores: int = 1
    results: str = RESULTS


@dataclass(frozen=True)
class Row:
    """One change. computed: cells unlearned, evaluated, attacked, analysed anew, and how many there are; None: none."""

    change: str
    do: Callable[[Path], Call | None]
    rules: set[str] = field(default_factory=set)
    why: str = ""
    computed: tuple[int, int, int, int, int] | None = None
    note: str = ""
    # Whether a dry run shows it in seconds, so that it is among the quick tests, too.
    quick: bool = False
    # Whether it really runs to the end; other rows run up to the tables, and what shows those is read from a dry run.
    whole: bool = False
    # Another row that is the same but for what is changed, and really runs; this one is only planned.
    like: str = ""


# Changes


def _none(project: Path) -> None:
    """The same again."""


def _own(project: Path) -> Path:
    """The study's file. Quick rows are performed on the micro study itself, too."""
    return next(path for path in (project / CONFIG, project / MICRO) if path.exists())


def _config(**changes: Any) -> Callable[[Path], None]:
    """Other values in the study's file."""

    def do(project: Path) -> None:
        path = _own(project)
        values = overlay(yaml.safe_load(path.read_text(encoding="utf-8")), changes)
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    return do


def _append(text: str, *files: str) -> Callable[[Path], None]:
    """One more line at the end of files."""

    def do(project: Path) -> None:
        for file in files:
            with (project / file).open("a", encoding="utf-8") as handle:
                handle.write(text)

    return do


def _line(*modules: str) -> Callable[[Path], None]:
    return _append("\n_ONE_MORE_LINE = 1\n", *(f"src/mute/{module}.py" for module in modules))


def _delete(*names: str) -> Callable[[Path], None]:
    """Files or folders below the results; patterns are allowed, and of each the first that fits is meant."""

    def do(project: Path) -> None:
        for name in names:
            path = min((project / RESULTS).glob(name))
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return do


def backwards(value: Any) -> Any:
    """A value with the keys of all its mappings in the other order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(entry) for entry in value] if isinstance(value, list) else value


def _reorder(project: Path) -> None:
    """Every mapping of the study's files backwards, at all depths."""
    for path in filter(Path.exists, (project / file for file in ("config/config.yaml", MICRO, CONFIG))):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(backwards(values), sort_keys=False), encoding="utf-8")


def _rewrite(project: Path) -> None:
    """Numbers written in another way: 1.0 as 1, 3.0 as 3.0e+0."""
    path = project / CONFIG
    text = path.read_text(encoding="utf-8")
    assert "[1.0, 3.0]" in text
    path.write_text(text.replace("[1.0, 3.0]", "[1, 3.0e+0]"), encoding="utf-8")


def _rename_config(project: Path) -> Call:
    (project / CONFIG).rename(project / "config/other.yaml")
    return Call(project, ("--configfile", MICRO, "config/other.yaml"))


def _touch(project: Path) -> None:
    for path in project.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            path.touch()


def _checkout(project: Path) -> None:
    """Another branch, in which every file differs, and back."""

    def git(*words: str) -> None:
        own = ["-c", "user.name=rows", "-c", "user.email=rows@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, *words], cwd=project, check=True, capture_output=True)

    git("init", "-b", "one")
    git("add", "-A")
    git("commit", "-m", "one", "--no-verify")
    git("checkout", "-b", "other")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, check=True, capture_output=True, text=True).stdout
    files = [project / name for name in listed.split("\0") if name]
    _append("\n# Another branch.\n", *(str(path.relative_to(project)) for path in files if path.suffix != ".parquet"))(
        project
    )
    git("commit", "-a", "-m", "other", "--no-verify")
    before = (project / "src/mute/names.py").stat().st_mtime_ns
    git("checkout", "one")
    assert (project / "src/mute/names.py").stat().st_mtime_ns > before


def _replace_older(file: str) -> Callable[[Path], None]:
    """Another content whose time is a year older, as `mv` and `cp -p` put it in place."""

    def do(project: Path) -> None:
        path = project / file
        before = path.stat().st_mtime
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        os.utime(path, (before - 365 * 86400,) * 2)

    return do


def _versions(*packages: str) -> Callable[[Path], Call]:
    """What the packages say of their versions; what they do stays, for there is one of each here."""

    def do(project: Path) -> Call:
        shim = project.parent / f"{project.name}.versions"
        for name in packages:
            folder = shim / f"{name}-99.0.0.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0.0\n")
        return Call(project, environ={"PYTHONPATH": str(shim)})

    return do


def _elsewhere(project: Path) -> Call:
    _config(study={"results": "results/other"})(project)
    return Call(project, results="results/other")


def _move(project: Path) -> Call:
    return Call(Path(shutil.move(project, project.with_name(f"{project.name} moved"))))


def _forget_records(project: Path) -> None:
    shutil.rmtree(project / ".snakemake")


def _delete_cell(project: Path) -> None:
    """The first cell of the store, the table of its shard, and one that waits for it."""
    table = project / RESULTS / "shards/llama/cells.csv"
    shutil.rmtree(project / RESULTS / "cells" / artifacts.read_table(table)["digest"][0])
    table.unlink()
    (project / RESULTS / "tables/cells.csv").unlink()


NOTHING = [
    Row("nothing: a second call", _none, quick=True),
    Row("a comment in the configuration", _append("# A comment.\n", MICRO, "config/config.yaml"), quick=True),
    Row("the order of keys in the configuration", _reorder, quick=True, note="The order of lists counts."),
    Row("a number written in another way (`3.0` as `3.0e+0`)", _rewrite),
    Row(
        "times of all files: `touch` of inputs, modules, scripts, configuration and results",
        _touch,
        quick=True,
        note="Inputs of more than 100 MB (`max-checksum-file-size` of the profile) go by their time.",
    ),
    Row("`git checkout` of another branch and back", _checkout),
    Row("the place of the project: its folder moved", _move, quick=True),
    Row("the number of cores", lambda project: Call(project, cores=2)),
    Row("Python's hash seed", lambda project: Call(project, environ={"PYTHONHASHSEED": "7"})),
    Row(
        "the version of torch, transformers, NumPy or pandas",
        _versions("torch", "transformers", "tokenizers", "numpy", "pandas", "matplotlib"),
        note="What was computed stands, and its record says by which versions; new cells are computed by the new ones. "
        "For a study of one version empty its results first (`make clean`). Cached prefixes are not shared.",
    ),
    Row(
        "`requirements.lock` or an environment in `envs/`",
        _append("\n# A line.\n", "requirements.lock", "envs/mute.yaml"),
    ),
    Row("`engine.cache_gb`, where prefixes are kept", _config(engine={"cache_gb": 1})),
    Row("`engine.checksum_gb`, what is compared by its size alone", _config(engine={"checksum_gb": 1})),
    Row("`costs`, what jobs ask of a cluster", _config(costs={"margin": 4, "core_gflops": 3})),
    Row(
        "a message: a line of `config/`, `names.py`, `jobs/`, `store/clock.py`, `hub/copies.py`, …",
        _line(
            *("config/sections", "config/problems", "names", "jobs/job", "jobs/logs", "store/clock"),
            *("store/provenance", "store/pointers", "hub/copies"),
        ),
        note="They check, watch and bring. What is asked for reaches a rule as its parameters.",
    ),
    Row(
        "a module that the study does not use: an algorithm, a source, a language",
        _line("unlearn/methods/simnpo", "corpus/languages/ja"),
    ),
    Row(
        "a comment, priority or resource in the rules",
        _append("\n# A comment.\n", "Snakefile", "workflow/rules/models.smk"),
    ),
    Row(
        "a caption of the report",
        _append("\nA line.\n", "workflow/report/depth.rst"),
        note="`make study` makes the report again.",
    ),
    Row("logs and benchmarks deleted", _delete("logs", "benchmarks")),
    Row("the cache of prefixes deleted", _delete("cache")),
    Row(
        "an intermediate file deleted that nothing waits for",
        _delete("gates/llama-s0.csv"),
        note="It is made again when a rule that reads it runs.",
    ),
    Row(
        "a cell deleted from the store",
        _delete("cells/*"),
        note="Snakemake does not know the store. With the table of its shard deleted too, see below.",
    ),
]

SETTINGS = [
    Row("`study.name`", _config(study={"name": "other"}), SHOWN, PARAMETERS, like="the name of a configuration file"),
    Row("the name of a configuration file", _rename_config, SHOWN, PARAMETERS),
    Row("`study.results`, the folder", _elsewhere, ALL, OUTPUT, (5, 5, 4, 5, 5)),
    Row("`study.seed`", _config(study={"seed": 2}), ALL, PARAMETERS, (5, 5, 4, 5, 5)),
    Row(
        "`study.shard_by`, how cells are cut into jobs",
        _config(study={"shard_by": ["model", "algorithm"]}),
        PATCHES,
        OUTPUT,
        (0, 0, 0, 0, 5),
    ),
    Row("`publishing`", _config(publishing={"to": []}), {"publish_results"}, PARAMETERS),
    Row("`exports`: one more cell", _config(exports={"cells": [{"algorithm": "rmu"}]}), {"export_model"}, OUTPUT),
    Row("a gate", _config(gates={"recall": 0.5}), {"check_gates"} | TABLES, PARAMETERS),
    Row("`layers.alpha`, the width of the region", _config(layers={"alpha": 1.5}), TABLES, OUTPUT),
    Row("`layers.null_draws`", _config(layers={"null_draws": 3}), {"score_layers"} | TABLES, PARAMETERS),
    Row("`layers.resamples`", _config(layers={"resamples": 3}), {"score_layers"} | TABLES, PARAMETERS),
    Row(
        "`evaluation.draws`, the replicates of the intervals",
        _config(evaluation={"draws": 21}),
        SCORES,
        PARAMETERS,
        whole=True,
    ),
    Row(
        "a setting of an attack",
        _config(attacks={"mix": {"share": 0.4}}),
        {"attack_shard"} | SCORES,
        PARAMETERS,
        (0, 0, 4, 0, 5),
    ),
    Row(
        "a hyper-parameter of one algorithm",
        _config(algorithms={"rmu": {"steps": 3}}),
        PATCHES,
        PARAMETERS,
        (2, 2, 2, 2, 5),
    ),
    Row(
        "a swapped pair of values (`steps: 2, batch_size: 4` to `steps: 4, batch_size: 2`)",
        _config(algorithms={"rmu": {"steps": 4, "batch_size": 2}}),
        PATCHES,
        PARAMETERS,
        (2, 2, 2, 2, 5),
        quick=True,
    ),
    Row(
        "one more algorithm",
        _config(
            algorithms={"simnpo": {"steps": 2, "strengths": [0.3], "batch_size": 4}},
            grids={"blocks": {"algorithms": ["rmu", "slug", "simnpo"]}},
        ),
        PATCHES,
        PARAMETERS,
        (2, 2, 2, 2, 7),
    ),
    Row("one more band", _config(grids={"blocks": {"bands": ["each", "0-1"]}}), PATCHES, PARAMETERS, (2, 2, 2, 2, 7)),
    Row(
        "one more seed of unlearning",
        _config(grids={"blocks": {"seeds": [0, 1]}}),
        PATCHES,
        PARAMETERS,
        (4, 4, 4, 4, 9),
    ),
    Row(
        "one more list of source languages",
        _config(grids={"blocks": {"sources": [["en", "es"], ["hi"]]}}),
        PATCHES | {"compare_languages"},
        PARAMETERS,
        (4, 4, 4, 4, 9),
    ),
    Row(
        "one more training seed",
        _config(study={"training_seeds": [0, 1]}),
        MODELS,
        OUTPUT,
        (5, 5, 4, 5, 10),
        note="Only the new model is trained, evaluated and scored.",
    ),
    Row(
        "one more language of a model",
        _config(models={"llama": {"languages": ["en", "es", "hi", "de"]}}),
        ALL,
        PARAMETERS,
        (5, 5, 4, 5, 5),
        note="The corpus is in the languages of all models, and is read by all.",
    ),
    Row("steps of training", _config(models={"llama": {"steps": 5}}), MODELS, PARAMETERS, (5, 5, 4, 5, 5)),
    Row("`matching.target`", _config(matching={"target": 0.2}), PATCHES, PARAMETERS, (5, 5, 4, 5, 5)),
    Row(
        "`engine.device`",
        _config(engine={"device": "cpu"}),
        MODELS - {"pretrain_model"},
        PARAMETERS,
        (5, 5, 4, 5, 5),
        note="By its name: `auto` on another machine reruns nothing.",
    ),
    Row(
        "`engine.dtype`",
        _config(engine={"dtype": "bfloat16"}),
        MODELS - {"pretrain_model"},
        PARAMETERS,
        (5, 5, 4, 5, 5),
        like="`engine.device`",
    ),
]

FIGURES = {"draw_figures", "summarise", "publish_results", "compile_paper"}
CODE = [
    Row("the corpus: `corpus/sources/world.py`", _line("corpus/sources/world"), ALL, PARAMETERS, (0, 0, 0, 0, 5)),
    Row(
        "a language pack: `corpus/languages/hi.py`",
        _line("corpus/languages/hi"),
        ALL,
        PARAMETERS,
        (0, 0, 0, 0, 5),
        like="the corpus: `corpus/sources/world.py`",
    ),
    Row(
        "the tokenizer: `models/tokenizer.py`",
        _line("models/tokenizer"),
        ALL - {"make_corpus"},
        PARAMETERS,
        (5, 5, 4, 5, 5),
    ),
    Row("training: `models/pretrain.py`", _line("models/pretrain"), MODELS, PARAMETERS, (0, 0, 0, 0, 5)),
    Row("layer scores: `analyses/similarity.py`", _line("analyses/similarity"), {"score_layers"} | TABLES, PARAMETERS),
    Row(
        "the engine: `engine/sections.py`",
        _line("engine/sections"),
        MODELS - {"pretrain_model"},
        PARAMETERS,
        (5, 5, 4, 5, 5),
    ),
    Row(
        "how models are opened: `engine/opening.py`",
        _line("engine/opening"),
        MODELS - {"pretrain_model"},
        PARAMETERS,
        (5, 5, 4, 5, 5),
        like="the engine: `engine/sections.py`",
    ),
    Row(
        "one algorithm: `unlearn/methods/rmu.py`",
        _line("unlearn/methods/rmu"),
        PATCHES,
        PARAMETERS,
        (2, 2, 2, 2, 5),
    ),
    Row(
        "one edit: `unlearn/methods/slug.py`",
        _line("unlearn/methods/slug"),
        PATCHES,
        PARAMETERS,
        (2, 2, 2, 2, 5),
    ),
    Row(
        "the store of cells: `unlearn/cells.py`",
        _line("unlearn/cells"),
        PATCHES,
        PARAMETERS,
        (5, 5, 4, 5, 5),
    ),
    Row(
        "how patches are put in place: `evaluate/shards.py`",
        _line("evaluate/shards"),
        {"evaluate_shard", "attack_shard", "analyse_shard"} | SCORES,
        PARAMETERS,
        (0, 5, 4, 5, 5),
    ),
    Row(
        "evaluation: `evaluate/run.py`",
        _line("evaluate/run"),
        {"evaluate_model", "check_gates", "evaluate_shard"} | SCORES,
        PARAMETERS,
        (0, 5, 0, 0, 5),
    ),
    Row(
        "an attack: `attacks/mix.py`",
        _line("attacks/mix"),
        {"attack_shard"} | SCORES,
        PARAMETERS,
        (0, 0, 4, 0, 5),
    ),
    Row("measures: `evaluate/metrics.py`", _line("evaluate/metrics"), SCORES, PARAMETERS),
    Row(
        "a comment in a module: `evaluate/metrics.py`",
        _append("\n# A comment.\n", "src/mute/evaluate/metrics.py"),
        SCORES,
        PARAMETERS,
        note="As any other line: what is compared is the text.",
        like="measures: `evaluate/metrics.py`",
    ),
    Row("files and seals: `store/artifacts.py`", _line("store/artifacts"), ALL, PARAMETERS, (5, 5, 4, 5, 5)),
    Row("a script: `scripts/score_shard.py`", _append("\n# A line.\n", "scripts/score_shard.py"), SCORES, PARAMETERS),
    Row(
        "the style of figures: `plotting/style.py`",
        _line("plotting/style"),
        SHOWN - {"write_metrics", "write_values"},
        PARAMETERS,
    ),
    Row("one figure: `plotting/figures/leak.py`", _line("plotting/figures/leak"), FIGURES, PARAMETERS),
    Row("the summary: `plotting/summary.py`", _line("plotting/summary"), {"summarise"}, PARAMETERS),
    Row(
        "a figure of the paper: `paper/figures/order.py`",
        _line("paper/figures/order"),
        PAPER - {"write_values"},
        PARAMETERS,
    ),
    Row(
        "claims of the paper: `findings/claims.py`",
        _line("findings/claims"),
        PAPER | {"explore_layers", "explore_trade_off", "summarise", "publish_results"},
        PARAMETERS,
        note="Notebooks know the names of the paper's tables.",
    ),
    Row(
        "the text of the paper: `paper/mute.typ`", _append("\n// A line.\n", "paper/mute.typ"), {"compile_paper"}, INPUT
    ),
    Row("the version of typst", _versions("typst"), {"compile_paper"}, PARAMETERS),
    Row(
        "a published table, replaced by an older file (`mv`, `cp -p`)",
        _replace_older("paper/published/mute_stated_layers.csv"),
        PAPER,
        PARAMETERS,
    ),
    Row(
        "a study on the board of which the paper tells, replaced by an older file",
        _replace_older("board/frozen/gemma/rows.csv"),
        {"write_values", "compile_paper"},
        PARAMETERS,
    ),
]

DELETED = [
    Row("a figure", _delete("figures/leak.svg"), FIGURES, OUTPUT),
    Row("a table", _delete("tables/cells.csv"), TABLES, OUTPUT),
    Row(
        "the table of a shard, and a table of the study",
        _delete("shards/llama/scores.parquet", "tables/cells.csv"),
        SCORES,
        OUTPUT,
    ),
    Row(
        "a cell of the store, the table of its shard, and a table of the study",
        _delete_cell,
        PATCHES,
        OUTPUT,
        (1, 0, 0, 0, 5),
    ),
    Row(
        "Snakemake's own records (`.snakemake`), or results copied without them",
        _forget_records,
        ALL,
        INPUT,
        (0, 0, 0, 0, 5),
        note="Whether what is there is what the settings make is not known without them.",
    ),
]

SECTIONS = {
    "Nothing runs": NOTHING,
    "Settings": SETTINGS,
    "A line of code or text": CODE,
    "Deleted": DELETED,
}
ROWS = [row for rows in SECTIONS.values() for row in rows]


# The table

_HEAD = """\
# What runs again

<!-- Written by `python tests/reruns.py` from the rows that tests/workflow/test_reruns.py performs. Change those. -->

If this changes in a finished study, exactly these rules run again, and exactly so many cells are computed; all others
stay as they are. Every row below is performed by a test: it makes the change in a copy of a finished study
({cells} cells), runs the study and its paper again, and holds what ran against the row. (Of a few rows that are as
their neighbours are, and of the figures after a change below the tables, it holds Snakemake's plan against the row.)

* Snakemake plans before it runs: what reads a file that is made again is made again too, though the same bytes may
  come out. Cells are kept by what made them, so a shard that runs again computes only what is new.
* What a rule depends on besides its inputs, its settings and the text of all code that it imports, is one of its
  *parameters*. Inputs are compared by content, so times alone change nothing.
* *Cells*: how many were unlearned, evaluated, attacked and analysed anew, of how many; `-` where none of these rules
  run.
* *Why*: what Snakemake finds at the first of the rules: other *parameters*, another *input*, or an *output* that is
  missing. `make study ARGS='-n --quiet host'` says it of each job.

Names of groups of rules, each with all that stands on it:

"""


def document() -> str:
    """docs/reruns.md."""
    pages = [_HEAD.format(cells=CELLS), "| group | rules |\n|---|---|\n"]
    inner: set[str] = set()
    for name, rules in reversed(GROUPS.items()):
        before = next((f"*{n}*" for n, r in GROUPS.items() if r == inner), "")
        pages.append(f"| *{name}* | {', '.join(filter(None, [*_names(rules - inner), before]))} |\n")
        inner = rules
    for title, rows in SECTIONS.items():
        pages.append(f"\n## {title}\n\n| if this changes | these rules run again | cells | why |\n|---|---|---|---|\n")
        for row in rows:
            words = f"{row.change}. {row.note}" if row.note else row.change
            pages.append(f"| {words} | {_rules(row.rules)} | {_cells(row)} | {row.why or '-'} |\n")
    return "".join(pages)


def _names(rules: set[str]) -> list[str]:
    return [f"`{name}`" for name in ORDER if name in rules]


def _rules(rules: set[str]) -> str:
    """Rules in their order, the largest group that is whole by its name."""
    name, group = next(((n, r) for n, r in GROUPS.items() if r <= rules), ("", set()))
    return ", ".join([*_names(rules - group), *([f"*{name}*"] if name else [])]) or "none"


def _cells(row: Row) -> str:
    if row.computed is None:
        return "-"
    *new, every = row.computed
    return f"{', '.join(map(str, new))} of {every}"


if __name__ == "__main__":
    artifacts.write_text(DOCS, document())
    print(f"wrote {DOCS.relative_to(DOCS.parents[1])}")
