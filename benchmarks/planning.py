"""How long Snakemake plans a large study, beside Snakefiles with as many trivial jobs.

    python benchmarks/planning.py --json benchmarks/results/planning.json

The study has 5,760 cells, cut into jobs in two ways: a job a model, as on a laptop, and a job a cell, the worst case of
a cluster. Each planning (`snakemake -n`) is a process of its own, in a copy of the project, in turn with the trivial
ones. Planning uses one core, so the seconds to go by are those of the CPU: on a shared machine the wall says less.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute.config.sections import Key
from mute.store import artifacts
from mute.study.cells import Study
from mute.study.checks import read_study

ROOT = Path(__file__).parents[1]
CUTS = {"a job a model": ["model"], "a job a cell": list(get_args(Key))}
# What is beside a study's own Snakefile; the jobs and what waits for what are the same in all.
TRIVIAL = {
    "one file": "a file from job to job, `touch`",
    "same files": "as many files from job to job as in the study, `touch`",
    "same rules": "the same, and what every rule of the study has: a script, a log, a benchmark, an environment",
}
# What a study reads and what plans it.
_PROJECT = ("Snakefile", "config", "data", "envs", "paper", "profiles", "scripts", "src", "workflow", "dvc.yaml")
_DRY = ("-n", "--quiet", "all")
# Snakemake itself, which else waits for a tenth of a second after each job whose files it touches.
_TOUCH = (
    "from snakemake import cli; from snakemake.executors.touch import Executor as E; E.SLEEPING_TIME = 0; cli.main()"
)
# The last line of the table of jobs; without any, it says so.
_PLANNED = ("total ", "Nothing to be done")


@dataclass(frozen=True)
class Run:
    """What one process took: seconds of the CPU and by the wall, and the most megabytes that it held.

    planned: seconds of the CPU until Snakemake says how many jobs there are. A run starts them then; a dry run lists
    each with all that it would be given, which counts in `cpu` alone.
    """

    planned: float
    cpu: float
    wall: float
    rss_mb: float
    said: str


def timed(command: list[str], folder: Path) -> Run:
    """Run a command to its end. Raises SystemExit with what it said if it fails."""
    # As a user's shell has it: Python keeps bytecode, and finds the copy's package alone.
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "SNAKEMAKE"))}
    environ |= {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    started, lines, planned = time.perf_counter(), [], None
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, env=environ, **how) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            if planned is None and line.startswith(_PLANNED):
                spent = psutil.Process(child.pid).cpu_times()
                planned = spent.user + spent.system
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall, text = time.perf_counter() - started, "".join(lines)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{text[-4000:]}")
    cpu = used.ru_utime + used.ru_stime
    return Run(cpu if planned is None else planned, cpu, wall, used.ru_maxrss / 1024, text)


def overlay(name: str, small: bool) -> dict[str, Any]:
    """The study, over config/config.yaml: 24 blocks of three models, times all that multiplies cells."""
    grid = {
        "algorithms": ["rmu", "slug", "simnpo"],
        "bands": [0] if small else ["each"],
        "sources": [["en", "es", "pt"], ["en"], ["es"], ["fr", "hi"]],
        "protocols": ["matched", "paper"],
        "seeds": [0] if small else [0, 1],
    }
    study = {
        "name": "planned",
        "results": "results/planned",
        "training_seeds": [0] if small else [0, 1, 2, 3, 4],
        "grids": ["planned"],
        "shard_by": CUTS[name],
    }
    return {"study": study, "grids": {"planned": grid}}


def jobs(said: str) -> int:
    """How many jobs Snakemake planned: the end of its table, or none where all is finished."""
    found = re.findall(r"^total +(\d+)$", said, re.MULTILINE)
    return int(found[-1]) if found else 0


# Rules of a trivial Snakefile: what they read and write. A study's corpus is four files, as what a model answered.
RULES = {
    "corpus": ("", "CORPUS"),
    "model": ("CORPUS", "'model/{name}'"),
    "answers": ("CORPUS, 'model/{name}'", "[f'answers/{{name}}/{file}' for file in FILES]"),
    "cells": ("CORPUS, f'model/{MODEL}', f'answers/{ORACLE}/0'", "'cells/{name}'"),
    "evaluation": ("CORPUS, 'cells/{name}'", "'evaluation/{name}'"),
    "attacks": ("CORPUS, 'cells/{name}'", "'attacks/{name}'"),
    "analyses": ("CORPUS, 'cells/{name}'", "'analyses/{name}'"),
    "score": ("CORPUS, ANSWERS, 'cells/{name}', 'evaluation/{name}', 'attacks/{name}'", "'score/{name}'"),
    "other": ("", "'other/{name}'"),
}
_HEAD = """
FILES = range({files})
MODELS, SHARDS, OTHERS = {names}
MODEL, ORACLE = MODELS[0], MODELS[-1]
CORPUS = [f"corpus/{{file}}" for file in FILES]
ANSWERS = [f"answers/{{name}}/{{file}}" for name in (MODEL, ORACLE) for file in FILES[:3]]

