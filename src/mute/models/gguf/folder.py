"""A GGUF file as an ordinary model directory: made once in a study's cache, sealed with where it came from.

The directory is named by what it is made of: the file's sha256, the type of its numbers, the code and the versions that
make it. Files of weights that were finished when a job was killed are kept, and held against their sha256, by the next.
"""

import errno
import fcntl
import shutil
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

from mute.hub.gguf_files import SUMS
from mute.models import directory
from mute.models.gguf import families, header, weights, words
from mute.store import artifacts, clock
from mute.store.provenance import code_digest
from mute.store.records import Record

# In a study's results.
CACHE = "cache/opened"
PRODUCER = "open_gguf"
_TOKENIZER = 2**26  # bytes; more than any tokenizer takes
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Report: TypeAlias = Callable[[int, int], None]


def described(file: Path) -> Record:
    """The config.json of a GGUF file's model, for planning; reads no weights, and imports no torch.

    Raises ValueError that names the file for all that can be known to be wrong with it before it is opened.
    """
    try:
        about = file.stat()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    return dict(_described(file, about.st_mtime_ns, about.st_size))


@cache
def _described(file: Path, changed: int, size: int) -> Record:
    """Once for every state of a file: a study's parts all ask."""
    return _checked(_header(file))


def described_by(name: str, beginning: bytes, size: int) -> Record:
    """The same of a file that is not here, from its first bytes; size: of the whole file."""
    return _checked(header.of_beginning(Path(name), beginning, size))


def _checked(found: header.Header) -> Record:
    about = families.config(found)
    families.parameters(found, about)
    words.check(found, about["vocab_size"])
    return about


def opened(
    file: Path, place: Path, dtype: str = "float32", report: Report = lambda done, total: None
) -> tuple[Path, Record]:
    """The directory of a GGUF file's model in `place`, and its record, whose key `gguf` says where it came from.

    dtype: the type of its numbers, as the engine's; report: told of bytes written and of all. Nothing is done where it
    is there whole. Raises ValueError that names the file, before anything is written, for all that is wrong with it or
    where the disk has no room; and for one that fills up meanwhile: what is finished by then is kept.
    """
    found = _header(file)
    about = _checked(found)
    with clock.phase("load"):
        sha256 = artifacts.sha256(file)
    _check_sum(file, sha256)
    made_by = {"code": code_digest("mute.models.gguf.folder"), "versions": _versions()}
    folder = place / artifacts.digest([sha256, dtype, made_by])
    if (record := artifacts.sealed(folder)) is not None:
        return folder, record
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (record := artifacts.sealed(folder)) is None:
            try:
                _fill(folder, found, about, dtype, report)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                why = f"{file} cannot be de-quantised into {folder}: {error.strerror}"
                raise ValueError(f"{why}. What is finished is kept, and the same command goes on") from error
            told = {"gguf": {**_provenance(found), "sha256": sha256}, "dtype": dtype}
            artifacts.seal(folder, {"producer": PRODUCER, **told, **made_by})
            for left in folder.glob(".*.sha256"):
                left.unlink()
    return folder, artifacts.checked(folder)


def _header(file: Path) -> header.Header:
    try:
        return header.read(file)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def _check_sum(file: Path, sha256: str) -> None:
    """Raise ValueError where a list of checksums beside the file has another one for it."""
    try:
        lines = (file.parent / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    listed = {name.lstrip("*"): digest for digest, _, name in (line.strip().partition("  ") for line in lines)}
    if (wanted := listed.get(file.name, sha256)) != sha256:
        raise ValueError(
            f"{file} is damaged: its sha256 is {sha256[:12]}..., and {SUMS} beside it says {wanted[:12]}..."
        )


def _fill(folder: Path, found: header.Header, about: Record, dtype: str, report: Report) -> None:
    """Put everything but the record into the directory; files of weights that are finished stay."""
    parameters = families.parameters(found, about)
    parts = weights.shards(parameters, dtype)
    names = [_name(i, len(parts)) for i in range(len(parts))]
    sizes = [weights.size(parameters, part, dtype) for part in parts]
    kept = {name for name, size in zip(names, sizes) if _is_finished(folder / name, size)}
    _clear(folder, kept)
    total, done = sum(sizes), sum(size for name, size in zip(names, sizes) if name in kept)
    _check_room(found.path, folder, total - done + _TOKENIZER)
    # First what can still be wrong with the file, then what takes long.
    converted = words.convert(found)
    with artifacts.atomic_files(folder) as scratch:
        converted.save_pretrained(scratch)
    del converted
    for name, part in zip(names, parts):
        if name not in kept:

            def count(size: int) -> None:
                nonlocal done
                done += size
                report(done, total)

            with clock.phase("write"):
                digest = weights.write(folder / name, found, parameters, part, dtype, count)
            artifacts.write_text(_sum_of(folder / name), digest)
    if len(parts) > 1:
        where = {parameters[each].name: name for name, part in zip(names, parts) for each in part}
        index = {"metadata": {"total_size": total}, "weight_map": where}
        artifacts.write_json(folder / directory.INDEX, index)
    artifacts.write_json(folder / directory.CONFIG, {**about, "dtype": dtype})


def _name(number: int, of: int) -> str:
    return directory.WEIGHTS if of == 1 else f"model-{number + 1:05}-of-{of:05}.safetensors"


def _sum_of(path: Path) -> Path:
    """Where the sha256 of a finished file stands until the directory is sealed. Hidden: seals leave such files out."""
    return path.with_name(f".{path.name}.sha256")


def _is_finished(path: Path, size: int) -> bool:
    """Whether a killed job left this file whole."""
    try:
        return path.stat().st_size == size and artifacts.sha256(path) == _sum_of(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _clear(folder: Path, kept: set[str]) -> None:
    """Remove what killed jobs left, but for the files of weights that they finished."""
    stay = {".lock", *kept, *(_sum_of(folder / name).name for name in kept)}
    for path in folder.iterdir():
        if path.name in stay:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _check_room(file: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        text = f"{file} takes {needed / 1e9:.2f} GB when it is de-quantised, and {folder} has {free / 1e9:.2f} GB free"
        raise ValueError(f"{text}: make room there; nothing was written")


def _provenance(found: header.Header) -> Record:
    """Where a directory came from, without a place on this machine."""
    number = found.settings.get("general.file_type")
    kinds = {int(kind): kind.name for kind in header.imported().LlamaFileType}
    return {
        "file": found.path.name,
        "bytes": found.path.stat().st_size,
        "name": found.settings.get("general.name"),
        "licence": found.settings.get("general.license"),
        "architecture": found.architecture,
        "file_type": kinds.get(number, "unknown") if type(number) is int else "unknown",
        "quantisation": found.kinds,
    }


def _versions() -> dict[str, str]:
    return {name: metadata.version(name).split("+")[0] for name in ("gguf", "tokenizers", "transformers")}
