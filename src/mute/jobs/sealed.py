"""Checks and seals around a job: its inputs are verified, it works alone, and its outputs get sidecars."""

import fcntl
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.logs import Log
from mute.store import artifacts, clock, seals
from mute.store.records import Record

if TYPE_CHECKING:
    from snakemake.iocontainers import Snakemake

_LOCKS = "locks"
# What a result may depend on. The list of what a record takes from the machine: docs/records.md.
_PACKAGES = ["torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas", "pyarrow", "matplotlib", "peft"]


@contextmanager
def sealed_job(snakemake: "Snakemake", log: Log) -> Generator[None]:
    """Check what a job reads, let it work alone, and seal what it wrote. Raises seals.DamageError.

    A job that an earlier, killed run has left may still be at the same work: this one waits for it and, where the other
    has made just this, ends as done.
    """
    key = opened(snakemake)
    with _alone(snakemake, log) as waited:
        if waited and _is_made(snakemake, key):
            log.say("the other process has made it")
            sys.exit(0)
        for path in map(Path, snakemake.output):
            artifacts.remove_parts(path)
        yield
        close(snakemake, key)


def opened(snakemake: "Snakemake") -> Record:
    """What a job works from, as its seals will say it. Raises seals.DamageError where an input was altered."""
    engine = snakemake.config.get("engine") or {}
    if "checksum_gb" in engine:
        artifacts.checked_in_full = int(engine["checksum_gb"] * 10**9)
    artifacts.made_with.update(versions=_versions(), threads=snakemake.threads)
    if "torch" in sys.modules:
        # Opening a model says it where the configuration leaves it open.
        artifacts.made_with.update(device="cpu", dtype=engine.get("dtype", "float32"))
    with clock.phase("load"):
        inputs = seals.check(results_of(snakemake), map(Path, snakemake.input))
    given = dict(snakemake.params.items())
    plan = given.get("plan")
    return {
        "producer": snakemake.rule,
        "settings": artifacts.digest(json.dumps(given, sort_keys=True, default=str, allow_nan=False)),
        "seed": plan.get("seed") if isinstance(plan, dict) else None,
        "code": given.get("code"),
        "inputs": inputs,
    }


def close(snakemake: "Snakemake", key: Record) -> None:
    """Seal what a job wrote."""
    results = results_of(snakemake)
    made = [path for path in map(Path, snakemake.output) if path.is_relative_to(results) and path.is_file()]
    with clock.phase("write"):
        seals.write(results, made, {**key, "made_with": artifacts.made_with})


def results_of(snakemake: "Snakemake") -> Path:
    """The folder of the results of a job's study."""
    return Path((snakemake.config.get("study") or {}).get("results") or "results")


@contextmanager
def _alone(snakemake: "Snakemake", log: Log) -> Generator[bool]:
    """Hold the lock of this job; whether another process had it before. A killed job's lock is gone with it."""
    name = artifacts.digest([snakemake.rule, *map(str, snakemake.wildcards)])
    path = results_of(snakemake) / seals.FOLDER / _LOCKS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    waited = False
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            log.say("a process that an earlier run left is still at this: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            log.note(f"no lock, the file system has none: {error.strerror}")
        yield waited


def _is_made(snakemake: "Snakemake", key: Record) -> bool:
    """Whether every output is there, whole, and made from just this."""
    results = results_of(snakemake)
    for path in map(Path, snakemake.output):
        seal = seals.read(results, path) if path.is_relative_to(results) else None
        if seal is None or any(seal.get(k) != v for k, v in key.items()) or seals.fault(results, path):
            return False
    return True


def _versions() -> dict[str, str]:
    """Of Python, and of those packages that this job has imported."""
    found = {name: str(getattr(sys.modules.get(name), "__version__", "")).split("+")[0] for name in _PACKAGES}
    return {"python": ".".join(map(str, sys.version_info[:3])), **{name: v for name, v in found.items() if v}}
