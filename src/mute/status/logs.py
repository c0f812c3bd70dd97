"""What logs say of how jobs ended: each job's own, and those that Snakemake keeps of its runs.

They may be cut off, half written or gone: what cannot be read says nothing, and nothing here raises.
"""

import json
import os
import re
import signal
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from mute.plan import origin

# What a job's last lines are found in, and one of them: seconds since its start, and what it says.
_TAIL = 65536
_WHOLE = 1 << 26
_ENTRY = re.compile(r"^ *\d+\.\d s  (.*)$")
# Runs that are looked through: those before them said all that they had to say long ago.
_RUNS = 50
_BROUGHT_DOWN = "Terminating processes on user request"


def tail(path: Path, size: int = _TAIL) -> str:
    """The end of a file as text; empty if it cannot be read."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - size))
            return handle.read().decode("utf-8", "replace")
    except OSError:
        return ""


def changed(path: Path) -> float:
    """When a file was written last; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@dataclass(frozen=True)
class End:
    """How a job ended, by its own log or by Snakemake's.

    done: it says so. reason: why not, if it says that. traceback: where in the code. stopped: it was brought down
    together with its run.
    """

    done: bool = False
    reason: str = ""
    traceback: str = ""
    stopped: bool = False


def ended(log: Path) -> End:
    """What the log of a job says of its end: a ValueError is `stopped`, a bug has `failed`."""
    if log.suffix == ".ipynb":
        return _notebook(log)
    entries: list[list[str]] = []
    for line in tail(log).splitlines():
        if found := _ENTRY.match(line):
            entries.append([found[1]])
        elif entries:
            entries[-1].append(line)
    if not entries:
        return End()
    reason = traceback = ""
    for first, *more in entries:
        kind, _, rest = first.partition(": ")
        if kind in ("stopped", "failed"):
            reason = one_line([rest, *more])
        elif kind == "where in the code":
            traceback = rest
    return End(entries[-1] == ["done"], reason, traceback)


def _notebook(log: Path) -> End:
    """The exception that stands in a notebook, as papermill leaves it."""
    try:
        cells = json.loads(log.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        for output in outputs:
            if output.get("output_type") == "error":
                return End(reason=one_line(f"{output['ename']}: {output['evalue']}".splitlines()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    return End()


def one_line(lines: list[str]) -> str:
    """A message in one line: where its first only announces the others, the next one follows, and how many are left."""
    said = [line.strip().removeprefix("- ") for line in lines if line.strip()]
    shown = 2 if said and said[0].endswith(":") else 1
    left = len(said) - shown
    more = f" (and {left} more line{'s' * (left > 1)} in the log)" if left > 0 else ""
    return " ".join(said[:shown]) + more


class Run:
    """One run of Snakemake, by its log: when it began, and the jobs that failed in it by their logs."""

    def __init__(self, log: Path) -> None:
        self.log = log
        try:
            self.began = datetime.strptime(log.name[:17], "%Y-%m-%dT%H%M%S").timestamp()
        except ValueError:
            self.began = changed(log)

    @cached_property
    def failures(self) -> dict[str, End]:
        """Jobs that failed, by the path of their log."""
        found: dict[str, End] = {}
        # How a command ended stands before the block of its job, in which the log is named.
        status = why = ""
        inside = stopped = False
        for line in tail(self.log, _WHOLE).splitlines():
            if line.startswith(_BROUGHT_DOWN):
                stopped = True
            elif line.startswith(("Error in rule ", "Error in group ")):
                why, status, inside = status, "", True
            elif inside and line.lstrip().startswith("log: "):
                for path in line.split("log: ", 1)[1].split(" (check log file")[0].split(", "):
                    found[path] = End(reason=why, stopped=stopped)
            elif not line.startswith(" "):
                inside, status = False, _exit(line) or status
        return found


def _exit(line: str) -> str:
    """How a command ended, if that is what a line says."""
    if found := re.search(r"' died with <Signals\.(\w+): (\d+)>", line):
        if int(found[2]) == signal.SIGKILL:
            return "killed (SIGKILL), as happens when memory runs out"
        return f"killed ({found[1]})"
    if found := re.search(r"' returned non-zero exit status (\d+)", line):
        return f"exit status {found[1]}; its log does not say why"
    return ""


class Runs:
    """What Snakemake keeps of its runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def newest_first(self) -> list[Run]:
        """Runs that started jobs, the newest first."""
        logs = sorted((self.folder / "log").glob("*.snakemake.log"), reverse=True)
        return [run for run in map(Run, logs[:_RUNS]) if _started_jobs(run.log)]

    @property
    def newest(self) -> Run | None:
        return next(iter(self.newest_first), None)

    def of(self, log: Path) -> Run | None:
        """The run that a job belongs to which wrote this log: the newest that began before its last line."""
        written = changed(log)
        return next((run for run in self.newest_first if run.began <= written + 1), None) if written else self.newest

    @cached_property
    def incomplete(self) -> set[str]:
        """Outputs of jobs that began and did not end."""
        return {about for _, about in origin.notes(self.folder / "incomplete")}


def _started_jobs(log: Path) -> bool:
    """Whether a run came so far as to start jobs, and was no dry run; asked of the first part of its log."""
    try:
        with log.open("rb") as handle:
            first = handle.read(1 << 18)
    except OSError:
        return False
    return b"\nExecute " in first
