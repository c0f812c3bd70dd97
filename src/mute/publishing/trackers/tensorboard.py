"""TensorBoard: every run as an event file of the same bytes each time, for those who have no account anywhere.

TensorBoard has no artifacts: tables and figures lie beside the event file. A file of TensorBoard's own writer would
have the name of the machine in its name, and the time of day in every event.
"""

import importlib
import json
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
        copies = run.copied(folder)
        with artifacts.atomic(folder / EVENTS) as temporary:
            _write(temporary, run)
        return [folder / EVENTS, *copies]


def _write(path: Path, run: Run) -> None:
    """Events in the order of their steps. Times are steps, too: TensorBoard wants some, and results hold none."""
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.plugins.text.summary_v2 import text_pb
    from tensorboard.summary.writer.record_writer import RecordWriter

    words = {name: value for name, value in run.summary.items() if not _is_number(value)}
    about = {**run.text(), "history": None, "summary": words}
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
        add(0, text_pb(ABOUT, json.dumps(about, sort_keys=True, ensure_ascii=False, allow_nan=False)))
        for row in run.history:
            add(row["step"], _numbers((CURVE + n, v) for n, v in row.items() if n != "step"))
        add(last, _numbers((SUMMARY + n, v) for n, v in run.summary.items() if n not in words))


def _protocol(name: str) -> Any:
    """A module of TensorBoard's protocol; its classes are made when it is imported."""
    return importlib.import_module(f"tensorboard.compat.proto.{name}_pb2")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(values: Iterable[tuple[str, float]]) -> Any:
    """Scalars of double precision, where TensorBoard's own function would round them."""
    from tensorboard.plugins.scalar import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    summary = _protocol("summary").Summary()
    for name, value in values:
        tensor = make_tensor_proto(float(value), dtype="float64")
        summary.value.add(tag=name, tensor=tensor, metadata=metadata.create_summary_metadata("", ""))
    return summary
