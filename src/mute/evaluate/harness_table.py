"""The table of what lm-evaluation-harness found in exports and base models. Imports no torch."""

from collections.abc import Mapping

import pandas as pd

from mute.bands import KEYS
from mute.store.records import Facts

COLUMNS = [*KEYS, "status", "task", "metric", "filter", "value", "stderr", "n", "version"]


def collect(found: Mapping[str, Facts], evaluated: Mapping[str, Facts]) -> pd.DataFrame:
    """One row per model, task or group, and metric; keys of the cell, or `base` and no keys beyond the model's."""
    rows = []
    for name, keys in evaluated.items():
        result = found[name]
        for task, values in result["results"].items():
            about = {
                **keys,
                "status": result["status"],
                "task": task,
                "n": result["questions"].get(task),
                "version": result["task_versions"].get(task),
            }
            for key, value in values.items():
                metric, _, how = key.partition(",")
                if metric.endswith("_stderr") or not isinstance(value, int | float | None):
                    continue
                error = values.get(f"{metric}_stderr,{how}")
                error = error if isinstance(error, int | float) else None
                rows.append({**about, "metric": metric, "filter": how, "value": value, "stderr": error})
    return pd.DataFrame(rows, columns=COLUMNS)
