"""A file of parallel facts, as `mute forget` takes it: all languages in one table, every mistake told plainly."""

import re
from pathlib import Path

import pandas as pd

from mute import api
from mute.corpus import faults, reading
from mute.names import at_home, nearest, unknown_name

_NEEDED = ("id", "language", "domain", "prompt", "answer")
# Below this many facts to be forgotten, layer scores are not defined.
_FEWEST = 4


def read(path: Path) -> pd.DataFrame:
    """The rows of a file, every field a text. Raises ValueError that says what is wrong with it, and what to do."""
    place = at_home(path)
    if not place.is_file():
        if place.is_dir():
            raise ValueError(f"{path} is a folder: give one file that holds all languages")
        near = nearest(place.name, [own.name for own in place.parent.glob("*") if own.suffix in reading.ENDINGS])
        raise ValueError(f"there is no file {path}" + (f". Did you mean {near[0]!r}?" if near else ""))
    if place.suffix.lower() not in reading.ENDINGS:
        allowed = ", ".join(reading.ENDINGS)
        raise ValueError(f"{path} ends with {place.suffix or 'nothing'}; files of facts end with {allowed}")
    if other := faults.separator(place, _NEEDED):
        raise ValueError(str(other))
    try:
        table = reading.load(place)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        has = ", ".join(table.columns)
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has {has}. A file of facts has the columns "
            f"{', '.join(_NEEDED)}, and may have candidates and subject"
        )
    for name in ("id", "language", "domain"):
        table[name] = table[name].map(lambda value: str(value).strip())
    return table


def chosen(table: pd.DataFrame, file: Path, domain: str, sources: list[str], seed: int) -> api.Facts:
    """The facts, with those of one domain to be forgotten. Raises ValueError for what does not fit the file."""
    domains = list(dict.fromkeys(table["domain"]))
    counts = table.drop_duplicates(["domain", "id"]).groupby("domain").size()
    listed = ", ".join(f"{name} ({counts[name]} facts)" for name in domains)
    if not domain:
        raise ValueError(f"say which domain is to be forgotten, such as --forget {domains[0]}; {file} has {listed}")
    if domain not in domains:
        raise ValueError(unknown_name("domain to forget", domain, domains))
    if len(domains) < 2:
        raise ValueError(
            f"{file} has no domain but {domain!r}: facts of another domain are needed, to be kept and to tell "
            "whether they were"
        )
    if counts[domain] < _FEWEST:
        raise ValueError(f"{file} has {counts[domain]} facts of {domain!r}; at least {_FEWEST} are needed")
    # prompt, prompt_2, prompt_3, ...: unlearning reads all but the last.
    found = [re.fullmatch(r"prompt(?:_(\d+))?", name) for name in table]
    prompts = [own[0] for own in sorted(filter(None, found), key=lambda own: int(own[1] or 1))]
    return api.parallel_facts(table, forget=domain, sources=sources, prompts=prompts, seed=seed)
