"""SHA-256 sidecars of results: written when a job ends, verified before the next one reads.

The seal of <results>/gates/llama-s0.csv is <results>/records/gates/llama-s0.csv.json, written after the file: its
sha256 and size, and what it was made from and with. A file that is not what its seal says is put aside, into
<results>/damaged, and no job reads it: it is then missing, and Snakemake makes it again. Folders of the store have a
seal of their own (`artifacts.seal`).
"""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mute.store import artifacts
from mute.store.records import Record

FOLDER, DAMAGED = "records", "damaged"
# DVC brings these without their seals (dvc.yaml), and they may be another version's.
PUBLISHED = ("tables", "figures", "plots", "paper", "summary.rst", "index.html", "metrics.json")
# Where a study keeps folders by their content, and what names them: a shard's tables.
STORES = ("cells", "evaluations/cells", "attacks", "analyses")
NAMED_IN = "shards/*/*.csv"
# Where folders of their own stand, with a record of all that is in them.
SEALED = ("models", "tokenizers", "exports")
_SKEW = 60  # seconds that clocks of machines sharing a disk may differ


@dataclass(frozen=True)
class Fault:
    """A file or folder that is not what was written, and why.

    removed: the files that were put aside for it, with their seals (None: it could not be read) and when these were
    written.
    """

    path: Path
    text: str
    removed: dict[Path, tuple[Record | None, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.path} {self.text}"


class DamageError(ValueError):
    """Something that a job was to read is not what was written. What is put aside for it is made again."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        lines = "".join(f"\n  - {fault}" for fault in self.faults)
        super().__init__(f"damaged files were put aside, the same command makes them again:{lines}")


def record(results: Path, path: Path) -> Path:
    """Where the seal of a file of `results` is."""
    return results / FOLDER / f"{path.relative_to(results).as_posix()}.json"


def write(results: Path, paths: Iterable[Path], about: Record) -> None:
    """Seal files of `results`, with what is to be said `about` all of them."""
    for path in paths:
        facts = {"sha256": artifacts.sha256(path), "bytes": path.stat().st_size}
        # Not waited for until it is on the disk: a seal that a crash took away is one more file made again.
        artifacts.write_record(record(results, path), {**about, **facts}, sync=False)


def read(results: Path, path: Path) -> Record | None:
    """The seal of a file; None where there is none, or none that can be read."""
    return artifacts.read_record(record(results, path))


def fault(results: Path, path: Path) -> Fault | None:
    """What is wrong with a file of `results`; None where nothing is."""
    seal = read(results, path)
    published = path.relative_to(results).parts[0] in PUBLISHED
    if seal is None and record(results, path).exists():
        return Fault(path, "has no seal that can be read")
    if seal is None:
        return None if published else Fault(path, "has no seal: the job that wrote it did not end, or was none of ours")
    if not path.is_file():
        return Fault(path, "is no file")
    try:
        if artifacts.agrees(path, seal):
            return None
        size = path.stat().st_size
    except OSError as error:
        return Fault(path, f"cannot be read ({error.strerror})")
    if published:
        from mute.store import pointers  # a job that finds its inputs whole needs none of it

        if pointers.is_known(path):
            return None  # `dvc checkout` put it there
    change = f"has {size} bytes, not {seal['bytes']}" if size != seal["bytes"] else "was altered"
    return Fault(path, f"{change} since its job wrote it")


def put_aside(results: Path, fault: Fault) -> None:
    """Move what is wrong to where nobody takes it for a result; it is kept, for it may be someone's own.

    With a folder of the store go the tables of shards that name it: their jobs then make it again.
    """
    if fault.path.is_dir():
        sealed = [path for path in (fault.path, *fault.path.rglob("*")) if record(results, path).is_file()]
        tables = results.glob(NAMED_IN) if fault.path.parent.relative_to(results).as_posix() in STORES else ()
        sealed += [path for path in tables if fault.path.name in path.read_text(encoding="utf-8", errors="replace")]
    else:
        sealed = [fault.path]
    for path in sealed:
        if (seal := record(results, path)).exists():
            fault.removed[path] = (read(results, path), seal.stat().st_mtime)
            seal.unlink()
    for path in {fault.path, *sealed}:
        if path.exists():
            target = results / DAMAGED / path.relative_to(results)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)
    (results / DAMAGED).mkdir(parents=True, exist_ok=True)
    os.utime(results / DAMAGED)


def last_damage(results: Path) -> int:
    """When something was last put aside, in nanoseconds; 0 for never."""
    return (results / DAMAGED).stat().st_mtime_ns if (results / DAMAGED).is_dir() else 0


def restore_times(faults: Iterable[Fault]) -> None:
    """Give files that were made again, and are the same again, their old times: nothing after them has to run."""
    for fault in faults:
        for path, (seal, then) in fault.removed.items():
            if seal is not None and path.is_file() and artifacts.agrees(path, seal):
                os.utime(path, (then, then))


def check(results: Path, paths: Iterable[Path]) -> dict[str, str]:
    """sha256 of each file of `results` among `paths`, by its path below it. Raises DamageError for those that changed.

    They are put aside. A file that is not there is left to whoever reads it.
    """
    faults, digests = [], {}
    for path in paths:
        if not path.is_relative_to(results) or not path.is_file():
            continue
        found = fault(results, path)
        if found is None:
            seal = read(results, path)
            name = path.relative_to(results).as_posix()
            digests[name] = seal["sha256"] if seal else artifacts.sha256(path)
        else:
            put_aside(results, found)
            faults.append(found)
    if faults:
        raise DamageError(faults)
    return digests


def not_whole(folder: Path) -> Fault:
    return Fault(folder, "is not what was written: a file in it is missing, altered or strange")


def sealed_files(results: Path) -> Iterator[Path]:
    """Every file that a seal speaks of, there or not."""
    folder = results / FOLDER
    for path in sorted(folder.rglob("*.json")):
        yield results / path.relative_to(folder).as_posix().removesuffix(".json")


def sweep(results: Path, *, mend: bool = True) -> list[Fault]:
    """Everything in `results` that is not what was written. With `mend` it is put aside, to be made again.

    Times of change that lie in the future are set back (to when the seal was written): Snakemake goes by them.
    """
    found = []
    for path in sealed_files(results):
        seal, now = record(results, path), time.time()
        if not path.exists():
            if mend:
                seal.unlink(missing_ok=True)
        elif wrong := fault(results, path):
            found.append(wrong)
        elif mend and path.stat().st_mtime > now + _SKEW:
            then = min(seal.stat().st_mtime, now)
            os.utime(path, (then, then))
    for parent in (*STORES, *SEALED):
        for folder in sorted(path for path in (results / parent).glob("*") if path.is_dir()):
            # One without a record is a job's that was stopped, or is at work: it makes it anew itself.
            if (folder / artifacts.RECORD).exists() and artifacts.sealed(folder) is None:
                found.append(not_whole(folder))
    if mend:
        for wrong in found:
            put_aside(results, wrong)
    return found
