"""The log of a job, and lines that a person can follow."""

import contextlib
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mute.jobs.progress import EVERY, lasting

SECONDS = ".seconds.json"


class Log:
    """Lines for the job's log file; those that `say` prints go to the terminal too."""

    def __init__(self, path: Path, name: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.handle = path.open("w", encoding="utf-8", buffering=1)
        self.path, self.name = path, name
        # Where to speak: standard error, unless a job turns that elsewhere, for what its libraries print.
        self.terminal: TextIO | None = None
        self.started = self.spoke = time.monotonic()
        # What nothing handles ends the process, and would leave a log without an end.
        sys.excepthook = self.note_crash

    def note(self, text: str) -> None:
        # On a full disk the job says so itself, when its results do not fit.
        with contextlib.suppress(OSError):
            self.handle.write(f"{time.monotonic() - self.started:8.1f} s  {text}\n")

    def say(self, text: str) -> None:
        self.note(text)
        self.spoke = time.monotonic()
        print(f"[{self.name}] {text}", file=self.terminal or sys.stderr, flush=True)

    def keep_traceback(self, text: str) -> None:
        """Put a traceback into a file beside the log, unless the disk is full."""
        with contextlib.suppress(OSError):
            path = self.path.with_suffix(".traceback")
            path.write_text(text, encoding="utf-8")
            self.note(f"where in the code: {path}")

    def note_crash(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Note an exception that nobody handles, a bug, before Python prints it; its traceback goes beside the log."""
        if issubclass(kind, KeyboardInterrupt):
            self.note("interrupted")
        else:
            self.note(f"failed: {''.join(traceback.format_exception_only(kind, error)).strip()}")
            self.keep_traceback("".join(traceback.format_exception(kind, error, trace)))
        sys.__excepthook__(kind, error, trace)

    def progress(self, done: int, total: int, text: str) -> None:
        """Say how far the work is, at most every ten seconds, with a guess at what is left."""
        now = time.monotonic()
        if now - self.spoke >= EVERY or done == total:
            left = (now - self.started) / max(done, 1) * (total - done)
            self.say(f"{text} {done}/{total}" + (f", {lasting(left)} left" if done < total else ""))
