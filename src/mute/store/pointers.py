"""Checks files against the checksums by which DVC knows them: inputs under data/, and the results that were published.

DVC delivers a damaged object of its cache without a word, and trusts the files it wrote itself. Here they are read.
This module needs no DVC, and takes no lock of it: jobs call it on what they are about to use.
"""

import configparser
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from mute.store.artifacts import sha256
from mute.store.records import Facts

DATA, LOCK, CONFIG, CACHE = Path("data"), Path("dvc.lock"), Path(".dvc"), Path(".dvc/cache")
SUFFIX = ".dvc"
_LARGE = 100 * 10**6
_FOLDER = ".dir"  # ends the checksum of a folder, which is that of its list of files


@dataclass(frozen=True)
class Pointer:
    """A file or folder that DVC looks after: where it is, its MD5, and the file that says so."""

    path: Path
    md5: str
    source: Path

    @property
    def target(self) -> str:
        """What `dvc pull` calls it."""
        return str(self.source if self.source.suffix == SUFFIX else self.path)


@dataclass(frozen=True)
class Fault:
    """A file that is not what its pointer says, and what to do."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def read(source: Path | str) -> list[Pointer]:
    """The pointers of one .dvc file. Raises ValueError for a file that is none, or has another kind of checksum."""
    source = Path(source)
    return list(_pointers(source, _yaml(source)))


def published() -> list[Pointer]:
    """What dvc.lock says of the results of every stage; nothing where there is no dvc.lock."""
    if not LOCK.is_file():
        return []
    stages = _yaml(LOCK).get("stages") or {}
    return [found for stage in stages.values() for found in _pointers(LOCK, stage)]


def inputs() -> list[Pointer]:
    """Every pointer in the folder of data and those below it."""
    return [found for source in sorted(DATA.rglob(f"*{SUFFIX}")) if source.is_file() for found in read(source)]


def source_of(path: Path | str) -> Path | None:
    """The .dvc file beside a file, or beside a folder that holds it; None where DVC does not look after it."""
    path = Path(path)
    beside = (each.with_name(each.name + SUFFIX) for each in (path, *path.parents) if each.name)
    return next((found for found in beside if found.is_file()), None)


def tracked(paths: Iterable[Path | str]) -> list[str]:
    """What a rule depends on to depend on these files: their .dvc files where they have some, else those that exist.

    A checkout changes the times of files, and Snakemake goes by the time of those above 1 MB; pointers are small.
    """
    found = {source_of(path) or Path(path) for path in paths}
    return sorted(str(path) for path in found if path.is_file())


def content(paths: Iterable[Path | str]) -> list[str]:
    """What stands in files, as digests; of those above 100 MB their size, and of those that are not there nothing.

    Without their names: in another place the same files give the same results.
    """
    found = []
    for path in filter(Path.is_file, map(Path, paths)):
        size = path.stat().st_size
        found.append(sha256(path) if size <= _LARGE else f"{size} bytes")
    return found


def check(sources: Iterable[Path | str]) -> None:
    """Read what .dvc files point to; other files pass. Raises ValueError naming every file that is not right."""
    pointers = [found for source in sources if Path(source).suffix == SUFFIX for found in read(source)]
    found = [fault for pointer in pointers for fault in faults(pointer)]
    found += [Fault(p.path, f"is missing; fetch it: dvc pull {p.target}") for p in pointers if not p.path.exists()]
    if found:
        raise ValueError(listed("inputs that are not what their pointers say", found))


def listed(title: str, found: Iterable[Fault]) -> str:
    return f"{title}:\n" + "\n".join(f"  - {fault}" for fault in found)


def faults(pointer: Pointer) -> list[Fault]:
    """Files that differ from their checksums. What is not there at all was not fetched, and is no fault."""
    cache = cache_folder()
    if pointer.path.is_file():
        return _of_file(pointer.path, pointer.md5, pointer, cache)
    return list(_of_folder(pointer, cache)) if pointer.path.is_dir() else []


def cache_folder() -> Path:
    """DVC's cache: .dvc/cache, unless `dvc cache dir` has put it elsewhere."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read([CONFIG / "config", CONFIG / "config.local"], encoding="utf-8")
    found = parser.get("cache", "dir", fallback="").strip("\"'")
    return CONFIG / Path(found).expanduser() if found else CACHE


