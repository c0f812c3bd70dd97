"""TensorBoard: every run as an event file of the same bytes each time, for those who have no account anywhere.

TensorBoard has no artifacts: tables and figures lie beside the event file, which holds their digests. A file of
TensorBoard's own writer would have the name of the machine in its name, and the time of day in every event.
"""

import importlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from mute.publishing.runs import Run
from mute.store import artifacts

# TensorBoard looks for files with `tfevents` in their name.
EVENTS = "events.out.tfevents.mute"
CURVE, SUMMARY, ABOUT = "curve/", "summary/", "about"


def where(options: dict[str, Any]) -> dict[str, Any]:
    return {}


def folders(folder: Path) -> list[Path]:
    """The folders of all runs."""
    return sorted(path.parent for path in folder.glob(f"*/{EVENTS}"))


class Writer:
    """Writes runs as event files, each in a folder of its own, named after the run."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.folder = folder

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write(self, run: Run) -> list[Path]:
        """The event file, then the files that lie beside it."""
        folder = self.folder / run.name
        copies, digests = [], {}
        for kind, files in run.files.items():
            for name, path in files.items():
                copies.append(folder / kind / name)
                with artifacts.atomic(copies[-1], sync=False) as temporary:
                    shutil.copyfile(path, temporary)
                digests[f"{kind}/{name}"] = artifacts.sha256(copies[-1])
        with artifacts.atomic(folder / EVENTS) as temporary:
            _write(temporary, run, digests)
        return [folder / EVENTS, *copies]


def _write(path: Path, run: Run, files: dict[str, str]) -> None:
    """Events in the order of their steps. Times are steps, too: TensorBoard wants some, and results hold none."""
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.summary.writer.record_writer import RecordWriter

    words = {name: value for name, value in run.summary.items() if not _is_number(value)}
    whole = {name: type(value).__name__ for name, value in run.summary.items() if isinstance(value, int)}
    about = {**run.text(), "history": None, "summary": words, "whole": whole, "files": files}
    last = run.history[-1]["step"] if run.history else 0
    flat = {name: value for name, value in run.config.items() if isinstance(value, str | int | float)}
    event = _protocol("event").Event
    with path.open("wb") as handle:
        writer = RecordWriter(handle)

        def add(step: int, summary: Any) -> None:
            writer.write(event(step=step, wall_time=step, summary=summary).SerializeToString())

        writer.write(event(wall_time=0, file_version="brain.Event:2").SerializeToString())
        # The table of runs by their settings, which TensorBoard calls hyperparameters.
        add(0, summary_v2.hparams_pb(flat, trial_id=run.id, start_time_secs=0))
        add(0, _text(ABOUT, json.dumps(about, sort_keys=True, ensure_ascii=False, allow_nan=False)))
        for row in run.history:
            add(row["step"], _numbers((CURVE + n, v) for n, v in row.items() if n != "step"))
        add(last, _numbers((SUMMARY + n, v) for n, v in run.summary.items() if n not in words))


def _protocol(name: str) -> Any:
    """A module of TensorBoard's protocol; its classes are made when it is imported."""
    return importlib.import_module(f"tensorboard.compat.proto.{name}_pb2")


def _tensor(kind: str, **values: Any) -> Any:
    """A tensor of one value, without dimensions."""
    tensor = _protocol("tensor").TensorProto(dtype=getattr(_protocol("types"), kind), **values)
    tensor.tensor_shape.SetInParent()
    return tensor


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(values: Iterable[tuple[str, float]]) -> Any:
    """Scalars of double precision: what is read back is what the tables say."""
    from tensorboard.plugins.scalar import metadata

    summary = _protocol("summary").Summary()
    for name, value in values:
        tensor = _tensor("DT_DOUBLE", double_val=[value])
        summary.value.add(tag=name, tensor=tensor, metadata=metadata.create_summary_metadata("", ""))
    return summary


def _text(name: str, text: str) -> Any:
    from tensorboard.plugins.text import metadata

    tensor = _tensor("DT_STRING", string_val=[text.encode()])
    summary = _protocol("summary").Summary()
    summary.value.add(tag=name, tensor=tensor, metadata=metadata.create_summary_metadata("", ""))
    return summary


def read(file: Path) -> Run:
    """The run of an event file, the files beside it checked. Raises ValueError if one is missing or altered."""
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    # All points of a curve: by default a sample of them is kept.
    found = EventAccumulator(str(file), size_guidance={TENSORS: 0}).Reload()
    tags = found.Tags()["tensors"]
    if ABOUT not in tags:
        raise ValueError(f"{file} is not a run of MUTE, or it is cut off: publish again")
    about = json.loads(make_ndarray(found.Tensors(ABOUT)[0].tensor_proto).item())
    history: dict[int, dict[str, Any]] = {}
    summary: dict[str, Any] = dict(about["summary"])
    for tag in tags:
        for event in found.Tensors(tag) if tag.startswith((CURVE, SUMMARY)) else ():
            value = make_ndarray(event.tensor_proto).item()
            if tag.startswith(CURVE):
                history.setdefault(event.step, {"step": event.step})[tag.removeprefix(CURVE)] = value
            else:
                name = tag.removeprefix(SUMMARY)
                summary[name] = int(value) if name in about["whole"] else value
    files: dict[str, dict[str, Path]] = {}
    for name, digest in about["files"].items():
        kind, _, own = name.partition("/")
        path = file.parent / name
        if not path.is_file() or artifacts.sha256(path) != digest:
            raise ValueError(f"{path} is missing or not what was published: publish again")
        files.setdefault(kind, {})[own] = path
    known = {name: about[name] for name in ("id", "name", "group", "job_type", "config")}
    steps = [history[step] for step in sorted(history)]
    return Run(**known, tags=tuple(about["tags"]), history=steps, summary=summary, files=files)
