"""Models and data from the Hugging Face hub: fetched once, whole and verified, and then found without a network.

They lie in the user's ordinary cache, so what is there already is used, and HF_HOME, HF_TOKEN and HF_ENDPOINT hold.
Only the rule that fetches calls `fetch`; all other jobs run offline and ask `local`.
"""

import glob
import os
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mute.hub import download, errors
from mute.hub.repos import COMMIT, Repo, needed
from mute.store import artifacts
from mute.store.records import Record

_AT_ONCE = 4  # files
Report = Callable[[int, int], None]


class _File(NamedTuple):
    """A file as the hub lists it."""

    name: str
    size: int
    etag: str


def fetch(repo: Repo, report: Report = lambda done, total: None) -> Record:
    """Download what is needed of a repository into the cache and verify it; returns a record of it.

    The record has id, revision asked, commit, and files with size and sha256, and no path of this machine. report: told
    of bytes done and of all. Raises ValueError that says what to do.
    """
    if repo.folder is not None:
        return _record(repo, local(repo), None)
    from huggingface_hub import constants

    with errors.explained(repo):
        if repo.is_pinned and (kept := _kept(repo)):
            return kept
        try:
            commit, files = _listed(repo)
        except Exception as error:
            # Without a network, what was fetched before will do.
            if (errors.is_network(error) or constants.HF_HUB_OFFLINE) and (kept := _kept(repo)):
                return kept
            raise
        _download(repo, commit, files, report)
        return _record(repo, _lay_out(repo, commit, files), commit)


def local(repo: Repo) -> Path:
    """The folder of a repository that was fetched, or the local directory that it is; asks no network.

    Raises ValueError that says to run `make fetch` where it is not whole.
    """
    if (folder := repo.folder) is not None:
        if not folder.is_dir():
            raise ValueError(f"there is no directory {repo.id}, which should hold a {repo.what}")
        needed(repo, _wanted(repo, folder))
        return folder
    snapshot = _snapshot(repo)
    if snapshot is None or not _is_complete(repo, snapshot):
        raise errors.missing(repo)
    return snapshot


def is_here(repo: Repo) -> bool:
    """Whether what is needed of a repository of the hub is in the cache, as far as can be told without the hub."""
    snapshot = _snapshot(repo)
    return snapshot is not None and _is_complete(repo, snapshot)


def check_fetched(records: Iterable[Path | str]) -> None:
    """Raise ValueError where the cache has another commit as a revision than was fetched: other tools move branches."""
    for record in map(artifacts.read_json, records):
        if (fetched := record["commit"]) is None:
            continue
        repo = Repo(record["kind"], record["id"], record["revision"])
        snapshot = _snapshot(repo)
        if snapshot is None:
            raise errors.missing(repo)
        if snapshot.name != fetched:
            raise errors.moved(repo, fetched, snapshot.name)


def files(repo: Repo) -> list[Path]:
    """What is needed of a repository that is here; raises ValueError as `local` does."""
    folder = local(repo)
    return [folder / name for name in needed(repo, _wanted(repo, folder))]


@cache
def look_up(id: str, revision: str = "main") -> Record:
    """The config.json of a model, for planning: from its directory, the cache, or else the hub; read once."""
    repo = Repo("model", id, revision)
    folder = repo.folder or _snapshot(repo)
    if folder is not None and (folder / "config.json").is_file():
        return artifacts.read_mapping(folder / "config.json")
    if repo.folder is not None:
        raise ValueError(f"there is no config.json in {id}: it is no directory of a model that transformers opens")
    from huggingface_hub import hf_hub_download

    with errors.explained(repo):
        return artifacts.read_mapping(Path(hf_hub_download(id, "config.json", revision=revision)))


@cache
def beginning(id: str, file: str, revision: str, most: int) -> tuple[bytes, int]:
    """The first bytes of a file of the hub, at most so many, for planning; and its size. Read once."""
    from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    repo = Repo("model", id, revision)
    with errors.explained(repo):
        if constants.HF_HUB_OFFLINE:
            raise errors.missing(repo)
        url = hf_hub_url(id, file, revision=revision)
        size = get_hf_file_metadata(url).size or 0
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes=0-{most - 1}"}
        data = b""
        with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
            hf_raise_for_status(response)
            # Whether it was asked for a part or not, no more is taken.
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) >= most:
                    break
        return data[:most], size


# What is in the cache


def _home(repo: Repo) -> Path:
    """The repository's folder in the cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / "--".join([f"{repo.kind}s", *repo.id.split("/")])


def _snapshot(repo: Repo) -> Path | None:
    """The folder of the revision, as far as it is there."""
    ref = _home(repo) / "refs" / repo.revision
    commit = repo.revision
    if not repo.is_pinned:
        if not ref.is_file():
            return None
        commit = ref.read_text(encoding="utf-8").strip()
    folder = _home(repo) / "snapshots" / commit
    return folder if COMMIT.fullmatch(commit) and folder.is_dir() else None


def _names(folder: Path) -> list[str]:
    """Files below a folder; in a snapshot, links whose content is there."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _wanted(repo: Repo, folder: Path) -> list[str]:
    """Files below a folder. A file that is named as it is needs no look at the others: it may lie in a home."""
    plain = [re.sub(r"\[([*?[])\]", r"\1", pattern) for pattern in repo.patterns]
    named = all(glob.escape(name) == pattern for name, pattern in zip(plain, repo.patterns))
    return plain if plain and named and all((folder / name).is_file() for name in plain) else _names(folder)