def is_known(path: Path) -> bool:
    """Whether DVC's cache has exactly these bytes: then DVC may have put them there."""
    return _object(md5(path), cache_folder()).is_file()


def md5(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _yaml(path: Path) -> Facts:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not what DVC writes: {str(error).splitlines()[0]}") from error


def _pointers(source: Path, facts: Facts) -> Iterator[Pointer]:
    for out in facts.get("outs") or []:
        if "md5" not in out:
            raise ValueError(f"{source}: {out.get('path')} has no md5; dvc add or dvc commit writes one")
        if out.get("hash") != "md5":
            raise ValueError(f"{source} was written by DVC 2; bring it up to date: dvc cache migrate --dvc-files")
        yield Pointer(source.parent / out["path"], str(out["md5"]), source)


def _object(md5: str, cache: Path) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _of_file(path: Path, wanted: str, pointer: Pointer, cache: Path) -> list[Fault]:
    kept = _object(wanted, cache)
    if path.is_file() and md5(path) == wanted:
        return []
    damaged = kept.is_file() and md5(kept) != wanted
    fetch = f"dvc {'checkout' if kept.is_file() and not damaged else 'pull'} {pointer.target}"
    if not path.is_file():
        return [Fault(path, f"is missing, though {pointer.source} lists it; to get it back: {fetch}")]
    if damaged:
        text = f"is damaged, and so is DVC's copy of it. To fetch it again: rm -f {path} {kept} && {fetch}"
    else:
        keep = f"To keep it: dvc add {pointer.path}. " if pointer.source.suffix == SUFFIX else ""
        text = f"is not the file that {pointer.source} names (MD5 {wanted}). {keep}"
        text += f"To get that back: rm -f {path} && {fetch}"
    return [Fault(path, text)]


def _of_folder(pointer: Pointer, cache: Path) -> Iterator[Fault]:
    if not pointer.md5.endswith(_FOLDER):
        yield Fault(pointer.path, f"is a folder, but {pointer.source} names a file")
        return
    contents = _object(pointer.md5, cache)
    if contents.is_file() and md5(contents) + _FOLDER == pointer.md5:
        listing = json.loads(contents.read_text(encoding="utf-8"))
        entries = {pointer.path / entry["relpath"]: entry["md5"] for entry in listing}
        for path, wanted in entries.items():
            yield from _of_file(path, wanted, pointer, cache)
        # Results may be those of several studies; an input that DVC does not know is one that no clone will have.
        if pointer.source.suffix == SUFFIX:
            for path in sorted(set(filter(Path.is_file, pointer.path.rglob("[!.]*"))) - entries.keys()):
                yield Fault(
                    path, f"is not listed by {pointer.source}: remove it, or let DVC know: dvc add {pointer.path}"
                )
    elif _folder_md5(pointer.path) != pointer.md5:
        yield Fault(
            pointer.path,
            f"is not the folder that {pointer.source} names (MD5 {pointer.md5}), and DVC's list of its files is "
            f"missing or damaged, so that the file cannot be told. Delete both, then fetch it again: "
            f"rm -rf {pointer.path} {contents} && dvc pull {pointer.target}",
        )


def _folder_md5(folder: Path) -> str:
    """The checksum that DVC gives a folder: that of the JSON list of its files, in order of their paths."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    listing = [{"md5": md5(files[name]), "relpath": name} for name in sorted(files)]
    text = json.dumps(listing, sort_keys=True, allow_nan=False).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + _FOLDER
