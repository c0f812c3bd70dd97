"""The log of a job, and lines that a person can follow."""

import contextlib
import sys
import time
from pathlib import Path

SECONDS = ".seconds.json"


class Log:
    """Lines for the job's log file; those that `say` prints go to the terminal too."""

    def __init__(self, path: Path, name: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.handle = path.open("w", encoding="utf-8", buffering=1)
        self.name = name
        self.started = self.spoke = time.monotonic()

    def note(self, text: str) -> None:
        # On a full disk the job says so itself, when its results do not fit.
        with contextlib.suppress(OSError):
            self.handle.write(f"{time.monotonic() - self.started:8.1f} s  {text}\n")

    def say(self, text: str) -> None:
        self.note(text)
        self.spoke = time.monotonic()
        print(f"[{self.name}] {text}", file=sys.stderr, flush=True)

    def progress(self, done: int, total: int, text: str, every: float = 20.0) -> None:
        """Say how far the work is, at most every so many seconds, with a guess at what is left."""
        now = time.monotonic()
        if now - self.spoke >= every or done == total:
            left = (now - self.started) / max(done, 1) * (total - done)
            self.say(f"{text} {done}/{total}" + (f", about {left:.0f} s left" if done < total else ""))
