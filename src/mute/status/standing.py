"""How a study stands: what is done, diverged, failed and pending, by what lies on the disk. Imports no torch.

It can be asked at any time: before a run, during one, after one that was killed, of damaged files. Whether what is
there would be made again after a change of code, only Snakemake knows (`make study ARGS=-n`).
"""

import fcntl
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mute.status import cells
from mute.status.logs import Run, Runs, changed, ended
from mute.status.plan import Job, Jobs
from mute.store import seals
from mute.study.cells import Study

LOCK = Path(".study.lock")
SNAKEMAKE = Path(".snakemake")
PAGE = "status.html"
STATES = ("done", "running", "failed", "stopped", "pending")
COMPLETE, FAILED, PENDING = 0, 1, 2


@dataclass(frozen=True)
class Standing:
    """How one job stands; of a failed one why, and where that is told: paths that exist, or empty."""

    job: Job
    state: str
    reason: str = ""
    log: str = ""
    traceback: str = ""


@dataclass
class Status:
    """How a study stands. under_way: whether a run is; rules: states of the jobs of each, counted; notes: the rest."""

    study: Study
    jobs: list[Standing]
    cells: list[cells.Found]
    under_way: bool
    command: str
    notes: list[str] = field(default_factory=list)

    @cached_property
    def rules(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for standing in self.jobs:
            found.setdefault(standing.job.rule, Counter())[standing.state] += 1
        return found

    @cached_property
    def counts(self) -> Counter[str]:
        return sum(self.rules.values(), Counter())

    def of_state(self, state: str) -> list[Standing]:
        return [standing for standing in self.jobs if standing.state == state]

    @property
    def code(self) -> int:
        """Exit status: complete, or something failed, or something is pending."""
        if self.counts["failed"]:
            return FAILED
        return COMPLETE if self.counts["done"] == self.counts.total() else PENDING


def collect(study: Study, command: str = "make study", *, under_way: bool | None = None) -> Status:
    """How the study stands now. command: what goes on with it. under_way: whether a run is; None: look."""
    under_way = is_under_way() if under_way is None else under_way
    jobs, look = Jobs(study), _Look(study.config.study.results, under_way)
    found = [look.at(job) for job in jobs.whole]
    # What one has to ask for counts once it was asked for.
    found += [standing for standing in map(look.at, jobs.asked) if standing.state != "pending"]
    found = found if under_way else _needed(found)
    done = {str(s.job): s.state == "done" for s in found}
    read = cells.Reader(study)
    status = Status(study, found, read.cells(done), under_way, command, look.notes)
    status.notes += read.notes
    *tables, own = next(job.outputs for job in jobs.whole if job.rule == "make_tables")
    if not _is_there(own) and any(map(_is_there, tables)):
        status.notes.append(
            "the tables there were made with other settings or other code: what depends on the change is made again"
        )
    return status


def _needed(found: list[Standing]) -> list[Standing]:
    """Without jobs that nobody waits for: what only they would be made for is there, as after `dvc pull`."""
    targets = ("make_tables", "write_metrics", "summarise", "collect_harness", "export_model", "publish_results")
    at_rest = {standing.state for standing in found} <= {"done", "pending"}
    if not at_rest or any(standing.state != "done" for standing in found if standing.job.rule in targets):
        return found
    return [standing for standing in found if standing.state != "pending" or standing.reason]


class _Look:
    """Looks at jobs: their outputs, their logs, and what Snakemake keeps of its runs."""

    def __init__(self, results: str, under_way: bool) -> None:
        self.results, self.under_way, self.runs = Path(results), under_way, Runs(SNAKEMAKE)
        self.notes: list[str] = []

    def at(self, job: Job) -> Standing:
        marked = not self.runs.incomplete.isdisjoint(job.outputs)
        if not marked and all(map(_is_there, job.outputs)):
            return Standing(job, "pending", "damaged") if self._is_damaged(job) else Standing(job, "done")
        log = Path(job.log)
        written = changed(log)
        if self.under_way and marked:
            return Standing(job, "running", log=job.log if written else "")
        run = self.runs.of(log)
        if self.under_way and run is not self.runs.newest:
            # It failed in an earlier run; this one has not come to it yet.
            return Standing(job, "pending")
        return self._ended(job, run, marked, bool(written))

    def _is_damaged(self, job: Job) -> bool:
        """Whether an output is not as long as its seal says. The next run reads the bytes, too, and makes it again."""
        for path in job.outputs:
            # DVC brings what is published, of other bytes perhaps.
            if Path(path).relative_to(self.results).parts[0] not in seals.PUBLISHED:
                seal = seals.read(self.results, Path(path))
                if seal and seal["bytes"] != os.stat(path).st_size:
                    self.notes.append(f"{path} has not the size that it was written with: it is made again")
                    return True
        return False

    def _ended(self, job: Job, run: Run | None, marked: bool, logged: bool) -> Standing:
        """A job that is not done and does not run: whether it failed, was brought down with its run, or waits."""
        end = ended(Path(job.log))
        failure = run.failures.get(job.log) if run else None
        where = (job.log if logged else "", end.traceback if end.traceback and Path(end.traceback).exists() else "")
        if failure and failure.stopped and not end.reason:
            return Standing(job, "stopped", "", *where)
        if end.reason or failure:
            reason = end.reason or (failure.reason if failure else "") or "its log does not say why"
            # Where it left no log, Snakemake's says what is known.
            return Standing(job, "failed", reason, where[0] or (str(run.log) if run else ""), where[1])
        if marked or (logged and not end.done and not job.log.endswith(".ipynb")):
            return Standing(job, "stopped", "", *where)
        return Standing(job, "pending")


def _is_there(path: str) -> bool:
    """Whether a file is there and not empty: no rule makes an empty one."""
    try:
        return os.stat(path).st_size > 0
    except (OSError, ValueError):
        return False


def is_under_way() -> bool:
    """Whether a run is under way in this folder: the front door's lock is held, or Snakemake's by one that lives."""
    try:
        with LOCK.open() as lock:
            # Shared, and given back at once: a run that starts at this very moment tries again.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return any((SNAKEMAKE / "locks").glob("*")) and _lives()


def _lives() -> bool:
    """Whether Snakemake, started without the front door, runs in this folder."""
    try:
        import psutil
    except ImportError:
        return False
    found = (process.info for process in psutil.process_iter(["cwd", "cmdline"]))
    here = [info["cmdline"] or [] for info in found if info["cwd"] == os.getcwd()]
    return any(Path(part).name == "snakemake" for command in here for part in command)