def _is_complete(repo: Repo, snapshot: Path) -> bool:
    """Whether all that is needed of a repository is in its snapshot, as far as can be told without the hub."""
    try:
        wanted = needed(repo, _names(snapshot))
    except ValueError:
        return False
    try:
        from huggingface_hub import get_cached_repo_tree

        tree = get_cached_repo_tree(repo.id, repo_type=repo.kind, revision=snapshot.name)
    except Exception:  # its files were not listed when it was fetched
        return True
    return not tree or set(needed(repo, [file.path for file in tree])) <= {*wanted}


def _kept(repo: Repo) -> Record | None:
    """The record of a repository that is whole in the cache; None if something is missing or damaged."""
    snapshot = _snapshot(repo)
    if snapshot is None or not _is_complete(repo, snapshot):
        return None
    # A copy in place of a link has no name that says what its content should be.
    paths = [snapshot / name for name in needed(repo, _names(snapshot))]
    if not all((etag := _etag(path)) and download.is_whole(path, etag) for path in paths):
        return None
    return _record(repo, snapshot, snapshot.name)


def _etag(path: Path) -> str:
    """Etag of a file in a snapshot: the name of the blob that it links to; empty where it is a copy."""
    return Path(os.readlink(path)).name if path.is_symlink() else ""


def _record(repo: Repo, folder: Path, commit: str | None) -> Record:
    files = {}
    for path in (folder / name for name in needed(repo, _wanted(repo, folder))):
        etag = _etag(path)
        facts = {"bytes": path.stat().st_size, "sha256": etag if len(etag) == 64 else artifacts.sha256(path)}
        files[path.relative_to(folder).as_posix()] = facts
    # A path says where something lies on one machine; its name and content say what it is.
    id = repo.id if repo.folder is None else repo.folder.resolve().name
    return {"kind": repo.kind, "id": id, "revision": repo.revision, "commit": commit, "files": files}


# What the hub has


def _listed(repo: Repo) -> tuple[str, list[_File]]:
    """The commit of the revision, and what is needed of it."""
    from huggingface_hub import HfApi, get_hf_file_metadata

    ask = HfApi().dataset_info if repo.kind == "dataset" else HfApi().model_info
    about = ask(repo.id, revision=repo.revision, files_metadata=True)
    commit = str(about.sha)
    siblings = {each.rfilename: each for each in about.siblings or []}
    files = []
    for name in needed(repo, siblings):
        each = siblings[name]
        etag, size = (each.lfs.sha256, each.lfs.size) if each.lfs else (each.blob_id, each.size)
        if etag is None or size is None:  # some mirrors do not list them
            answer = get_hf_file_metadata(_url(repo, name, commit))
            etag, size = answer.etag, answer.size
        if etag is None or size is None:
            raise ValueError(f"the hub does not say how large {name} of {repo} is, so it cannot be verified")
        files.append(_File(name, size, etag))
    return commit, files


def _url(repo: Repo, name: str, commit: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repo.id, name, repo_type=repo.kind, revision=commit)


def _download(repo: Repo, commit: str, files: list[_File], report: Report) -> None:
    """Fetch the content of all files that are not in the cache whole; several at once, each resumed by itself."""
    blobs, snapshot = _home(repo) / "blobs", _home(repo) / "snapshots" / commit
    absent = [file for file in files if not _is_there(blobs / file.etag, snapshot / file.name)]
    waiting = list({file.etag: file for file in absent}.values())
    begun = sum(download.begun(blobs / file.etag) for file in waiting)
    total = sum(file.size for file in waiting)
    errors.check_space(repo, total - begun)
    done, lock, stopped = begun, threading.Lock(), threading.Event()

    def count(size: int) -> None:
        nonlocal done
        if stopped.is_set():
            raise RuntimeError("another file failed: no use in going on")
        with lock:
            done += size
            report(done, total)

    def get(file: _File) -> None:
        download.download(_url(repo, file.name, commit), blobs / file.etag, file.size, count)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(get, file) for file in waiting]
        try:
            for job in as_completed(jobs):
                job.result()
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _is_there(blob: Path, pointer: Path) -> bool:
    """Whether a file is in the cache whole. A damaged one is deleted, with the pointer to it."""
    if blob.is_file() and download.is_whole(blob, blob.name):
        if pointer.exists() and not pointer.is_symlink() and not download.is_whole(pointer, blob.name):
            pointer.unlink()
        return True
    blob.unlink(missing_ok=True)
    pointer.unlink(missing_ok=True)
    return False


def _lay_out(repo: Repo, commit: str, files: list[_File]) -> Path:
    """The snapshot of a commit whose blobs are there. Only now does the revision point to it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    wanted = [glob.escape(file.name) for file in files]
    folder = Path(snapshot_download(repo.id, repo_type=repo.kind, revision=commit, allow_patterns=wanted))
    if not repo.is_pinned:
        artifacts.write_text(_home(repo) / "refs" / repo.revision, commit)
    wrong = [file.name for file in files if (folder / file.name).stat().st_size != file.size]
    if wrong:
        raise ValueError(f"{repo}: the cache holds something else as {wrong[0]}; delete {_home(repo)} and fetch again")
    return folder
