"""Killed at random moments of every stage, and started again, a study ends with the bytes of an undisturbed one."""

import random
import signal
import subprocess
import time

import psutil
from harness import SEED, WHOLE, Project, kill, row, words

STAGES = [
    "planning",
    "make_corpus",
    "train_tokenizer",
    "pretrain_longest",
    "evaluate_model",
    "score_layers",
    "tune_strength",
    "unlearn_shard",
    "check_gates",
    "evaluate_shard",
    "probe_shard",
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
EACH = 3  # kills aimed at a stage
KILLS = 40 if WHOLE else 5


def main_process(project: Project) -> list[psutil.Process]:
    """Snakemake itself, not its jobs."""
    return [p for p in project.processes() if "/snakemake " in words(p) and "--mode" not in words(p)]


def sigkill_everything(project: Project, run: subprocess.Popen, stage: str) -> None:
    kill(project.processes())


def sigkill_and_orphans_work_on(project: Project, run: subprocess.Popen, stage: str) -> None:
    kill([psutil.Process(run.pid), *main_process(project)])


def sigterm(project: Project, run: subprocess.Popen, stage: str) -> None:
    run.send_signal(signal.SIGTERM)


def ctrl_c(project: Project, run: subprocess.Popen, stage: str) -> None:
    kill([psutil.Process(run.pid), *main_process(project)], signal.SIGINT)


def sigkill_one_job(project: Project, run: subprocess.Popen, stage: str) -> None:
    """As the out-of-memory killer does: the largest process."""
    jobs = project.jobs()
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


def disturbed(project: Project, stage: str, way: str, rng: random.Random) -> bool | None:
    """Start the study and kill it in a stage; whether it noticed, or None where it ended before."""
    run = project.start()
    if not project.wait_for(lambda: is_at(project, stage), run):
        return None
    time.sleep(rng.uniform(0, 1.5))
    if run.poll() is not None:
        return None
    WAYS[way](project, run, stage)
    return run.wait(600) != 0


def test_killed_at_random_moments_of_every_stage(finished, expected, tmp_path):
    rng = random.Random(SEED)
    project, ways, kills, seen = Project.fresh(tmp_path / "mute"), list(WAYS), 0, set()
    for walk in range(1, 9):
        stages = STAGES if WHOLE else sorted(rng.sample(STAGES, KILLS), key=STAGES.index)
        told = []
        for stage in stages:
            for _ in range(EACH if WHOLE else 1):
                way = ways[kills % len(ways)]
                noticed = disturbed(project, stage, way, rng)
                if noticed is None:
                    break  # the stage is done, or the whole study
                kills += 1
                seen.add(stage)
                told.append((way, noticed))
                print(f"walk {walk}, kill {kills}: {stage}, {way}, {'noticed' if noticed else 'it had ended well'}")
        status = project.run()
        equal = project.published() == expected
        whole = project.check() == 0 and not project.leftovers()
        for way, noticed in told:
            # Killed when all was made, a run may still end well.
            row(way).add(detected=noticed or status == 0, recovered=status == 0 and whole, equal=equal)
        assert status == 0, project.said
        assert equal, [name for name, data in project.published().items() if expected.get(name) != data]
        assert whole, (project.said, project.leftovers())
        if kills >= KILLS:
            break
        project.reset()
    assert kills >= KILLS
    if WHOLE:
        assert seen >= set(STAGES) - {"planning"}, set(STAGES) - seen
