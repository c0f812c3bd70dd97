"""Tables, figures and runs as they were published: from the files of a tracker, or from W&B's server.

Whoever has the runs needs no results: figures drawn from them are those drawn from the tables, byte for byte.
"""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from mute.publishing import runs
from mute.publishing.index import Index
from mute.publishing.runs import Run
from mute.store import artifacts


def published(folder: Path, tracker: str) -> list[Run]:
    """Every run that a tracker's files in `folder`/<tracker> hold.

    Raises FileNotFoundError if nothing was published there, ValueError if a file is missing or was altered.
    """
    index = _index(folder, tracker)
    return [index.read(id) for id in index.entries]


def tables(given: dict[str, Any], root: Path = Path()) -> dict[str, pd.DataFrame]:
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


def from_api(given: dict[str, Any], folder: Path, api: Any = None) -> Run:
    """The study's run on W&B's server, its newest artifacts downloaded into `folder`.

    given: study, project and entity; api: a `wandb.Api`, by default that of the user's own key.
    """
    path = "/".join(filter(None, (given["entity"], given["project"], runs.study_id(given["study"]))))
    try:
        if api is None:
            import wandb

            api = wandb.Api()
        return _downloaded(api.run(path), folder)
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
        id=run.id,
        name=run.name,
        group=run.group,
        job_type=run.job_type,
        tags=tuple(run.tags),
        config=dict(run.config),
        summary={name: value for name, value in dict(run.summary).items() if name[0] != "_"},
        files=files,
    )
