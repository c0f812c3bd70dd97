"""Where a job's time goes: import, load, compute, write. What is in no named phase is compute.

`import` is all that passes before the job's own work begins: starting Python, importing torch, reading the script.
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager

PHASES = ("import", "load", "compute", "write")

_spent: dict[str, float] = {}
_started = time.monotonic()
_inside = False


def _age() -> float:
    """Seconds since this process began, where the system says so; else since this module was imported."""
    try:
        import psutil

        return time.time() - psutil.Process(os.getpid()).create_time()
    except (ImportError, OSError):
        return time.monotonic() - _started


def begin() -> None:
    """The job's own work begins now."""
    global _started
    _spent.clear()
    _spent["import"] = _age()
    _started = time.monotonic()


@contextmanager
def phase(name: str) -> Generator[None]:
    """Count what happens inside as `load` or `write`. A phase within a phase counts as the outer one."""
    global _inside
    if _inside:
        yield
        return
    start, _inside = time.monotonic(), True
    try:
        yield
    finally:
        _inside = False
        _spent[name] = _spent.get(name, 0.0) + time.monotonic() - start


def seconds() -> dict[str, float]:
    """Seconds per phase so far."""
    work = time.monotonic() - _started
    known = {name: _spent.get(name, 0.0) for name in PHASES}
    known["compute"] = work - known["load"] - known["write"]
    return {name: round(value, 3) for name, value in known.items()}


def between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What one piece of a job took; the import is the job's, and each piece carries it whole."""
    return {name: after[name] if name == "import" else round(after[name] - before[name], 3) for name in PHASES}