rule all:
    input:
        expand("answers/{{name}}/0", name=MODELS),
        expand("{{made}}/{{name}}", made=["cells", "analyses", "score"], name=SHARDS),
        expand("other/{{name}}", name=OTHERS),
"""


def trivial(study: Study, kind: str, planned: int) -> str:
    """A Snakefile with as many jobs as a study plans, in which jobs wait for each other as those of the study do."""
    models, shards = list(study.trained), list(study.shards)
    # The other jobs, layer scores and figures among them, are few: they wait for nothing.
    others = planned - 2 - 2 * len(models) - 5 * len(shards)
    names = repr([models, shards, list(range(others))])
    parts = [_HEAD.format(files=1 if kind == "one file" else 4, names=names)]
    for rule, (reads, writes) in RULES.items():
        stem = f"{rule}/{{name}}" if "name" in writes else rule
        parts.append(f"rule {rule}:")
        parts += [f"    input: {reads}"] if reads else []
        parts.append(f"    output: {writes}")
        if kind == "same rules":
            parts += [f"    log: 'logs/{stem}.log'", f"    benchmark: 'benchmarks/{stem}.jsonl'"]
            parts += ["    conda: 'environment.yaml'", "    script: 'script.py'"]
        else:
            parts.append("    shell: 'touch {output}'")
    return "\n".join(parts) + "\n"


def lay_out(folder: Path, small: bool) -> None:
    """A copy of the project, with the study's settings for each way to cut it."""
    for name in _PROJECT:
        source, to = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, to)
    for cut in CUTS:
        (folder / _file(cut)).write_text(yaml.safe_dump(overlay(cut, small)), encoding="utf-8")


def _file(cut: str) -> str:
    return cut.replace(" ", "_") + ".yaml"


def measure(folder: Path, cut: str, pairs: int) -> dict[str, Any]:
    """Planning of the study, with nothing made yet, in turn with that of each trivial Snakefile."""
    study = read_study(folder / "config/config.yaml", folder / _file(cut))
    ours = ["snakemake", *_DRY, "--configfile", _file(cut)]
    planned = jobs(timed(ours, folder).said)
    for kind in TRIVIAL:
        own = folder / "trivial" / kind.replace(" ", "_")
        own.mkdir(parents=True, exist_ok=True)
        (own / "Snakefile").write_text(trivial(study, kind, planned), encoding="utf-8")
        (own / "script.py").write_text("", encoding="utf-8")
        (own / "environment.yaml").write_text("dependencies: [python]\n", encoding="utf-8")
    runs: dict[str, list[Run]] = {}
    for pair in range(pairs):
        runs.setdefault("study", []).append(timed(ours, folder))
        for kind in TRIVIAL:
            found = timed(["snakemake", *_DRY], folder / "trivial" / kind.replace(" ", "_"))
            if (made := jobs(found.said)) != planned:
                raise SystemExit(f"the trivial Snakefile has {made} jobs, the study {planned}")
            runs.setdefault(kind, []).append(found)
        spent = ", ".join(f"{kind} {found[-1].planned:.1f}/{found[-1].cpu:.1f}" for kind, found in runs.items())
        print(f"{cut}, pair {pair + 1} of {pairs}: {spent}", file=sys.stderr)
    beyond = {
        kind.replace(" ", "_"): {
            key: _median(getattr(own, key) - getattr(other, key) for own, other in zip(runs["study"], runs[kind]))
            for key in ("planned", "cpu", "wall")
        }
        for kind in TRIVIAL
    }
    return {
        "cut": cut,
        "cells": len(study.cells),
        "jobs": planned,
        **{kind.replace(" ", "_"): _summary(found) for kind, found in runs.items()},
        "beyond": beyond,
        "plan": _summary([timed([sys.executable, "-m", "mute", "plan", _file(cut)], folder)]),
    }


