"""Which GPU a job takes on a machine that has several: jobs that run beside each other lease different ones.

A lease is a lock on a small file, held as long as the process lives. The kernel frees it however the process ends.
"""

import os
import sys
import tempfile
from functools import cache
from itertools import count
from pathlib import Path


def visible() -> tuple[str, ...]:
    """A name for each GPU that torch sees, in torch's order: the same for every process, however few it may see.

    CUDA_VISIBLE_DEVICES, which SLURM sets for its jobs, renumbers devices; only their UUIDs stay.
    """
    import torch

    every = range(torch.cuda.device_count())
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    numbers = shown if len(shown) == len(every) else [str(index) for index in every]
    properties = [torch.cuda.get_device_properties(index) for index in every]
    return tuple(str(getattr(one, "uuid", "") or number) for one, number in zip(properties, numbers))


@cache
def lease(devices: tuple[str, ...]) -> int:
    """Index of the first of `devices` that no other process of this user has; kept until this process ends.

    Where all are taken, jobs share: each device gets a second job before any gets a third.
    """
    try:
        return _lock(_folder(), devices)
    except OSError as error:
        # No place for locks is no reason to stop. Processes that start together have numbers in a row.
        print(f"GPUs cannot be leased ({error}): jobs may share one", file=sys.stderr, flush=True)
        return os.getpid() % len(devices)


def _lock(folder: Path, devices: tuple[str, ...]) -> int:
    """The index of the device; the file that holds its lock stays open as long as this process lives."""
    import fcntl

    for turn in count():
        for index, device in enumerate(devices):
            name = "".join(c if c.isalnum() else "-" for c in device)
            handle = os.open(folder / f"{name}.{turn}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            if turn:
                text = f"all {len(devices)} GPUs that this job sees are in use: it shares number {index}"
                print(text, file=sys.stderr, flush=True)
            return index
    raise AssertionError("unreachable")


def _folder() -> Path:
    """The user's folder for leases on this machine, not to be had by anybody else. Raises OSError where it is."""
    folder = Path(tempfile.gettempdir()) / f"mute-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if folder.is_symlink() or about.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder
