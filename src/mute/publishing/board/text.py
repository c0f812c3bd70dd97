"""The board at a terminal: the rows that filters leave, best rank first."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mute.findings.by_language import HELDOUT, Worst
from mute.findings.results import MISSING
from mute.names import on_one_line, unknown_name
from mute.publishing.board.shelf import Place

_HEAD = (
    "rank",
    "method",
    "band",
    "on",
    "objective",
    "K, worst language",
    "C, worst language",
    "brings back, most",
    "from",
)


class Filters(NamedTuple):
    """What rows must be; "" asks for nothing. script: K is then that of the worst held-out language in it."""

    family: str = ""
    architecture: str = ""
    script: str = ""
    objective: str = ""


def chosen(places: Sequence[Place], filters: Filters) -> list[Place]:
    """The rows that filters leave, best first: by their rank, then by what they leave.

    Raises ValueError for a family, architecture, script or objective that no row has, and names the nearest.
    """
    for what, asked in filters._asdict().items():
        there = sorted({value for place in places for value in values(place, what) if value})
        if asked and asked not in there:
            raise ValueError(unknown_name(what, asked, there))
    found = [
        place
        for place in places
        if all(not own or own in values(place, what) for what, own in filters._asdict().items())
    ]
    return sorted(found, key=lambda place: _order(place, filters.script))


def values(place: Place, what: str) -> tuple[str, ...]:
    """What a row has of a filter: one value, or the scripts of its held-out languages."""
    if what == "script":
        return tuple(dict.fromkeys(own.script for own in place.entry.languages if own.group == HELDOUT))
    return (getattr(place.entry, what),)


def _order(place: Place, script: str) -> tuple:
    left = worst_in(place, script).number.value if script else place.entry.k.number.value
    return (place.rank.place is None, *place.entry.league, place.rank.place or 0, math.isnan(left), left)


def worst_in(place: Place, script: str) -> Worst:
    """K of the held-out language of a script in which most is left, by the languages' own means."""
    own = [each for each in place.entry.languages if each.group == HELDOUT and each.script == script and each.k]
    best = max(own, key=lambda each: each.k.value, default=None)
    return Worst(best.k, best.language) if best else Worst(MISSING)


def terminal(places: Sequence[Place], filters: Filters, most: int = 0) -> str:
    """The board as text; of more rows than `most` (0: all) as many."""
    found = chosen(places, filters)
    shown = found[:most] if most else found
    if not found:
        return "No row is on the board.\n" if not places else "No row is left by these filters.\n"
    head = list(_HEAD)
    if filters.script:
        head[5] = f"K, worst in {filters.script}"
    lines = _columns([head, *(_line(place, filters.script) for place in shown)])
    left = [f"{len(found) - len(shown)} more rows: --all"] if len(shown) < len(found) else []
    return "\n".join([*lines, *left]) + "\n"


def _line(place: Place, script: str) -> list[str]:
    entry = place.entry
    k = worst_in(place, script) if script else entry.k
    back = f"{entry.back.worst} {entry.back.attack}" if entry.back else "–"
    back += " (K less the oracle's)" if entry.back and entry.back.measure != "regained" else ""
    name = entry.algorithm if entry.algorithm == entry.method else f"{entry.algorithm} ({entry.method})"
    who = f"{entry.model} {entry.sources} {entry.protocol}"
    return [str(place.rank), name, entry.band, who, entry.objective, str(k), str(entry.c), back, place.shelf]


def _columns(table: Iterable[Sequence[str]]) -> list[str]:
    cells = [[on_one_line(cell) for cell in row] for row in table]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
