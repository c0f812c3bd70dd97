"""What was published already: run ids, the digest of their content, and the files that they became."""

from pathlib import Path
from typing import Any

from mute.publishing.runs import Run
from mute.store import artifacts

NAME = "index.json"
SCHEMA_VERSION = 1


class Index:
    """The runs in the folder of one tracker; `where` says where they belong: another project's are not these."""

    def __init__(self, folder: Path, where: dict[str, Any] | None = None) -> None:
        self.folder, self.where = folder, where or {}
        self.entries: dict[str, dict[str, Any]] = {}
        try:
            kept = artifacts.read_json(folder / NAME)
            if kept["schema"] == SCHEMA_VERSION:
                self.entries = kept["runs"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing was published, or nobody knows what: it is published again

    def holds(self, run: Run) -> bool:
        """Whether this very content is there, whole."""
        entry = self.entries.get(run.id, {})
        return entry.get("content") == run.content and entry["where"] == self.where and self.is_whole(entry)

    def is_whole(self, entry: dict[str, Any]) -> bool:
        paths = {self.folder / name: digest for name, digest in entry["files"].items()}
        return all(path.is_file() and artifacts.sha256(path) == digest for path, digest in paths.items())

    def put(self, run: Run, files: list[Path]) -> None:
        """Note that a run became `files`, in this folder; the first is the one to open."""
        names = [path.relative_to(self.folder).as_posix() for path in files]
        self.entries[run.id] = {
            "name": run.name,
            "content": run.content,
            "where": self.where,
            "file": names[0],
            "files": {name: artifacts.sha256(path) for name, path in zip(names, files)},
        }

    def save(self) -> None:
        artifacts.write_json(self.folder / NAME, {"schema": SCHEMA_VERSION, "runs": self.entries})
