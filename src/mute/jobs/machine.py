"""What this machine has: memory, cores and GPUs, asked without torch, for plans are made before it is imported."""

import os
from functools import cache
from importlib import metadata
from pathlib import Path

# Where drivers show their GPUs: NVIDIA's, AMD's, and NVIDIA's below Windows.
_DRIVERS = (("/proc/driver/nvidia/gpus", "*"), ("/dev", "kfd"), ("/dev", "dxg"))
# Limits of a container: of the second and the first version of control groups.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def has_gpu() -> bool:
    """Whether a GPU of CUDA's kind is here that torch, as it is installed, could run on."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return False
    try:
        if metadata.version("torch").endswith("+cpu"):
            return False
    except metadata.PackageNotFoundError:
        pass  # whoever only plans needs none
    return any(next(Path(folder).glob(name), None) for folder, name in _DRIVERS)


def memory() -> float:
    """Bytes of memory that jobs may take here: the machine's or, if that is less, the container's; inf if unknown."""
    try:
        found = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        found = float("inf")
    for path in _LIMITS:
        try:
            found = min(found, float(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # not there, or "max"
    return found


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
