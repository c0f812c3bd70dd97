"""Files that exist only when they are whole: the one module that writes results.

Every file is written under a temporary name in its own directory, synced, and renamed. A group of files (a model, a
cell) gets a `record.json`, written last, with the sha256 of its siblings: a missing or mismatched record means that
the group does not exist and is computed again.
"""

import glob
import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from mute.store import clock
from mute.store.records import Record

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

RECORD = "record.json"
SCHEMA_VERSION = 2
# Files above this size are compared by their size alone: a job of a large study would hash its model for minutes.
checked_in_full: int = 4 * 10**9
# What every record says of how its folder was made: versions, device, dtype, threads (`mute.jobs.job` fills it).
made_with: Record = {}


@contextmanager
def atomic(path: Path | str, *, sync: bool = True) -> Generator[Path]:
    """Yield a temporary path beside `path`; on success it becomes `path`, on failure nothing is left.

    sync: whether to wait until it is on the disk; what is checked when it is read, and can be made again, need not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: Path | str) -> Generator[Path]:
    """Yield a hidden folder in `folder` for what writes in place; on success its files move up, each of them whole."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".scratch-*"):
        shutil.rmtree(left, ignore_errors=True)  # by a job that was killed
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=folder) as name:
        yield Path(name)
        for path in sorted(Path(name).iterdir()):
            with path.open("rb+") as handle:
                os.fsync(handle.fileno())
            path.replace(folder / path.name)


def remove_parts(path: Path) -> None:
    """Remove what jobs that were killed left of `path` under temporary names. Only where no other job writes it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        left.unlink(missing_ok=True)


def write_text(path: Path | str, text: str, *, sync: bool = True) -> None:
    with clock.phase("write"), atomic(path, sync=sync) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: object, *, sync: bool = True) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text, sync=sync)


def read_json(path: Path | str) -> Record:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_mapping(path: Path) -> Record:
    """The mapping in a JSON file of anybody's. Raises ValueError that names the file."""
    try:
        found = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        whys = {UnicodeDecodeError: "it is not UTF-8 text", RecursionError: "it is nested too deeply"}
        raise ValueError(f"{path} cannot be read: {whys.get(type(error), error)}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no mapping of settings")
    return found


def write_table(path: Path | str, table: "pd.DataFrame") -> None:
    """A pandas table as CSV (short enough to read) or Parquet, by the ending of `path`; no index column."""
    path = Path(path)
    with clock.phase("write"), atomic(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False, compression="zstd", compression_level=9)
        elif path.suffix == ".csv":
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
        else:
            raise ValueError(f"a table is .csv or .parquet, not {path.name!r}")


def read_table(path: Path | str) -> "pd.DataFrame":
    """The table at `path`. In a CSV only an empty field is missing: a band or source named 'none' stays a word."""
    import pandas as pd

    path = Path(path)
    with clock.phase("load"):
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        # All of a file at once: by pieces, a column that is empty in one of them has another type there.
        return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=_TEXT_COLUMNS, low_memory=False)


class Row(Protocol):
    """A row of a table: its columns are attributes."""

    def __getattr__(self, column: str, /) -> Any: ...


def rows(table: "pd.DataFrame") -> Iterator[Row]:
    """The rows of a pandas table, with its columns as attributes."""
    return cast("Iterator[Row]", table.itertuples(index=False))


# Columns that hold names even where every value looks like a number.
_NAMES = "algorithm band blocks cell digest domain forget_set item model relation subject"
_TEXT_COLUMNS: dict[Any, Any] = dict.fromkeys(_NAMES.split(), "str")


def write_tensors(path: Path | str, tensors: Mapping[str, "Tensor"]) -> None:
    """Tensors as safetensors, with no metadata (more than one key would make the bytes differ from run to run)."""
    from safetensors.torch import save_file

    with clock.phase("write"), atomic(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in sorted(tensors.items())}, temporary)


def sha256(path: Path | str) -> str:
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: object) -> str:
    """20 hex digits that name a JSON value: equal values give equal digests, key order does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def seed_of(*parts: object) -> int:
    """A seed below 2^63 from the parts' JSON. Independent purposes get independent draws from one study seed."""
    return int(hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:16], 16) >> 1


def _members(folder: Path) -> dict[str, Path]:
    """The files of a folder but its record and hidden ones (temporary files, locks, what a desktop leaves)."""
    found = {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file() and p != folder / RECORD}
    return {name.as_posix(): p for name, p in found.items() if not any(part[0] == "." for part in name.parts)}


@clock.phase("write")
def seal(folder: Path | str, record: Record) -> None:
    """Write `folder`/record.json last, with sha256 and size of every other file in the folder."""
    folder = Path(folder)
    files = {name: {"sha256": sha256(p), "bytes": p.stat().st_size} for name, p in sorted(_members(folder).items())}
    write_record(folder / RECORD, {**record, "made_with": made_with, "files": files})


def write_record(path: Path, record: Record, *, sync: bool = True) -> None:
    """Write a record with the schema's version and its own digest: a flipped byte in it must show as well."""
    record = json.loads(json.dumps({**record, "schema": SCHEMA_VERSION}, allow_nan=False))
    write_json(path, {**record, "digest": digest(record)}, sync=sync)


def read_record(path: Path) -> Record | None:
    """A record as it was written; None where there is none, or another."""
    try:
        record = read_json(path)
        own = record.pop("digest")
        return record if record["schema"] == SCHEMA_VERSION and own == digest(record) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def agrees(path: Path, facts: Record) -> bool:
    """Whether a file has the size of its record and, unless it is larger than `checked_in_full`, its sha256."""
    size = path.stat().st_size
    return size == facts["bytes"] and (size > checked_in_full or sha256(path) == facts["sha256"])


def sealed(folder: Path | str) -> Record | None:
    """The record of a whole, untouched folder, or None if a file is missing, altered or foreign or its record bad."""
    folder = Path(folder)
    record = read_record(folder / RECORD)
    try:
        if record is None or set(record["files"]) != set(_members(folder)):
            return None
        return record if all(agrees(folder / name, facts) for name, facts in record["files"].items()) else None
    except (OSError, KeyError, TypeError):
        return None


class NotWholeError(RuntimeError):
    """A sealed folder that is incomplete or was altered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} is incomplete or was altered: delete it and run the study again")


def checked(folder: Path | str) -> Record:
    """The record of a folder that must be whole. Raises NotWholeError saying what to do when it is not."""
    with clock.phase("load"):
        record = sealed(folder)
    if record is None:
        raise NotWholeError(Path(folder))
    return record


def stored(folder: Path, compute: Callable[[Path], Record]) -> tuple[Record, bool]:
    """The record of `folder`, computed if it is not there whole; and whether it was computed now.

    `compute` fills the folder and returns the record to seal. A lock on the folder keeps two jobs from computing the
    same thing twice; a killed job's lock is gone with it.
    """
    import fcntl

    record = sealed(folder)
    if record is not None:
        return record, False
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = sealed(folder)
        if record is not None:
            return record, False
        left = [path for path in folder.iterdir() if path.is_file() and path.name != ".lock"]
        if left:
            print(f"{folder} was not whole: it is computed again", file=sys.stderr, flush=True)
        for path in left:
            path.unlink()
        seal(folder, compute(folder))
    return checked(folder), True
