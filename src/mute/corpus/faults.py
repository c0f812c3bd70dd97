"""What is wrong with a user's files, each with file, line and what to do; and what their letters alone tell."""

import csv
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mute.corpus.reading import some

# What `check-data` and `plan` call a fault though the study could read it; who means it so accepts it by name.
Accepted = Literal["byte_order_mark", "direction_marks", "nfd", "repeats", "languages"]
# Marks that turn the direction of writing. No text needs them: its letters know theirs.
DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MOST_LINES = 5  # named in a fault


@dataclass(frozen=True)
class Fault:
    """where: a file or language. what: with the items. todo: a sentence. lines: of the file, from 1; rows in Parquet.

    kind: the name by which settings accept it; "" for what no study can be run on. items: ids that could be left out.
    """

    where: str
    what: str
    todo: str = ""
    lines: tuple[int, ...] = ()
    unit: str = "line"
    kind: str = ""
    items: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.what}{self._at}" + (f". {self.todo}" if self.todo else "")

    @property
    def _at(self) -> str:
        if not self.lines:
            return ""
        shown = list(dict.fromkeys(self.lines))
        more = f" and {len(shown) - _MOST_LINES} more" if len(shown) > _MOST_LINES else ""
        listed = ", ".join(map(str, shown[:_MOST_LINES]))
        return f" ({self.unit}{'s' * (len(shown) > 1)} {listed}{more})"


def separator(path: Path, columns: Iterable[str]) -> Fault | None:
    """A table whose fields something else separates than its ending says: by that its header has more columns."""
    own = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    if own is None:
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            first = handle.readline()
        names = {mark: next(csv.reader([first], delimiter=mark), []) for mark in SEPARATORS}
    except (UnicodeDecodeError, OSError, csv.Error):
        return None  # reading the table says what is wrong
    wanted = set(columns)
    found = {mark: len(wanted & {name.strip() for name in split}) for mark, split in names.items()}
    best = max(found, key=lambda mark: (found[mark], mark == own))
    if found[best] <= found[own]:
        return None
    what = f"fields are separated by {SEPARATORS[best]}, and a {path.suffix} file is read by its {SEPARATORS[own]}"
    rename = f", or name it {path.stem}.tsv" if best == "\t" else ""
    return Fault(
        path.name, what, f"Save it with {SEPARATORS[own]} and quotes around fields that hold one{rename}", (1,)
    )


def byte_order_mark(path: Path) -> Fault | None:
    """A mark before the first letter, which reading takes off and other programs take for a letter."""
    if path.suffix == ".parquet":
        return None
    try:
        with path.open("rb") as handle:
            start = handle.read(3)
    except OSError:
        return None
    if start != b"\xef\xbb\xbf":
        return None
    todo = (
        "Save it as UTF-8 without one (Excel: CSV UTF-8 writes one), or set accept: [byte_order_mark]: reading drops it"
    )
    return Fault(path.name, "a byte-order mark stands before the first letter", todo, (1,), kind="byte_order_mark")


def letters(name: str, column: str, values: Sequence[Any], lines: Sequence[int], unit: str) -> list[Fault]:
    """Faults of the letters in a column: direction marks, and letters in pieces (NFD)."""
    rows = [list(_texts(value)) for value in values]

    def at(wrong: Callable[[str], bool]) -> tuple[int, ...]:
        return tuple(line for line, texts in zip(lines, rows) if any(map(wrong, texts)))

    found = []
    if marked := at(lambda text: not DIRECTION.isdisjoint(text)):
        codes = sorted({f"U+{ord(c):04X}" for texts in rows for text in texts for c in text if c in DIRECTION})
        todo = "Take them out: nobody sees them, and a model reads them as letters; or set accept: [direction_marks]"
        what = f"{column} holds direction marks {some(codes)}"
        found.append(Fault(name, what, todo, marked, unit, "direction_marks"))
    if apart := at(in_pieces):
        how = "Save it composed, by unicodedata.normalize('NFC', text) in Python"
        todo = f"{how}; or set accept: [nfd]: reading composes it"
        found.append(Fault(name, f"{column} has letters and their accents apart (NFD)", todo, apart, unit, "nfd"))
    return found


def in_pieces(text: str) -> bool:
    """Whether letters stand in pieces that could be one. (Some letters of Hindi are in pieces in NFC, too.)"""
    return not text.isascii() and len(unicodedata.normalize("NFC", text)) < len(text)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple | np.ndarray):
        for each in value:
            yield from _texts(each)


def row_lines(path: Path, count: int) -> tuple[list[int], str]:
    """The line where each of `count` rows of a file begins, and what it is called: a row where there are no lines."""
    rows = list(range(1, count + 1))
    found: list[int] = []
    try:
        if path.suffix in (".jsonl", ".json"):
            text = path.read_text(encoding="utf-8-sig")
            found = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        elif path.suffix in (".csv", ".tsv"):
            with path.open(encoding="utf-8-sig", newline="") as handle:
                reader, start = csv.reader(handle, delimiter="\t" if path.suffix == ".tsv" else ","), 1
                for row in reader:
                    found += [start] if row else []
                    start = reader.line_num + 1
            found = found[1:]
    except (UnicodeDecodeError, OSError, csv.Error):
        return rows, "row"
    return (found, "line") if len(found) == count else (rows, "row")
