"""What is wrong or odd in a user's copy of a published data set: letters, separators, languages, repeats, and the rest.

`fact_files` says the same of parallel facts, line by line; here the files' own reader says what else is wrong.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd

from mute.corpus import faults, mixed_up, sound
from mute.corpus.faults import Fault
from mute.corpus.reading import ENDINGS, load, some
from mute.corpus.schema import Corpus

T = TypeVar("T")


def check(
    root: Path,
    paths: Iterable[Path],
    columns: Collection[str],
    *,
    tables: Callable[[], Mapping[str, tuple[str, pd.DataFrame]]],
    corpus: Callable[[], Corpus],
    forget_sets: Iterable[str],
    accept: Collection[str],
) -> list[Fault]:
    """All that is wrong or odd, but what is accepted.

    paths: files and folders under root; columns: those that are texts. tables: by language a file's name and its
    questions, with columns id and said, which holds question and answers; it and `corpus` raise ValueError that lists
    what is wrong.
    """
    files = [path for each in paths for path in (sorted(each.iterdir()) if each.is_dir() else [each])]
    found = [fault for path in files if path.suffix in ENDINGS for fault in _of_file(root, path, columns)]
    said = _tried(tables, found)
    if said is not None:
        found += [fault for name, table in said.values() for fault in _repeats(name, table)]
        found += mixed_up.faults({code: _texts(name, table) for code, (name, table) in said.items()})
        made = _tried(corpus, found)
        if made is not None:
            _tried(lambda: sound.check(made, forget_sets), found)
    return [fault for fault in found if fault.kind not in accept]


def _of_file(root: Path, path: Path, columns: Collection[str]) -> list[Fault]:
    """Of one file: how it is separated, marks before its first letter, and letters in its texts."""
    name = path.relative_to(root).as_posix()
    found = [fault for fault in (faults.byte_order_mark(path), faults.separator(path, columns)) if fault]
    found = [Fault(name, fault.what, fault.todo, fault.lines, fault.unit, fault.kind) for fault in found]
    try:
        table = load(path)
    except (ValueError, OSError):
        return found  # the source says what it cannot read
    lines, unit = faults.row_lines(path, len(table))
    for column in columns:
        if column in table:
            found += faults.letters(name, column, table[column].tolist(), lines, unit)
    return found


def _tried(make: Callable[[], T], found: list[Fault]) -> T | None:
    """What is made; or None, and what is wrong in the list."""
    try:
        return make()
    except ValueError as error:
        first, *others = str(error).splitlines()
        for line in others or [first]:
            where, _, what = line.removeprefix("  - ").partition(": ")
            found.append(Fault(where, what) if what else Fault("the files", where))
        return None


def _repeats(name: str, table: pd.DataFrame) -> list[Fault]:
    again = table["said"].duplicated() & (table["said"].str.strip() != "")
    if not again.any():
        return []
    first = dict(zip(table.loc[~again, "said"], table.loc[~again, "id"]))
    pairs = [f"{own} as {first[said]}" for own, said in zip(table.loc[again, "id"], table.loc[again, "said"])]
    todo = "Take one of them out in every language, or set accept: [repeats]"
    return [Fault(name, f"the same question under two ids: {some(pairs)}", todo, kind="repeats")]


def _texts(name: str, table: pd.DataFrame) -> mixed_up.Texts:
    lines = {item: place for place, item in enumerate(table["id"], 1)}
    return mixed_up.Texts(name, dict(zip(table["id"], table["said"])), lines, "question")
