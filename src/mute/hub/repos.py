"""Repositories of the Hugging Face hub, and local directories in their place: their names, and which files are needed.

Imports no huggingface_hub: every parse of the workflow asks what a study needs.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from mute.names import at_home, is_folder
from mute.store import artifacts

# Weights and code that would run when they are opened: they are never fetched.
_RUNS_CODE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".py", ".h5", ".msgpack", ".ot")
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")
_BESIDE_WEIGHTS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "chat_template.*",
)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")


def local_folder(id: str) -> Path | None:
    """The local directory that an id is, whether that exists or not; None for one of the hub."""
    is_path = id.startswith(("./", "../", "/", "~")) or id in (".", "..")
    return at_home(id) if is_path or (id and is_folder(id)) else None


@dataclass(frozen=True)
class Repo:
    """A repository at a revision, or a local directory (an id that is a path or exists as one).

    revision: branch, tag or commit; patterns: files that are needed, as in a shell; none: what a model needs, or all
    of a data set. Raises ValueError for ids and revisions that the hub cannot have.
    """

    kind: Literal["model", "dataset"]
    id: str
    revision: str = "main"
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.folder is None and (not ID.fullmatch(self.id) or ".." in self.id or "--" in self.id):
            raise ValueError(
                f"{self.id!r} is neither a {self.what} of the hub, written owner/name, nor a directory that is here"
            )
        if not _REVISION.fullmatch(self.revision) or ".." in self.revision:
            raise ValueError(f"{self.revision!r} is no revision of {self.id}: give a branch, a tag or a commit")

    @property
    def folder(self) -> Path | None:
        """The local directory that it is, whether that exists or not; None for one of the hub."""
        return local_folder(self.id)

    @property
    def what(self) -> str:
        return "data set" if self.kind == "dataset" else "model"

    @property
    def is_pinned(self) -> bool:
        """Whether its revision is a commit, which never changes."""
        return COMMIT.fullmatch(self.revision) is not None

    @property
    def name(self) -> str:
        """What its record is called: safe for a file, and its own."""
        parts = [self.kind, self.id, self.revision, list(self.patterns)]
        words = re.sub(r"[^A-Za-z0-9]+", "-", Path(self.id).name).strip("-")[:32]
        return f"{self.kind}-{words}-{artifacts.digest(parts)[:8]}"

    def __str__(self) -> str:
        if self.folder is not None:
            return f"the {self.what} in {self.id}"
        return f"the {self.what} {self.id} at {self.revision}"


def needed(repo: Repo, names: Iterable[str]) -> list[str]:
    """Files of a repository that are needed, of all its `names`. Raises ValueError where some that must be are not."""
    names = sorted(names)
    seen = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    harmless = [name for name in seen if not name.endswith(_RUNS_CODE)]
    if repo.patterns:
        return _matching(repo, harmless, names)
    if repo.kind == "dataset":
        if not harmless:
            raise ValueError(f"{repo} has no files that can be used; it has {_some(names)}")
        return harmless
    if "config.json" not in harmless:
        why = "has no config.json, so it is no model that transformers opens"
        raise ValueError(f"{repo} {why}; it has {_some(names)}{_gguf(repo, names)}")
    beside = [name for name in harmless if any(fnmatchcase(name, p) for p in _BESIDE_WEIGHTS) and "/" not in name]
    return sorted({*beside, *_weights(repo, names)})


def _matching(repo: Repo, harmless: list[str], names: list[str]) -> list[str]:
    for pattern in repo.patterns:
        if any(fnmatchcase(name, pattern) for name in harmless):
            continue
        if refused := [name for name in names if fnmatchcase(name, pattern)]:
            raise ValueError(f"{_some(refused)} of {repo} would run code when opened, and is not fetched")
        near = difflib.get_close_matches(pattern, harmless, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{repo} has no file {pattern!r}; it has {_some(harmless)}.{hint}")
    return [name for name in harmless if any(fnmatchcase(name, pattern) for pattern in repo.patterns)]


def _weights(repo: Repo, names: list[str]) -> list[str]:
    """One file of weights, or all shards with their index."""
    if WEIGHTS in names:
        return [WEIGHTS]
    shards = {name: int(found[1]) for name in names if (found := _SHARD.fullmatch(name))}
    if shards:
        of = max(shards.values())
        if len(shards) != of or INDEX not in names:
            lack = "" if INDEX in names else f" and no {INDEX}"
            raise ValueError(f"{repo} is incomplete: it has {len(shards)} of {of} files of weights{lack}")
        return [*shards, INDEX]
    pickles = [name for name in names if name.endswith(_RUNS_CODE) and not name.endswith(".py")]
    if pickles:
        raise ValueError(
            f"{repo} has its weights only as {_some(pickles)}. Opening a pickle runs whatever code it holds, so only "
            "safetensors are opened. Look on the hub for a revision that has them (often refs/pr/1) or another copy; "
            "or, if you trust it, open it yourself, call save_pretrained(FOLDER), and give FOLDER as `pretrained`"
        )
    raise ValueError(
        f"{repo} has no weights: neither {WEIGHTS} nor its shards; it has {_some(names)}{_gguf(repo, names)}"
    )


def _gguf(repo: Repo, names: list[str]) -> str:
    """How to say which of a repository's GGUF files is meant; empty where it has none."""
    found = [name for name in names if name.lower().endswith(".gguf")]
    return f". To open a GGUF file, name it, as in `pretrained: {repo.id}/{found[0]}`" if found else ""


def _some(names: list[str]) -> str:
    return (", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")) or "no files"


def record_of(repo: Repo) -> str:
    """The file that says that a repository was fetched, and what it holds."""
    return f"<results>/inputs/{repo.name}.json"