def finished(folder: Path, cut: str, pairs: int) -> dict[str, float]:
    """The same where everything is there, up to date and recorded: what a second call of a finished study takes.

    Every file is empty; Snakemake records its inputs and parameters as of a real one.
    """
    study = ["snakemake", "--configfile", _file(cut)]
    lines = timed([*study, "--summary"], folder).said.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("output_file\t"))
    for line in lines[start + 1 :]:
        path = folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    timed([sys.executable, "-c", _TOUCH, *study[1:], "--touch", "--forceall", "--cores", "1000", *_DRY[1:]], folder)
    runs = [timed([*study, *_DRY], folder) for _ in range(pairs)]
    if left := jobs(runs[-1].said):
        raise SystemExit(f"{left} jobs are planned of a finished study:\n{runs[-1].said[-2000:]}")
    shutil.rmtree(folder / "results")
    return _summary(runs)


def _summary(runs: list[Run]) -> dict[str, float]:
    return {key: _median(getattr(run, key) for run in runs) for key in ("planned", "cpu", "wall", "rss_mb")}


def _median(values: Any) -> float:
    return round(statistics.median(values), 2)


def show(row: dict[str, Any]) -> None:
    for kind in ("study", *(name.replace(" ", "_") for name in TRIVIAL), "finished", "plan"):
        if found := row.get(kind):
            label = {"study": row["cut"], "finished": "  all finished", "plan": "  mute plan"}.get(kind)
            label = label or f"  trivial, {kind.replace('_', ' ')}"
            beyond = row["beyond"].get(kind)
            more = f"{beyond['planned']:11.1f}{beyond['cpu']:6.1f}" if beyond else ""
            cells = f"{row['cells']:8}{row['jobs']:8}" if kind == "study" else " " * 16
            times = f"{found['planned']:9.1f}{found['cpu']:6.1f}{found['wall']:8.1f}{found['rss_mb']:9.0f}"
            print(f"{label:34}{cells}{times}{more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="plannings of each Snakefile that are timed, in turn [3]")
    parser.add_argument("--small", action="store_true", help="a study of 72 cells, to try it out")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    chosen = parser.parse_args()
    print(f"{'':50}{'CPU seconds':>15}{'':17}{'study beyond it':>17}")
    print(f"{'':34}{'cells':>8}{'jobs':>8}{'planned':>9}{'all':>6}{'wall s':>8}{'peak MB':>9}{'planned':>11}{'all':>6}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), chosen.small)
        for cut in CUTS:
            rows.append(measure(Path(folder), cut, chosen.pairs))
            rows[-1]["finished"] = finished(Path(folder), cut, chosen.pairs)
            show(rows[-1])
            if chosen.json:
                artifacts.write_json(chosen.json, {"machine": machine(), "pairs": chosen.pairs, "rows": rows})


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine or its user."""
    import platform
    from importlib import metadata

    return {"cores": os.cpu_count(), "python": platform.python_version(), "snakemake": metadata.version("snakemake")}


if __name__ == "__main__":
    main()
