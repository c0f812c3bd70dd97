"""Rows of the board as tables: entries, what each language keeps, and what each attack brings back.

Numbers have six significant digits, so that rows that were written, and rows that are computed again, are equal.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from mute.findings.board.entries import PLACE, Back, Entry, Spoken
from mute.findings.by_language import Worst
from mute.findings.results import MISSING, Number

TEXT = (
    *("study", "algorithm", "method", "family", "objective", "model", "architecture", "setup", "band", "sources"),
    *("retain", "forget_set", "protocol", "status", "statuses", "dose", "k_language", "c_language", "unit"),
)
COUNTS = ("trainings", "counted", "facts")
# Columns of the numbers with an interval, by the field of an entry that each is.
NUMBERS = {
    "k_worst": "k",
    "k_source": "k_source",
    "k_heldout": "k_heldout",
    "k_same_script": "k_same",
    "k_other_script": "k_other",
    "c_worst": "c",
    "c_source": "c_source",
}
# What it took: steps and size of the change as the cells say; texts that training passes through the model, and forward
# passes that a guard adds to one prompt and to one text that is read, by what the method says of itself.
BUDGET = ("steps", "size", "texts_trained", "passes_prompt", "passes_text")
ENDS = ("", "_low", "_high")
MODELS, FACTS = "trainings", "facts"

ROWS = (*TEXT, *COUNTS, *(f"{name}{end}" for name in NUMBERS for end in ENDS), *BUDGET)
LANGUAGES = (*PLACE, "language", "script", "group", *(f"{name}{end}" for name in ("k", "c") for end in ENDS))
ATTACKS = (*PLACE, "attack", "measure", "language", *(f"back{end}" for end in ENDS))
COLUMNS = {"rows": ROWS, "languages": LANGUAGES, "attacks": ATTACKS}


class Tables(NamedTuple):
    """The three tables of the board, columns of COLUMNS."""

    rows: pd.DataFrame
    languages: pd.DataFrame
    attacks: pd.DataFrame


def tables(entries: Iterable[Entry], budgets: Mapping[str, Mapping[str, float]] | None = None) -> Tables:
    """Entries as tables. budgets: by algorithm what its method says of itself: texts a step, passes."""
    found: dict[str, list[tuple]] = {name: [] for name in COLUMNS}
    for entry in entries:
        found["rows"].append(_row(entry, (budgets or {}).get(entry.algorithm, {})))
        for own in entry.languages:
            found["languages"].append((*entry.place, own.language, own.script, own.group, *_ends(own.k), *_ends(own.c)))
        for back in entry.attacks:
            number, language = back.worst
            found["attacks"].append((*entry.place, back.attack, back.measure, language, *_ends(number)))
    return Tables(**{name: pd.DataFrame(found[name], columns=list(COLUMNS[name])) for name in COLUMNS})


def _row(entry: Entry, budget: Mapping[str, float]) -> tuple:
    text = {name: getattr(entry, name, "") for name in TEXT}
    text |= {"k_language": entry.k.language, "c_language": entry.c.language}
    text["unit"] = MODELS if entry.counted > 1 else FACTS
    numbers = (_number(getattr(entry, field)) for field in NUMBERS.values())
    steps = entry.steps
    took = {"steps": steps, "size": entry.size, **{name: budget.get(name, math.nan) for name in BUDGET[2:]}}
    # Of edits `steps` are points that their search tried: they read their texts once, which the method's cost says.
    took["texts_trained"] *= steps
    return (
        *(text[name] for name in TEXT),
        *(getattr(entry, name) for name in COUNTS),
        *(value for number in numbers for value in _ends(number)),
        *(rounded(took[name]) for name in BUDGET),
    )


def entries(found: Tables) -> list[Entry]:
    """Entries from tables alone, as a sender states them: without their trainings."""
    languages, attacks = (_by_place(table) for table in (found.languages, found.attacks))
    made = []
    for row in found.rows.to_dict("records"):
        place = tuple(row[key] for key in PLACE)
        df = int(row["counted"]) - 1 if row["unit"] == MODELS else 0
        numbers = {field: _read(row, name, int(row["counted"]), df) for name, field in NUMBERS.items()}
        text = {name: row[name] for name in TEXT if name not in ("k_language", "c_language", "unit")}
        spoken = tuple(
            Spoken(own["language"], own["script"], own["group"], _read(own, "k"), _read(own, "c"))
            for own in languages.get(place, [])
        )
        backs = tuple(
            Back(own["attack"], own["measure"], Worst(_read(own, "back"), own["language"]))
            for own in attacks.get(place, [])
        )
        values: dict[str, Any] = {**text, **{name: int(row[name]) for name in COUNTS}, **numbers}
        values |= {"k": Worst(numbers["k"], row["k_language"]), "c": Worst(numbers["c"], row["c_language"])}
        values |= {name: float(row[name]) for name in BUDGET[:2]}
        made.append(Entry(**values, languages=spoken, attacks=backs))
    return made


def _by_place(table: pd.DataFrame) -> dict[tuple, list[dict[str, Any]]]:
    found: dict[tuple, list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        found.setdefault(tuple(row[key] for key in PLACE), []).append({str(key): value for key, value in row.items()})
    return found


def _read(row: Mapping[Any, Any], name: str, n: int = 1, df: int = 0) -> Number:
    value, low, high = (float(row[f"{name}{end}"]) for end in ENDS)
    return MISSING if math.isnan(value) else Number(value, low, high, n, df)


def _number(value: Number | Worst) -> Number:
    return value.number if isinstance(value, Worst) else value


def _ends(number: Number) -> tuple[float, float, float]:
    return rounded(number.value), rounded(number.low), rounded(number.high)


def rounded(value: float) -> float:
    """A number as tables are written."""
    return float(f"{value:.6g}")
