"""What jobs share on disk: states at the input of a block, and what was fitted to them. No two compute the same.

An entry is named by its content. That of states: the weights that they have passed, the tokens, block, dtype, device,
threads, and the code and versions that compute. Whatever changes any of them asks for another entry, so nothing is ever
stale; an unlearned model shares the entries below its band with its base. Entries are safetensors whose header has
their name and the sha256 of their content, written under a temporary name and renamed: a reader sees a whole entry or
none, and two jobs that write the same one do no harm. The least recently used go when there is no more room.
"""

import contextlib
import hashlib
import json
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mute.models import anatomy, hooks
from mute.models.anatomy import Model
from mute.store import artifacts, clock
from mute.store.provenance import code_digest

_STATES, _SEAL = "states", "seal"
# Of the room that a look at all entries found, what a job may write before its next look.
_UNSEEN = 1 / 256
# Smaller entries are read into memory; larger ones stay in the file and are read where they are touched.
_MAPPED_BYTES = 64 * 2**20


class Entries:
    """A folder of tensors by name. room: makes place for so many bytes, and says whether there is any.

    damaged, lost: what is said of an entry that is not what was written, and where none can be written.
    """

    def __init__(self, folder: Path, room: Callable[[int], bool], damaged: str, lost: str) -> None:
        self.folder, self._room, self._damaged, self._lost = folder, room, damaged, lost
        self.hits = self.misses = 0
        self._warned = False

    def tensors(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors of a name, which says everything that they depend on: read, or computed and kept."""
        path = self.folder / f"{name}.safetensors"
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
        """A whole entry; one that is not is removed, and said so."""
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as entry:
                tensors, written = {n: entry.get_tensor(n) for n in entry.keys()}, entry.metadata() or {}  # noqa: SIM118
            if written.get(_SEAL) == _seal(path, tensors):
                with contextlib.suppress(OSError):
                    os.utime(path)  # the least recently used goes first
                return {n: t.clone() if t.nbytes <= _MAPPED_BYTES else t for n, t in tensors.items()}
            reason = "its content is not what was written"
        except (OSError, SafetensorError, ValueError) as error:
            reason = str(error)
        _say(f"{self._damaged} ({reason}); computed again: {path.name}")
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None

    def _write(self, path: Path, tensors: dict[str, Tensor]) -> None:
        try:
            if not self._room(sum(tensor.nbytes for tensor in tensors.values())):
                return
            ready = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
            with clock.phase("write"), artifacts.atomic(path, sync=False) as temporary:
                safetensors.torch.save_file(ready, temporary, metadata={_SEAL: _seal(path, ready)})
        except (OSError, SafetensorError) as error:
            # The tensors are there whatever the disk says: go on without it.
            if not self._warned:
                _say(f"{self._lost}, every job computes its own: {error}")
            self._warned = True


class PrefixCache(Entries):
    """A folder of states, of at most `limit` bytes together with what lies in `fitted` beside it.

    Jobs that write at the same time may pass the limit, each by what it writes between two looks.
    """

    def __init__(self, folder: Path | str, limit: int) -> None:
        super().__init__(Path(folder), self._make_room, "a cached prefix is damaged", "prefixes are not cached")
        self.limit = limit
        said = ("fitted tensors are damaged", "fitted tensors are not kept")
        self.fitted = Entries(self.folder.parent / "fitted", self._make_room, *said)
        self._weights: dict[int, tuple[weakref.ref[Tensor], int, bytes]] = {}
        self._unseen = 0.0

    def states(self, model: Model, ids: Tensor, lengths: Tensor, block: int, compute: Callable[[], Tensor]) -> Tensor:
        """States [sum of T, D] at the input of `block` for the sequences that `ids` holds, read or computed.

        Where something hooks into what they pass they are computed, and neither read nor kept: the name of an entry
        says which weights made it, and knows no hooks.
        """
        if hooks.below(model, block):
            return compute()
        found = self.tensors(self.key(model, ids, lengths, block), lambda: {_STATES: compute()})[_STATES]
        return found.to(model.device) if found.nbytes <= _MAPPED_BYTES else found

    def key(self, model: Model, ids: Tensor, lengths: Tensor, block: int) -> str:
        """What the states depend on, and nothing else."""
        # Where a model was opened from and by which version are no part of what it computes.
        config = {k: v for k, v in model.config.to_dict().items() if k[0] != "_" and k != "transformers_version"}
        facts = {
            "architecture": json.dumps(config, sort_keys=True, default=str, allow_nan=False),
            "weights": self._passed(model, block),
            "ids": _sha256(ids),
            "lengths": _sha256(lengths),
            "block": block,
            "dtype": str(model.dtype),
            "attention": model.config._attn_implementation,
            "autocast": torch.is_autocast_enabled(model.device.type),
            "device": model.device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            # What puts rows together, runs the blocks, and lays states out.
            "code": code_digest("mute.engine.sections", "mute.engine.shared"),
        }
        return artifacts.digest(facts)

    def _passed(self, model: Model, block: int) -> str:
        """Digest of all numbers of embeddings, positions and the blocks below `block`."""
        digest = hashlib.sha256()
        for _, module in anatomy.passed(model, block):
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                digest.update(name.encode() + self._digest(tensor))
        return digest.hexdigest()

    def _digest(self, parameter: Tensor) -> bytes:
        """Digest of a parameter, computed again only after it was written to."""
        known = self._weights.get(id(parameter))
        if known is None or known[0]() is not parameter or known[1] != parameter._version:
            known = (weakref.ref(parameter), parameter._version, bytes.fromhex(_sha256(parameter)))
            self._weights[id(parameter)] = known
        return known[2]

    def _make_room(self, size: int) -> bool:
        """Remove the least recently used entries until `size` bytes more are within the limit, if they can be."""
        if size > self.limit:
            return False
        if size <= self._unseen:
            self._unseen -= size
            return True
        entries = []
        # Temporary files count too: those of jobs that were killed stay, and of those that are written none is old.
        folders, patterns = (self.folder, self.fitted.folder), ("*.safetensors", ".*.part")
        for path in (path for folder in folders for pattern in patterns for path in folder.glob(pattern)):
            with contextlib.suppress(OSError):  # another job may have removed it
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(bytes_ for _, bytes_, _ in entries)
        for _, bytes_, path in sorted(entries):
            if total + size <= self.limit:
                break
            path.unlink(missing_ok=True)
            total -= bytes_
        self._unseen = (self.limit - total - size) * _UNSEEN
        return True


_CACHES: "weakref.WeakKeyDictionary[Model, PrefixCache]" = weakref.WeakKeyDictionary()


def attach(model: Model, prefixes: PrefixCache | None) -> None:
    """Let every text set of `model` read and write its states in a cache; None: no longer."""
    _CACHES.pop(model, None)
    if prefixes is not None:
        _CACHES[model] = prefixes


def of(model: Model) -> PrefixCache | None:
    return _CACHES.get(model)


def _say(text: str) -> None:
    print(f"[prefix cache] {text}", file=sys.stderr, flush=True)


def _seal(path: Path, tensors: dict[str, Tensor]) -> str:
    """Name and content in one: a whole entry under another's name is none (and two keys would be in any order)."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return f"{path.stem} {digest.hexdigest()}"


def _sha256(tensor: Tensor) -> str:
    return hashlib.sha256(_bytes(tensor)).hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    """A tensor's bytes, in its own type."""
    return tensor.detach().contiguous().cpu().view(-1).view(torch.uint8).numpy().data
