"""The plan of a study as text: its cells, what each rule costs, what is needed at once, and what was assumed.

And in short what it is, as a run announces it before it starts.
"""

import json
import sys
from collections import Counter
from collections.abc import Sized
from pathlib import Path

from mute.jobs import machine
from mute.jobs.times import aligned
from mute.plan.costs import HARNESS_QUESTIONS, RULES, Cost, Costs, cards
from mute.plan.costs.work import KNOWN, MATCHED
from mute.store import project
from mute.store.records import Record
from mute.study.cells import Study

# How far plans were from finished studies; `benchmarks/costs.py` writes it.
MEASURED = Path("benchmarks/results/costs.json")
# Memory that few machines have.
_LARGE = 128e9
_HEAD = ("", "jobs", "each", "longest", "core-hours", "GPU-hours", "memory", "GPU memory", "disk")


# What a GPU is planned as where the configuration names none.
_GPU = "H100 80GB"
_CARDS = (80e9, 40e9)


def terminal(study: Study, measured: Path | None = None, cores: int = 1) -> str:
    """The whole plan; cores: how many the study may use on this machine."""
    costs = Costs(study)
    parts = [_cells(study), _rules(costs), _at_once(costs, cores), _on_cards(costs), _assumed(costs)]
    parts.append(_error(measured or Path(project.path(str(MEASURED)))))
    return "\n".join(part for part in parts if part)


def _cells(study: Study) -> str:
    config = study.config.study
    counts = Counter((cell.algorithm, cell.model) for cell in study.cells)
    # Always down what is many: a study may have sixty algorithms, and has few models.
    rows = [["cells", *study.models, "all"]]
    for algorithm in sorted({cell.algorithm for cell in study.cells}):
        own = [counts[algorithm, model] for model in study.models]
        rows.append([algorithm, *map(str, own), str(sum(own))])
    sums = [sum(counts[key] for key in counts if key[1] == model) for model in study.models]
    rows.append(["all", *map(str, sums), str(len(study.cells))])
    return f"Study {config.name!r}, results in {config.results}/\n\n" + aligned(rows)


def _rules(costs: Costs) -> str:
    # Of a GPU that no job asks for there is nothing to say.
    titles = [title for title in _HEAD if costs.on_gpu or "GPU" not in title]
    jobs = costs.jobs.items()
    rows = [titles, *(_row(rule.replace("_", " "), list(each.values()), titles) for rule, each in jobs)]
    cache = costs.config.engine.cache_gb * 1e9
    rows.append(["cached prefixes", *[""] * (len(titles) - 2), size(cache)])
    last = _row("all", costs.every, titles)
    # Of all jobs together no mean and no longest is of use.
    last[2] = last[3] = ""
    last[-1] = size(sum(job.disk for job in costs.every) + cache)
    return aligned([*rows, last])


def _row(name: str, jobs: list[Cost], titles: list[str]) -> list[str]:
    core, on_gpu = (sum(job.seconds for job in jobs if bool(job.gpus) == own) for own in (False, True))
    gpu = max(job.gpu_memory for job in jobs)
    cells = [
        name,
        str(len(jobs)),
        duration((core + on_gpu) / len(jobs)),
        duration(max(job.longest for job in jobs)),
        f"{core / 3600:.2f}" if core else "",
        f"{on_gpu / 3600:.2f}" if on_gpu else "",
        size(max(job.memory for job in jobs)),
        size(gpu) if gpu else "",
        size(sum(job.disk for job in jobs)),
    ]
    return [cell for cell, title in zip(cells, _HEAD) if title in titles]


def _at_once(costs: Costs, cores: int) -> str:
    """What one machine must have, whether this one has it, and how much faster many are."""
    most, gpu = (max(getattr(job, key) for job in costs.every) for key in ("memory", "gpu_memory"))
    lines = [f"One job needs up to {size(most)} of memory" + (f" and {size(gpu)} on a GPU." if gpu else ".")]
    if most > _LARGE:
        names = [rule for rule, jobs in costs.jobs.items() if max(job.memory for job in jobs.values()) > _LARGE]
        lines.append(
            f"In {', '.join(names)} most of that are states of texts in all languages at once: "
            "limit the corpus, or give models fewer languages."
        )
    room = costs.config.costs.gpu_memory_gb * 1e9
    if gpu > room:
        names = [rule for rule, jobs in costs.jobs.items() if max(job.gpu_memory for job in jobs.values()) > room]
        lines.append(
            f"{size(gpu)} is more than {costs.config.costs.gpu or _GPU} has ({size(room)}), in {', '.join(names)}: "
            "take bands of fewer blocks, no retraining, or a larger GPU."
        )
    # Where jobs take a GPU, they may run on another machine than the one that plans.
    if not costs.on_gpu and most > machine.memory():
        names = [r for r, jobs in costs.jobs.items() if max(job.memory for job in jobs.values()) > machine.memory()]
        lines.append(
            f"{size(most)} is more than this machine has ({size(machine.memory())}), in {', '.join(names)}: take "
            "smaller models, engine.dtype bfloat16, bands of fewer blocks, or a larger machine."
        )
    alone = duration(costs.core_seconds) + " on one core"
    alone += f" and {duration(costs.gpu_seconds)} on one GPU" if costs.gpu_seconds else ""
    if cores > 1 and not costs.on_gpu:
        alone += f", {duration(60 * minutes(costs, cores))} on {cores}"
    jobs = max(map(len, costs.jobs.values()))
    lines.append(f"It takes {alone}; with a machine for every job (up to {jobs} at once) {duration(costs.chain)}.")
    if not costs.on_gpu and any(map(costs.opened, costs.study.models)) and costs.config.engine.device == "auto":
        lines.append("No GPU is here, so that none is planned; costs.gpu plans for one that stands elsewhere.")
    return "\n".join(lines) + "\n"


