"""What a folder of results says of its own study, where no configuration is at hand: the settings beside its tables."""

import json
from pathlib import Path

from mute import unlearn
from mute.names import shown
from mute.store import artifacts
from mute.store.records import Record
from mute.unlearn import own

_READ = {("algorithms", "method"), ("models", "languages"), ("models", "blocks")}


def read(tables: Path, problems: list[str]) -> Record:
    """Models and algorithms by `study.<digest>.csv`. A method in a file of its own is not run.

    {} where there are no settings.
    """
    paths = sorted(tables.glob("study.*.csv"))
    if not paths:
        return {}
    found: Record = {"algorithms": {}, "models": {}}
    try:
        table = artifacts.read_table(paths[0])
        rows = list(zip(table["key"].astype(str), table["value"].astype(str)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        problems.append(f"{paths[0].name} cannot be read: {shown(str(error))}")
        return {}
    for key, text in rows:
        section, _, rest = key.partition(".")
        name, _, setting = rest.rpartition(".")
        if (section, setting) not in _READ:
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            problems.append(f"{paths[0].name}: {shown(key)} is {shown(text)}, which is no setting")
            continue
        if section == "algorithms" and isinstance(value, str):
            found["algorithms"][name] = _described(value)
        if section == "models" and isinstance(value, list | int):
            found["models"].setdefault(name, {})[setting] = value
    whole = {name: m for name, m in found["models"].items() if isinstance(m.get("languages"), list)}
    return {**found, "models": {n: m for n, m in whole.items() if all(isinstance(c, str) for c in m["languages"])}}


def _described(method: str) -> dict[str, str]:
    if own.is_own(method) or method not in unlearn.names():
        return {"method": method, "family": "", "paper": "", "intent": ""}
    kind = unlearn.load(method)
    return {"method": method, "family": kind.family, "paper": kind.paper, "intent": kind.intent}
