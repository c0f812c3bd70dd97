"""What was published already, and reading it back: from the files of a tracker, or from W&B's server.

Whoever has the runs needs no results: figures drawn from them are those drawn from the tables, byte for byte.
"""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from mute.publishing import runs
from mute.publishing.runs import Run
from mute.store import artifacts
from mute.store.records import Facts, Record

INDEX, RUN = "index.json", "run.json"
SCHEMA_VERSION = 2


class Index:
    """The runs in the folder of one tracker; `where` says where they belong: another project's are not these."""

    def __init__(self, folder: Path, where: Facts | None = None) -> None:
        self.folder, self.where = folder, where or {}
        self.entries: dict[str, Record] = {}
        try:
            kept = artifacts.read_json(folder / INDEX)
            if kept["schema"] == SCHEMA_VERSION:
                self.entries = kept["runs"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing was published, or nobody knows what: it is published again

    def holds(self, run: Run) -> bool:
        """Whether this very content is there, whole."""
        entry = self.entries.get(run.id, {})
        return entry.get("content") == run.content and entry["where"] == self.where and not self.damaged(entry)

    def damaged(self, entry: Record) -> list[Path]:
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
        said = artifacts.read_json(folder / RUN)
        files: dict[str, dict[str, Path]] = {}
        for path in (folder / name for name in said["files"]):
            files.setdefault(path.parent.name, {})[path.name] = path
        said |= {"tags": tuple(said["tags"]), "files": files}
        return Run(**said)

    def save(self) -> None:
        artifacts.write_json(self.folder / INDEX, {"schema": SCHEMA_VERSION, "runs": self.entries})


def published(folder: Path, tracker: str) -> list[Run]:
    """Every run that a tracker's files in `folder`/<tracker> hold.

    Raises FileNotFoundError if nothing was published there, ValueError if a file is missing or was altered.
    """
    index = _index(folder, tracker)
    return [index.read(id) for id in index.entries]


def tables(given: Facts, root: Path = Path()) -> dict[str, pd.DataFrame]:
    """The tables of a study, by name, as `mute.publishing.plan.notebooks` says where they are.

    Raises FileNotFoundError if they were not published, ValueError if they were altered or W&B does not give them.
    """
    if given["source"] == "wandb_api":
        with tempfile.TemporaryDirectory(prefix="mute-wandb-") as scratch:
            return _tables(from_api(given, Path(scratch)))
    folder = root / given["folder"]
    index, id = _index(folder, given["source"]), runs.study_id(given["study"])
    if id not in index.entries:
        raise FileNotFoundError(f"this study is not published in {index.folder}: run make publish first")
    return _tables(index.read(id))


def _tables(run: Run) -> dict[str, pd.DataFrame]:
    return {Path(name).stem: artifacts.read_table(path) for name, path in run.files["tables"].items()}


def _index(folder: Path, tracker: str) -> Index:
    index = Index(folder / tracker)
    if not index.entries:
        raise FileNotFoundError(f"nothing of {tracker} is published in {folder}: run make publish first")
    return index


def from_api(given: Facts, folder: Path) -> Run:
    """The study's run on W&B's server, its newest artifacts downloaded into `folder`.

    given: study, project and entity; asked with the user's own key.
    """
    path = "/".join(filter(None, (given["entity"], given["project"], runs.study_id(given["study"]))))
    try:
        import wandb

        return _downloaded(wandb.Api().run(path), folder)
    except Exception as error:  # W&B raises errors of its own, of its client and of HTTP
        raise ValueError(
            f"W&B does not give run {path} of study {given['study']!r}: {error}. Log in with `wandb login`, "
            "and send the study first: make publish with publishing.mode online, or `wandb sync`"
        ) from error


def _downloaded(run: Any, folder: Path) -> Run:
    files: dict[str, dict[str, Path]] = {}
    for artifact in run.logged_artifacts():
        if "latest" in artifact.aliases and artifact.type in ("tables", "figures"):
            own = Path(artifact.download(root=str(folder / artifact.type), skip_cache=True))
            files[artifact.type] = {path.name: path for path in sorted(own.iterdir()) if path.is_file()}
    return Run(
        **{name: getattr(run, name) for name in ("id", "name", "group", "job_type")},
        tags=tuple(run.tags),
        config=dict(run.config),
        summary={name: value for name, value in dict(run.summary).items() if name[0] != "_"},
        files=files,
    )
