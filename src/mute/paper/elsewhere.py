"""Studies on the board other than the paper's own, as the paper tells of them: in two sentences, and row by row."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from mute.findings import files
from mute.findings.board.rank import FLOOR
from mute.findings.results import Number
from mute.store import artifacts
from mute.store.records import Record

# Erased: no more of the knowledge than this is left in any held-out language.
ERASED = 0.2
# Columns of the paper's table, by what they are of.
NUMBERS = {
    "K worst": "k_worst",
    "K source": "k_source",
    "K same": "k_same_script",
    "K other": "k_other_script",
    "C worst": "c_worst",
}


def read(given: Iterable[str | Path]) -> list[Record]:
    """A mapping for each study whose files are given: its title, what it is, two sentences, and its rows in words."""
    found = []
    for folder in dict.fromkeys(Path(path).parent for path in given):
        rows, attacks = (artifacts.read_table(folder / name) for name in (files.ROWS, files.ATTACKS))
        about = artifacts.read_json(folder / files.ABOUT)
        found.append(
            {
                "name": folder.name,
                "title": files.STUDIES[folder.name],
                "description": about["description"].rstrip("."),
                "said": [_statuses(rows), *_best(rows)],
                "rows": _rows(rows, attacks),
            }
        )
    return found


def _statuses(rows: pd.DataFrame) -> str:
    """How many rows came to which end."""
    counts = [f"{n} {status.replace('_', ' ')}" for status, n in rows["status"].value_counts().sort_index().items()]
    return f"Of {len(rows)} rows, each over its trainings, the status of most cells is: {', '.join(counts)}."


def _best(rows: pd.DataFrame) -> Sequence[str]:
    """Of what counts and is no control: where least is left, and how many erase everywhere and keep the rest."""
    counted = rows[(rows["status"] == "ok") & (rows["objective"] != "control") & rows["k_worst"].notna()]
    if counted.empty:
        return ["None that counts is more than a control."]
    # As for a rank: in the worst held-out language, and in the sources.
    kept = counted[counted[["c_worst", "c_source"]].min(axis=1, skipna=False) >= FLOOR]
    erased = kept[kept["k_worst"] <= ERASED]
    sentences = []
    for own, words in (
        (counted, "Of those that count"),
        (kept, f"Of those that keep {FLOOR:g} of C in every language"),
    ):
        if not own.empty:
            least = own.loc[own["k_worst"].idxmin()]
            sentences.append(
                f"{words} ({len(own)}) {_name(least)} leaves least in its worst held-out language: "
                f"{_number(least, 'k_worst')} ({least['k_language']}), with C {_number(least, 'c_worst')} "
                f"({least['c_language']})."
            )
    # An estimate below the line shows nothing where its interval spans it, nor does one above it.
    surely = int((kept["k_worst_low"] > ERASED).sum())
    sentences.append(
        f"Of {len(kept)} that keep {FLOOR:g} of C in every language {len(erased) or 'none'} by the estimate "
        f"{'leaves' if len(erased) <= 1 else 'leave'} at most {ERASED:g} of the knowledge in every held-out language; "
        f"of {surely} the whole interval is above that."
    )
    return sentences if not kept.empty else [*sentences[:-1], f"None keeps {FLOOR:g} of C in every language."]


def _rows(rows: pd.DataFrame, attacks: pd.DataFrame) -> list[dict[str, str]]:
    keys = [name for name in attacks.columns if name in rows.columns]
    # Of one measure alone, of which zero is the same for every attack.
    regained = attacks[attacks["measure"] == "regained"].dropna(subset=["back"])
    found = []
    for row in rows.to_dict("records"):
        own = regained[(regained[keys].astype(str) == [str(row[key]) for key in keys]).all(axis=1)]
        most = own.loc[own["back"].idxmax()] if len(own) else None
        found.append(
            {
                "algorithm": row["algorithm"].replace("_", " "),
                "model": row["model"],
                "band": str(row["band"]),
                "status": row["status"].replace("_", " "),
                "n": str(row["counted"]),
                **{words: _number(row, name) for words, name in NUMBERS.items()},
                "worst": ", ".join("–" if pd.isna(row[name]) else row[name] for name in ("k_language", "c_language")),
                "back": "–" if most is None else f"{_number(most, 'back')} ({most['attack'].replace('_', ' ')})",
            }
        )
    return found


def _name(row: pd.Series) -> str:
    where = "" if row["band"] == "full" else f" at block {row['band']}"
    return f"{row['algorithm'].replace('_', ' ')}{where} ({row['model']})"


def _number(row: Mapping[str, float] | pd.Series, name: str) -> str:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return str(Number(value, low, high))
