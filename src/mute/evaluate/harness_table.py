"""The table of what lm-evaluation-harness found in exports and base models. Imports no torch."""

from typing import Any

import pandas as pd

from mute.bands import KEYS

COLUMNS = [*KEYS, "status", "task", "metric", "filter", "value", "stderr", "n", "version"]


def collect(found: dict[str, dict[str, Any]], evaluated: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per model, task or group, and metric; keys of the cell, or `base` and no keys beyond the model's."""
    rows = []
    for name, keys in evaluated.items():
        result = found[name]
        for task, values in result["results"].items():
            about = {"task": task, "n": result["questions"].get(task), "version": result["task_versions"].get(task)}
            for key, value in values.items():
                metric, _, how = key.partition(",")
                if metric.endswith("_stderr") or not isinstance(value, int | float | None):
                    continue
                error = values.get(f"{metric}_stderr,{how}")
                own = {"metric": metric, "filter": how, "value": value}
                rows.append(
                    {
                        **keys,
                        "status": result["status"],
                        **about,
                        **own,
                        "stderr": error if isinstance(error, int | float) else None,
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS)
