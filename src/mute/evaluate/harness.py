"""lm-evaluation-harness on a model directory, offline: what others measure, measured of an edited model and its base.

The harness is called by its Python API. Of its answer is kept what depends on model and tasks alone: no time, no path
and nothing of the machine.
"""

import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mute.jobs import progress
from mute.models import loading, tokenizer
from mute.names import at_home, nearest
from mute.store.records import Facts, Record

# Resamples behind the standard error of what is no plain mean.
_RESAMPLES = 1000


def go_offline() -> None:
    """Keep this process from the network and its bars from the terminal. It must come before the hub's libraries do."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    os.environ |= {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}


def evaluate(folder: Path | str, plan: Facts) -> Record:
    """What the harness finds in the model in `folder`, as a mapping that JSON can hold.

    plan: tasks, task_folder, data (revision by data set), shots, limit, batch_size, device, dtype. Raises ValueError
    for tasks that are not known, and for data that are not there.
    """
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    manager = _manager(plan["tasks"], plan["task_folder"])
    needed = _data_sets(plan["tasks"], manager)
    missing = {path: revision for path, revision in needed if path not in plan["data"]}
    if missing:
        lines = ", ".join(f"{path}: {revision}" for path, revision in missing.items())
        raise ValueError(f"exports.data lacks what the tasks read: add {{{lines}}}, which is then fetched")

    class Counted(HFLM):
        """The harness' own model, which says how many of its questions it has answered."""

        count: Callable[[float], object] = staticmethod(lambda answered: None)

        def _loglikelihood_tokens(self, requests: Any, *given: Any, **named: Any) -> Any:
            with progress.counting(len(requests), "question") as self.count:
                return super()._loglikelihood_tokens(requests, *given, **named)

        def _model_call(self, inps: Any, *given: Any, **named: Any) -> Any:
            logits = super()._model_call(inps, *given, **named)
            self.count(len(inps))
            return logits

    with _snapshots(plan["data"]):
        found = simple_evaluate(
            model=Counted(
                pretrained=str(folder),
                tokenizer=tokenizer.load(folder),
                device=loading.find_device(plan["device"]),
                dtype=plan["dtype"],
                batch_size=plan["batch_size"],
                trust_remote_code=False,
            ),
            tasks=list(plan["tasks"]),
            num_fewshot=plan["shots"],
            limit=plan["limit"],
            task_manager=manager,
            bootstrap_iters=_RESAMPLES,
            log_samples=False,
        )
    assert found is not None
    return {
        "results": {task: _measures(values) for task, values in sorted(found["results"].items())},
        "questions": {task: counts["effective"] for task, counts in sorted(found["n-samples"].items())},
        "task_versions": _plain(found["versions"]),
        "shots": _plain(found["n-shot"]),
        "higher_is_better": _plain(found["higher_is_better"]),
        "harness": plan["lm_eval"],
        "config": {key: plan[key] for key in ("tasks", "data", "shots", "limit", "batch_size", "dtype")},
    }


def _measures(values: dict[str, Any]) -> dict[str, Any]:
    """Measures are called `metric,filter`; the rest repeats names and counts."""
    return _plain({key: value for key, value in values.items() if "," in key})


def _plain(values: Any) -> Any:
    """Builtins that JSON can hold; a number that is none becomes null."""
    if isinstance(values, dict):
        return {str(key): _plain(value) for key, value in sorted(values.items())}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    if isinstance(values, bool | int | str) or values is None:
        return values
    return float(values) if math.isfinite(values) else None


def _manager(tasks: Iterable[str], folder: str | None) -> Any:
    """Where the harness finds the tasks. Its own, some ten thousand, are read only where one of them is asked for."""
    from lm_eval.tasks import TaskManager

    tasks = list(tasks)
    if folder is not None:
        own = TaskManager(include_path=str(at_home(folder)), include_defaults=False)
        if set(tasks) <= set(own.all_tasks):
            return own
    manager = TaskManager(include_path=folder and str(at_home(folder)))
    unknown = [task for task in tasks if task not in manager.task_index]
    if unknown:
        near = {task: "".join(f", did you mean {n!r}?" for n in nearest(task, manager.all_tasks)) for task in unknown}
        said = "; ".join(f"exports.tasks: the harness has no task {task!r}{hint}" for task, hint in near.items())
        raise ValueError(f"{said}. `lm-eval ls tasks` lists all; your own are in exports.task_folder")
    return manager


def data_sets(tasks: Iterable[str], folder: str | None = None) -> list[tuple[str, str]]:
    """Hub data sets that tasks, groups or tags read, each with its revision; none is downloaded.

    A task that builds its data by code of its own names none here. Raises ValueError for tasks that are not known.
    """
    return _data_sets(tasks, _manager(tasks, folder))


def _data_sets(tasks: Iterable[str], manager: Any) -> list[tuple[str, str]]:
    found = {}
    for config in _leaves(tasks, manager.task_index, set()):
        path, kwargs = config.get("dataset_path"), config.get("dataset_kwargs") or {}
        # `json`, `csv`, ... read files.
        if isinstance(path, str) and _is_hub_id(path):
            found[path, str(kwargs.get("revision", "main"))] = None
    return sorted(found)


def _is_hub_id(path: str) -> bool:
    return path.count("/") == 1 and path[0] not in "./~" and not Path(path).exists()


def _leaves(names: Iterable[Any], index: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
    """Configurations of the tasks behind names of tasks, groups and tags."""
    for name in names:
        if isinstance(name, dict):  # a task of a group with settings of its own
            if name.get("dataset_path"):
                yield name
            name = name.get("task") or name.get("group")
            if isinstance(name, list):
                yield from _leaves(name, index, seen)
                continue
        if name in seen or name not in index:
            continue
        seen.add(name)
        entry = index[name]
        config = entry.cfg or {}
        members = config.get("task") if "group" in config else None
        if members is not None:
            yield from _leaves(members if isinstance(members, list) else [members], index, seen)
        elif entry.yaml_path is None:
            yield from _leaves(sorted(entry.tags), index, seen)
        else:
            yield config


@contextmanager
def _snapshots(data: dict[str, str]) -> Generator[None]:
    """Let `load_dataset` find what was fetched: offline, it looks for what it has prepared itself, not for that."""
    import datasets

    library: Any = datasets
    ordinary = library.load_dataset

    def load(path: str, name: str | None = None, **options: Any) -> Any:
        # A task may ask for it. No data set runs code here: what it would do is read from plain files, or not at all.
        options.pop("trust_remote_code", None)
        if path in data:
            from mute.hub import copies

            options.pop("revision", None)
            path = str(copies.local(copies.Repo("dataset", path, data[path])))
        return ordinary(path, name, **options)

    library.load_dataset = load
    try:
        yield
    finally:
        library.load_dataset = ordinary
