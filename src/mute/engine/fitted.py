"""What was fitted to a model's states, kept on disk between jobs: covariances, detectors, dictionaries.

An entry is named by the digest of all that it depends on, as the prefixes are (`engine.cache`), and lies beside them
under the same bound. It is safetensors whose header has its name and the sha256 of its content, written under a
temporary name and renamed. An entry that is damaged is said so, removed, and computed again.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from mute.store import artifacts, clock

_SEAL = "seal"


class Fitted:
    """A folder of fitted tensors. room: makes place for so many bytes, and says whether there is any."""

    def __init__(self, folder: Path, room: Callable[[int], bool], say: Callable[[str], None]) -> None:
        self.folder, self.room, self.say = folder, room, say
        self.hits = self.misses = 0
        self._warned = False

    def tensors(self, facts: dict[str, Any], compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors that `facts` (a JSON value, everything that they depend on) name: read, or computed and kept."""
        path = self.folder / f"{artifacts.digest(facts)}.safetensors"
        with clock.phase("load"):
            found = self._read(path)
        if found is not None:
            self.hits += 1
            return found
        self.misses += 1
        made = compute()
        self._write(path, made)
        return made

    def _read(self, path: Path) -> dict[str, Tensor] | None:
        from safetensors import SafetensorError, safe_open

        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as entry:
                tensors, written = {n: entry.get_tensor(n).clone() for n in entry.keys()}, entry.metadata() or {}  # noqa: SIM118
            if written.get(_SEAL) == _seal(path, tensors):
                with contextlib.suppress(OSError):
                    os.utime(path)  # the least recently used goes first
                return tensors
            reason = "its content is not what was written"
        except (OSError, SafetensorError, ValueError) as error:
            reason = str(error)
        self.say(f"fitted tensors are damaged ({reason}); they are computed again: {path.name}")
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None

    def _write(self, path: Path, tensors: dict[str, Tensor]) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        ready = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
        try:
            if not self.room(sum(tensor.nbytes for tensor in ready.values())):
                return
            with clock.phase("write"), artifacts.atomic(path, sync=False) as temporary:
                save_file(ready, temporary, metadata={_SEAL: _seal(path, ready)})
        except (OSError, SafetensorError) as error:
            # The tensors are there whatever the disk says: go on without it.
            if not self._warned:
                self.say(f"fitted tensors are not kept, every job computes its own: {error}")
            self._warned = True


def _seal(path: Path, tensors: dict[str, Tensor]) -> str:
    """Name and content in one: a whole entry under another's name is none."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy())
    return f"{path.stem} {digest.hexdigest()}"
