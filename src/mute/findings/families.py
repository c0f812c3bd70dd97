"""Algorithms by family: the best of each, which figures show where there are too many to tell apart."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from mute.findings import verdicts
from mute.findings.results import Results

# So many algorithms a figure shows side by side; of more the best of each family, as many of each as have room.
MOST = 8
# In `about["drawn"]`, in the place of a list of names.
ALL = "all"


class Choice(NamedTuple):
    """The algorithms that a figure shows, and in words how many it does not and why; "" where it shows all."""

    names: list[str]
    note: str


def choose(results: Results, could: Iterable[str] | None = None) -> Choice:
    """Of the algorithms that a figure could show (default: of the shown cases) all, or of too many the best by family.

    A study may name them (`about["drawn"]`, a list, or ALL). Algorithms whose family is not known count as one each.
    """
    there = {name for case in results.cases for name in results.algorithms(case)} if could is None else set(could)
    return results.once(("choice", *sorted(there)), lambda: _choose(results, there))


def _choose(results: Results, there: set[str]) -> Choice:
    names = [name for name in results.all_algorithms if name in there]
    drawn = results.about.get("drawn")
    if drawn == ALL or (drawn is None and len(names) <= MOST):
        return Choice(names, "")
    each = max(MOST // len({results.family(name) for name in names}), 1)
    chosen = _best(results, names, each) if drawn is None else [name for name in names if name in drawn]
    best = "the best" if each == 1 else f"the best {each}"
    rule = f"{best} of each family by merit, C − K" if drawn is None else "those that the study names"
    hidden = len(names) - len(chosen)
    return Choice(chosen, f"{len(chosen)} of {len(names)} algorithms: {rule}; {hidden} not shown" if hidden else "")


def _best(results: Results, names: list[str], each: int) -> list[str]:
    """Of each family the best, so many; of algorithms without one the best MOST."""
    by_family: dict[str, list[str]] = {}
    for name in names:
        by_family.setdefault(results.family(name), []).append(name)
    chosen: list[str] = []
    for family, own in by_family.items():
        ranked = sorted(own, key=lambda name: merit(results, name), reverse=True)
        chosen += ranked[: each if family else MOST]
    return [name for name in names if name in chosen]


def merit(results: Results, algorithm: str) -> tuple[int, float]:
    """In how many of the shown cases an algorithm has a merit, and the mean of that of its best edit.

    One that ran everywhere goes before one that ran where it is easy. Edits that missed matched erasure count only
    where none reached it.
    """
    found = []
    for case in results.cases:
        bands = results.bands(case, algorithm)
        numbers = {
            # Tables of old know no worst language.
            band: verdicts.merit(results, case, algorithm, band)
            or verdicts.merit(results, case, algorithm, band, "heldout")
            for band in bands
        }
        reached = [n.value for band, n in numbers.items() if n and results.reached(case, algorithm, band)]
        values = reached or [number.value for number in numbers.values() if number]
        if values:
            found.append(max(values))
    return len(found), sum(found) / len(found) if found else -math.inf
