"""Killed at random moments of every stage, and started again, a study ends with the bytes of an undisturbed one."""

import random
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psutil
from harness import PATIENCE, SEED, WHOLE, Project, kill, row, words

STAGES = [
    "planning",
    "make_corpus",
    "train_tokenizer",
    "pretrain_longest",
    "evaluate_model",
    "score_layers",
    "unlearn_shard",
    "check_gates",
    "evaluate_shard",
    "attack_shard",
    "analyse_shard",
    "score_shard",
    "export_model",
    "make_tables",
    "draw_figures",
    "explore_layers",
    "explore_trade_off",
    "write_metrics",
    "summarise",
    "report",
]
EACH = 2 if WHOLE else 1  # kills aimed at a stage in each walk
KILLS = 40 if WHOLE else 5


def main_process(project: Project) -> list[psutil.Process]:
    """Snakemake itself, not its jobs."""
    return [p for p in project.processes() if "/snakemake " in words(p) and "--mode" not in words(p)]


def sigkill_everything(project: Project, run: subprocess.Popen) -> None:
    kill(project.processes())


def sigkill_and_orphans_work_on(project: Project, run: subprocess.Popen) -> None:
    kill([psutil.Process(run.pid), *main_process(project)])


def sigterm(project: Project, run: subprocess.Popen) -> None:
    run.send_signal(signal.SIGTERM)


def ctrl_c(project: Project, run: subprocess.Popen) -> None:
    kill([psutil.Process(run.pid), *main_process(project)], signal.SIGINT)


def sigkill_one_job(project: Project, run: subprocess.Popen) -> None:
    """As the out-of-memory killer does: the largest process."""
    started = {p.pid for p in psutil.Process(run.pid).children(recursive=True)}  # and no orphan of an earlier run
    jobs = [p for p in project.jobs() if p.pid in started]
    kill(sorted(jobs, key=lambda p: p.memory_info().rss)[-1:] or main_process(project))


WAYS = {
    "SIGKILL, all processes": sigkill_everything,
    "SIGKILL of make and Snakemake, orphans work on": sigkill_and_orphans_work_on,
    "SIGTERM": sigterm,
    "SIGKILL of the largest job (out of memory)": sigkill_one_job,
    "Ctrl-C": ctrl_c,
}


def is_at(project: Project, stage: str) -> bool:
    if stage == "planning":
        return bool(main_process(project))
    if stage == "report":
        return any("--report" in words(p) for p in main_process(project))
    return bool(project.jobs(stage))


def disturbed(project: Project, kills: Counter[str], way: str, rng: random.Random) -> tuple[str, bool] | None:
    """Start the study and kill it in the first of these stages that it comes to: which it was, and whether it noticed.

    Of several at once it is the one with the fewest kills so far. None where the study ended before. A run that makes
    damaged files again before all else may lose a job to a kill there, say so, and still end well.
    """
    run = project.start()
    at: list[str] = []

    def arrived() -> bool:
        at[:] = sorted((stage for stage in kills if is_at(project, stage)), key=kills.__getitem__)[:1]
        return bool(at)

    if not project.wait_for(arrived, run):
        return None
    time.sleep(rng.uniform(0, 1.5))
    if run.poll() is not None:
        return None
    WAYS[way](project, run)
    return at[0], run.wait(PATIENCE) != 0 or "Error in rule" in project.said


def walk(project: Project, first: int, number: int, aims: list[str], expected: dict[str, bytes]) -> Counter[str]:
    """A study from nothing to its end, killed in these stages, one after the other; returns how often in which.

    first: where among the ways to begin. Raises AssertionError if it does not end as one that nobody disturbed.
    """
    rng, ways = random.Random(f"{SEED} {number}"), list(WAYS)
    stages = aims if WHOLE else sorted(rng.sample(aims, min(3, len(aims))), key=STAGES.index)
    kills, told = Counter[str](), []
    while wanted := Counter({stage: kills[stage] for stage in stages if kills[stage] < EACH}):
        way = ways[(first + kills.total()) % len(ways)]
        found = disturbed(project, wanted, way, rng)
        if found is None:
            break  # all of them are over
        stage, noticed = found
        print(f"walk {number}: {stage}, {way}, {'noticed' if noticed else 'too late, the study had ended well'}")
        if not noticed:
            break
        kills[stage] += 1
        told.append(way)
    status = project.run()
    equal = project.published() == expected
    whole = project.check() == 0 and not project.leftovers()
    for way in told:  # its run said that the study is not complete, or was itself killed
        row(way).add(detected=True, recovered=status == 0 and whole, equal=equal)
    assert status == 0, project.said
    assert equal, [name for name, data in project.published().items() if expected.get(name) != data]
    assert whole, (project.said, project.leftovers())
    return kills


def test_killed_at_random_moments_of_every_stage(expected, tmp_path):
    """In two projects at once; once more for the stages that were over before their turn."""
    kills, number = Counter[str](), 0
    projects = [Project.fresh(tmp_path / name / "mute") for name in ("one", "other")]
    while kills.total() < KILLS or (WHOLE and not set(kills) >= set(STAGES)):
        assert number < 8, f"{kills.total()} kills, none in {sorted(set(STAGES) - set(kills))}"
        aims = [stage for stage in STAGES if not kills[stage]] or STAGES
        with ThreadPoolExecutor(2) as pool:
            walks = [pool.submit(walk, p, 2 * i + number, number + i, aims, expected) for i, p in enumerate(projects)]
            for each in walks:
                kills += each.result()
        number += 2
        for project in projects:
            project.reset()
