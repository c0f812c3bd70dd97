"""States at the input of a block, kept on disk between jobs: no two jobs compute the same prefix.

An entry is named by its content: the weights that the states have passed, the tokens, block, dtype, device, threads,
and the code and versions that compute. Whatever changes any of them asks for another entry, so nothing is ever stale;
an unlearned model shares the entries below its band with its base. Entries are safetensors whose header has their key
and the sha256 of their data, written under a temporary name and renamed: a reader sees a whole entry or none, and two
jobs that write the same one do no harm. The least recently used go when there is no more room.
"""

import contextlib
import hashlib
import json
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from mute.engine.fitted import Fitted
from mute.models import anatomy, hooks
from mute.store import artifacts, clock
from mute.store.provenance import code_digest

_STATES, _SEAL = "states", "seal"
# Smaller entries are read into memory; larger ones stay in the file and are read where they are touched.
_MAPPED_BYTES = 64 * 2**20


class PrefixCache:
    """A folder of states, of at most `limit` bytes together with what lies in `fitted` beside it."""

    def __init__(self, folder: Path | str, limit: int) -> None:
        self.folder, self.limit = Path(folder), limit
        self.fitted = Fitted(self.folder.parent / "fitted", self._make_room, self._say)
        self.hits = self.misses = 0
        self._weights: dict[int, tuple[Any, int, bytes]] = {}
        self._warned = False

    def states(self, model: Any, ids: Tensor, lengths: Tensor, block: int, compute: Callable[[], Tensor]) -> Tensor:
        """States [sum of T, D] at the input of `block` for the sequences that `ids` holds, read or computed.

        Where something hooks into what they pass they are computed, and neither read nor kept: the name of an entry
        says which weights made it, and knows no hooks.
        """
        if hooks.below(model, block):
            return compute()
        path = self.folder / f"{self.key(model, ids, lengths, block)}.safetensors"
        shape = [len(ids), model.config.hidden_size]
        with clock.phase("load"):
            found = self._read(path, shape, model.dtype)
        if found is not None:
            self.hits += 1
            return found.to(model.device) if found.nbytes <= _MAPPED_BYTES else found
        self.misses += 1
        made = compute()
        self._write(path, made)
        return made

    def key(self, model: Any, ids: Tensor, lengths: Tensor, block: int) -> str:
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
            "device": model.device.type,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            # What puts rows together, runs the blocks, and lays states out.
            "code": code_digest("mute.engine.sections", "mute.engine.shared"),
        }
        return artifacts.digest(facts)

    def _passed(self, model: Any, block: int) -> str:
        """Digest of the embeddings and of all blocks below `block`."""
        known, core = anatomy.anatomy(model), anatomy.backbone(model)
        digest = hashlib.sha256()
        parts = [known.embeddings, *filter(None, [known.embedding_norm])]
        modules = [*(getattr(core, part) for part in parts), *list(anatomy.blocks(model))[:block]]
        for module in modules:
            for name, parameter in module.named_parameters():
                digest.update(name.encode() + self._digest(parameter))
        return digest.hexdigest()

    def _digest(self, parameter: Tensor) -> bytes:
        """Digest of a parameter, computed again only after it was written to."""
        known = self._weights.get(id(parameter))
        if known is None or known[0]() is not parameter or known[1] != parameter._version:
            known = (weakref.ref(parameter), parameter._version, bytes.fromhex(_sha256(parameter)))
            self._weights[id(parameter)] = known
        return known[2]

    def _read(self, path: Path, shape: list[int], dtype: torch.dtype) -> Tensor | None:
        """A whole entry of this shape and type; one that is not is removed, and said so."""
        from safetensors import SafetensorError, safe_open

        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as entry:
                tensor, written = entry.get_tensor(_STATES), (entry.metadata() or {}).get(_SEAL)
            if written == _seal(path, tensor) and list(tensor.shape) == shape and tensor.dtype == dtype:
                with contextlib.suppress(OSError):
                    os.utime(path)  # the least recently used goes first
                return tensor.clone() if tensor.nbytes <= _MAPPED_BYTES else tensor
            reason = "its content is not what was written"
        except (OSError, SafetensorError, ValueError) as error:
            reason = str(error)
        self._say(f"a cached prefix is damaged ({reason}); it is computed again: {path.name}")
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None

    def _write(self, path: Path, tensor: Tensor) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        try:
            if not self._make_room(tensor.nbytes):
                return
            tensor = tensor.contiguous().cpu()
            with clock.phase("write"), artifacts.atomic(path, sync=False) as temporary:
                save_file({_STATES: tensor}, temporary, metadata={_SEAL: _seal(path, tensor)})
        except (OSError, SafetensorError) as error:
            # The states are there whatever the disk says: go on without it.
            if not self._warned:
                self._say(f"prefixes are not cached, every job computes its own: {error}")
            self._warned = True

    def _make_room(self, size: int) -> bool:
        """Remove the least recently used entries until `size` bytes more are within the limit, if they can be."""
        if size > self.limit:
            return False
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
        return True

    @staticmethod
    def _say(text: str) -> None:
        print(f"[prefix cache] {text}", file=sys.stderr, flush=True)


_CACHES: "weakref.WeakKeyDictionary[Any, PrefixCache]" = weakref.WeakKeyDictionary()


def attach(model: Any, prefixes: PrefixCache | None) -> None:
    """Let every text set of `model` read and write its states in a cache; None: no longer."""
    _CACHES.pop(model, None)
    if prefixes is not None:
        _CACHES[model] = prefixes


def of(model: Any) -> PrefixCache | None:
    return _CACHES.get(model)


def _seal(path: Path, tensor: Tensor) -> str:
    """Key and content in one: a whole entry under another's name is none (and two keys would be in any order)."""
    return f"{path.stem} {_sha256(tensor)}"


def _sha256(tensor: Tensor) -> str:
    """Of a tensor's bytes, in its own type."""
    data = tensor.detach().contiguous().cpu().view(-1)
    return hashlib.sha256(data.view(torch.uint8).numpy()).hexdigest()
