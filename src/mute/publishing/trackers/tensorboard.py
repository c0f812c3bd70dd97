"""TensorBoard: every run as an event file of the same bytes each time, for those who have no account anywhere.

TensorBoard has no artifacts: tables and figures lie beside the event file. A file of TensorBoard's own writer would
have the name of the machine in its name, and the time of day in every event.
"""

import importlib
import json
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mute.publishing.runs import Run
from mute.store import artifacts
from mute.store.records import Facts

# TensorBoard looks for files with `tfevents` in their name.
EVENTS = "events.out.tfevents.mute"
CURVE, SUMMARY, ABOUT = "curve/", "summary/", "about"


def folders(folder: Path) -> list[Path]:
    """The folders of all runs."""
    return sorted(path.parent for path in folder.glob(f"*/{EVENTS}"))


@contextmanager
def writer(folder: Path, options: Facts) -> Generator[Callable[[Run], list[Path]]]:
    """What writes a run as an event file, in a folder named after it, and then the files that lie beside that."""

    def write(run: Run) -> list[Path]:
        own = folder / run.name
        copies = run.copied(own)
        with artifacts.atomic(own / EVENTS) as temporary:
            _write(temporary, run)
        return [own / EVENTS, *copies]

    yield write


def _write(path: Path, run: Run) -> None:
    """Events in the order of their steps. Times are steps, too: TensorBoard wants some, and results hold none."""
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.plugins.text.summary_v2 import text_pb
    from tensorboard.summary.writer.record_writer import RecordWriter

    numbers = {n: v for n, v in run.summary.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    words = {name: value for name, value in run.summary.items() if name not in numbers}
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
        add(last, _numbers((SUMMARY + n, v) for n, v in numbers.items()))


def _protocol(name: str) -> Any:
    """A module of TensorBoard's protocol; its classes are made when it is imported."""
    return importlib.import_module(f"tensorboard.compat.proto.{name}_pb2")


def _numbers(values: Iterable[tuple[str, float]]) -> Any:
    """Scalars of double precision, where TensorBoard's own function would round them."""
    from tensorboard.plugins.scalar import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    summary = _protocol("summary").Summary()
    for name, value in values:
        tensor = make_tensor_proto(float(value), dtype="float64")
        summary.value.add(tag=name, tensor=tensor, metadata=metadata.create_summary_metadata("", ""))
    return summary