def _on_cards(costs: Costs) -> str:
    """What every kind of cell needs of usual GPUs, and whether that is more than they have."""
    if not costs.on_gpu:
        return ""
    rows = [["GPU memory by cells", "cells", *(f"of {size(card)}" for card in _CARDS)]]
    for name, cells, needed in cards.needed(costs.work, _CARDS):
        fits = [size(own) + (", too much" if own > card else "") for own, card in zip(needed, _CARDS)]
        rows.append([name, str(cells or ""), *fits])
    return aligned(rows)


def _assumed(costs: Costs) -> str:
    section, asked = costs.config.costs, costs.work.size
    speed = section.core_gflops
    said = "measured on the machine of the reference run" if speed == type(section)().core_gflops else "as configured"
    lines = [
        "Assumed (change the section `costs` of the configuration):",
        f"  a core does {speed:g} GFLOP/s, {said}",
    ]
    if any(costs.work.needs_gpu(model) for model in costs.study.models):
        lines.append(
            f"  {section.gpu or _GPU}: {section.gpu_tflops:g} TFLOP/s in bfloat16, of which "
            f"{section.gpu_utilisation:.0%} are reached; that was not measured here"
        )
    lines.append(
        f"  matched runs stop after {MATCHED:.0%} of the steps that they may take; `longest` takes all of them"
    )
    lines.append(
        f"  {asked.facts} facts a language, {asked.forget} to forget, "
        f"about {asked.tokens:.0f} tokens each: {asked.said}"
    )
    if gated := [name for name in costs.study.models if costs.config.models[name].known]:
        lines.append(f"  {', '.join(gated)} knows {KNOWN:.0%} of them in a language, as Gemma 3 270M does")
    if costs.config.exports.tasks:
        many = costs.config.exports.limit or HARNESS_QUESTIONS
        lines.append(f"  {len(costs.config.exports.tasks)} tasks of the harness, {many} questions each")
    for name, (shape, how) in costs.work.known.items():
        millions = shape.parameters / 1e6
        count = f"{millions / 1e3:.2f} billion" if millions > 1e3 else f"{millions:.1f} million"
        lines.append(f"  {name}: {shape.blocks} blocks x {shape.hidden}, {count} parameters: {how}")
    return "\n".join(lines) + "\n"


def _error(path: Path) -> str:
    """How far plans were from what finished studies took."""
    try:
        found: Record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    fitted, lines = found["calibrated_on"], ["Planned / measured seconds of finished studies, whole and by rule:"]
    rows = [["", "all"]]
    rules = [rule for rule in RULES if any(rule in own["rules"] for own in found["studies"].values())]
    rows[0] += [rule.replace("_", " ") for rule in rules]
    for name, own in found["studies"].items():
        label = f"  {name}" + (" (the constants are from here)" if name == fitted else "")
        rows.append([label, f"{own['seconds']['ratio']:.2f}"])
        rows[-1] += [f"{own['rules'][rule]['ratio']:.2f}" if rule in own["rules"] else "" for rule in rules]
    return "\n".join([*lines, aligned(rows)])


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(bytes_: float) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if bytes_ >= step:
            return f"{bytes_ / step:.1f} {unit}" if bytes_ < 10 * step else f"{bytes_ / step:.0f} {unit}"
    return f"{bytes_ / 1e3:.0f} kB"


def minutes(costs: Costs, cores: int) -> float:
    """Rough minutes that a whole study takes on `cores` cores, and one GPU where it needs one."""
    return max(costs.core_seconds / max(cores, 1) + costs.gpu_seconds, costs.chain) / 60


def announce(costs: Costs, cores: int | None) -> None:
    """Print to standard error what a study is, before anything starts."""
    study, cores = costs.study, cores or 1
    oracles = sum(oracle is not None for *_, oracle in study.trained.values())
    learn = "train or adapt" if any(map(costs.opened, study.models)) else "train"
    gpu = f" and {costs.gpu_seconds / 3600:.1f} hours of a GPU among them" if costs.gpu_seconds else ""
    print(
        f"Study {study.config.study.name!r}: {_count(study.cells, 'cell')} in {_count(study.shards, 'shard')} "
        f"({_count(study.models, 'model')}, {_count({c.algorithm for c in study.cells}, 'algorithm')}, "
        f"{_count({(c.model, c.band) for c in study.cells}, 'model x band pair')}, "
        f"{_count(study.languages, 'language')}), "
        f"{_count(len(study.trained) - oracles, 'model')} and {_count(oracles, 'oracle')} to {learn}.\n"
        f"From scratch roughly {_count(round(minutes(costs, cores)), 'minute')} on {_count(cores, 'core')}{gpu}; "
        f"what is finished is kept. Results: {study.config.study.results}/",
        file=sys.stderr,
    )


def _count(of: int | Sized, noun: str) -> str:
    number = of if isinstance(of, int) else len(of)
    return f"{number} {noun}{'s' * (number != 1)}"
