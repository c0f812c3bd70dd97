"""What was published already: run ids, the digest of their content, the files that they became, and what they say."""

from pathlib import Path
from typing import Any

from mute.publishing.runs import Run
from mute.store import artifacts

NAME, RUN = "index.json", "run.json"
SCHEMA_VERSION = 2


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
        return entry.get("content") == run.content and entry["where"] == self.where and not self.damaged(entry)

    def damaged(self, entry: dict[str, Any]) -> list[Path]:
        """Files of a run that are missing or were altered."""
        paths = {self.folder / name: digest for name, digest in entry["files"].items()}
        return [path for path, digest in paths.items() if not path.is_file() or artifacts.sha256(path) != digest]

    def put(self, run: Run, file: Path, copies: list[Path]) -> None:
        """Note that a run became `file`, the one to open, and copies of its files as <artifact>/<name>."""
        folder = file.parent
        artifacts.write_json(folder / RUN, {**run.text(), "files": [str(p.relative_to(folder)) for p in copies]})
        own = [file, folder / RUN, *copies]
        self.entries[run.id] = {
            "name": run.name,
            "content": run.content,
            "where": self.where,
            "file": file.relative_to(self.folder).as_posix(),
            "files": {path.relative_to(self.folder).as_posix(): artifacts.sha256(path) for path in own},
        }

    def read(self, id: str) -> Run:
        """A run as it was published. Raises KeyError if it was not, ValueError if it is not what was published."""
        entry = self.entries[id]
        if damaged := self.damaged(entry):
            raise ValueError(f"{damaged[0]} is missing or not what was published: publish again")
        folder = (self.folder / entry["file"]).parent
        said: dict[str, Any] = artifacts.read_json(folder / RUN)
        files: dict[str, dict[str, Path]] = {}
        for path in (folder / name for name in said["files"]):
            files.setdefault(path.parent.name, {})[path.name] = path
        said |= {"tags": tuple(said["tags"]), "files": files}
        return Run(**said)

    def save(self) -> None:
        artifacts.write_json(self.folder / NAME, {"schema": SCHEMA_VERSION, "runs": self.entries})
