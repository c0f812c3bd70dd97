"""How far a job is: counters within each other, and at most every ten seconds a line with the time left.

Loops count where they run, however deep in the package; only a job has a log, and without one nobody is told.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

EVERY = 10.0
# Share of the work that must be done before the rest is guessed from it.
TOLD = 0.05

Item = TypeVar("Item")
# Says one line, and knows when the job spoke last.
_speaker: "tuple[Callable[[str], None], Callable[[], float]] | None" = None
_counters: "list[Counter]" = []


class Counter:
    """Work of `total` equal units, some done and some skipped: found from an earlier run, which took no time."""

    def __init__(self, total: float, unit: str) -> None:
        self.total, self.unit = total, unit
        self.done = self.skipped = 0.0
        # Units of this that the counters within it stand for.
        self.worth = 1.0
        self.started = time.monotonic()

    def __call__(self, units: float = 1) -> None:
        self.done += units
        tell()

    def skip(self, units: float = 1) -> None:
        self.skipped += units

    @contextmanager
    def part(self, units: float) -> Generator[None]:
        """Whatever counts inside counts towards so many units, which are done at the end."""
        self.worth = units
        try:
            yield
        finally:
            self.worth = 1.0
        self(units)

    def __str__(self) -> str:
        return f"{self.unit} {self.done + self.skipped:.0f}/{self.total:.0f}"


def listen(say: Callable[[str], None] | None, spoke: Callable[[], float] = time.monotonic) -> None:
    """Let a job tell how far it is; spoke: when it last said anything, of `time.monotonic`. None: nobody listens."""
    global _speaker
    _speaker = None if say is None else (say, spoke)
    _counters.clear()


@contextmanager
def counting(total: float, unit: str) -> Generator[Counter]:
    """A counter of work that is about to be done, within those that are open."""
    own = Counter(total, unit)
    _counters.append(own)
    try:
        yield own
    finally:
        # By identity, and not the last one: a loop that was left early closes its counter when it is collected.
        if own in _counters:
            _counters.remove(own)


def each(items: Sequence[Item], unit: str) -> Generator[Item]:
    """The items, counted as they are done."""
    with counting(len(items), unit) as count:
        for item in items:
            yield item
            count()


def share() -> float:
    """How much of the work is done of which the outermost counter knows, from 0 to 1."""
    done, scale = 0.0, 1.0
    for own in _counters:
        left = max(own.total - own.skipped, 1e-9)
        done += scale * own.done / left
        scale *= own.worth / left
    return min(done, 1.0)


def tell() -> None:
    """Say how far the job is and how long it still takes, unless it has spoken in the last ten seconds."""
    if _speaker is None or not _counters:
        return
    say, spoke = _speaker
    now = time.monotonic()
    if now - spoke() >= EVERY and (done := share()) > 0:
        left = (now - _counters[0].started) * (1 - done) / done
        # What begins is often slower than the rest: of the first few hundredths no time can be told.
        say(", ".join([*map(str, _counters), *([f"{lasting(left)} left"] if done >= TOLD else [])]))


def lasting(seconds: float) -> str:
    """A time that is guessed, in words."""
    if seconds < 100:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 6000 else f"about {seconds / 3600:.1f} h"
