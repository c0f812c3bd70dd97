"""Bytes from the hub: one file, resumed where it was cut and checked against its name.

The hub library throws away what it has of a file when its process ends or gives up; gigabytes of weights are worth
keeping. So content comes through here, into the places where that library looks for it: a blob is named by its etag,
which is the sha256 of a large file and git's sha1 of a small one.
"""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from mute.hub.errors import is_network
from mute.store.artifacts import sha256

PAUSES: tuple[float, ...] = (1, 2, 4, 8, 16, 32)  # seconds before another try, while no byte arrives
_BUSY = (408, 425, 429, 500, 502, 503, 504)


def is_whole(path: Path, etag: str) -> bool:
    """Whether a file's content is what its etag says; an etag that is no digest says nothing."""
    if len(etag) == 64:
        return sha256(path) == etag
    if len(etag) != 40:
        return True
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: digest).hexdigest() == etag


def partial(blob: Path) -> Path:
    """Where a file's content gathers until it is whole."""
    return blob.with_name(f"{blob.name}.incomplete")


def begun(blob: Path) -> int:
    """Bytes that are there of a file which is not whole yet."""
    return partial(blob).stat().st_size if partial(blob).exists() else 0


def download(url: str, blob: Path, size: int, count: Callable[[int], None]) -> None:
    """Fill `blob`, named by its etag, with the file at `url`, going on where an earlier attempt ended.

    count: told of bytes that arrive, negative for those that are thrown away. Raises what the hub answers, or
    ValueError if the content is not what the etag says, twice.
    """
    from huggingface_hub.utils import WeakFileLock

    lock = blob.parents[2] / ".locks" / blob.parents[1].name / f"{blob.name}.lock"
    for folder in (lock.parent, blob.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():
            return
        for _ in range(2):
            _complete(url, blob, size, count)
            if is_whole(partial(blob), blob.name):
                partial(blob).replace(blob)
                return
            _drop(blob, count)
    raise ValueError(f"{url} arrived damaged twice: its content is not what the hub says it is; try again later")


def _drop(blob: Path, count: Callable[[int], None]) -> None:
    """Throw away what is there of a file."""
    count(-begun(blob))
    partial(blob).unlink()


def _complete(url: str, blob: Path, size: int, count: Callable[[int], None]) -> None:
    """Fetch what is missing of a file, trying again after growing pauses as long as nothing arrives."""
    from huggingface_hub.errors import HfHubHTTPError

    pauses = list(PAUSES)
    while (before := begun(blob)) != size:
        if before > size:
            _drop(blob, count)
        # What answers in the hub's place (a proxy's page, a mirror that is behind) ends well, and elsewhere.
        lost: Exception = ValueError(f"{url} is not the file of {size} bytes that the hub lists; try again later")
        try:
            _append(url, partial(blob), count)
        except Exception as error:
            is_busy = isinstance(error, HfHubHTTPError) and error.response.status_code in _BUSY
            if not is_busy and not is_network(error):
                raise
            lost = error
        if begun(blob) > before:
            pauses = list(PAUSES)
        elif not pauses:
            raise lost
        else:
            time.sleep(pauses.pop(0))


def _append(url: str, path: Path, count: Callable[[int], None]) -> None:
    """Ask for what is missing of a file and write it as it comes."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    with path.open("ab") as handle:
        # What comes compressed cannot be resumed.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if handle.tell():
            headers["Range"] = f"bytes={handle.tell()}-"
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            if response.status_code != 206:  # whatever was asked
                count(-handle.tell())
                handle.truncate(0)
            # As they come: of larger pieces what is not full would be lost with the connection.
            for chunk in response.iter_bytes():
                handle.write(chunk)
                count(len(chunk))
        handle.flush()
        os.fsync(handle.fileno())
