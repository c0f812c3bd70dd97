"""What the pages are told of a study, as plain values: cases, edits with their numbers, cells, tables."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mute.bands import KEYS
from mute.corpus import languages
from mute.findings.results import REFERENCES, Case, Number, Results
from mute.findings.tables import WHOLE_NUMBERS
from mute.plotting.looks import FAMILIES
from mute.publishing.explorer import given
from mute.publishing.explorer.answers import Answers
from mute.publishing.explorer.given import Given
from mute.store import artifacts
from mute.store.records import Facts, Record

# What heatmaps show by language and block: name, title, what its colour means, and which end is good.
MEASURES = (
    ("K", "Knowledge left", "1: the model knows as much as before the edit; 0: as if it had never been taught", "low"),
    ("C", "Capability kept", "1: nothing else was lost; 0: the model is of no use any more", "high"),
)
GROUPS = ("worst", "heldout", "source")
# Attacks whose result has a name of its own, and is in no row of the column `attack`.
NAMED = {"bypass": "B", "mix": "B_mixed", "retraining": "B_retrained"}
# Of all scores those that pages ask for one by one; the others stand in the table of their cell.
ASKED = ("K", "C", "leak", "R", "R_base", "R_oracle", "recovery", *NAMED.values())
ASKED += tuple(f"{name}_{who}" for name in NAMED.values() for who in REFERENCES)
_RECORD = ("plan", "outcome", "made_with", "base", "floor", "producer", "schema", "seed", "inputs")
# Nothing longer than this stands in a page; a table of names has none of it.
_LETTERS = 2000


def script(name: str, value: object) -> str:
    """A file that hands `value` to the page: JSON in a text, so that no key and no sign in it means anything else."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"MUTE.take('{name}', '{quoted}');\n"


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are none are null, texts are cut where they are endless."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key)[:_LETTERS]: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return value[:_LETTERS]
    return value if value is None or isinstance(value, bool | int) else str(value)[:_LETTERS]


class Coded:
    """A table by columns: of numbers as they are, of texts as the words that there are and their places.

    Taken apart once: text as pandas keeps it is slow to take rows from.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.rows, self.names = len(table), [str(name) for name in table.columns]
        self.numbers: dict[str, np.ndarray] = {}
        self.words: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name in table.columns:
            own = table[name]
            if own.dtype.kind in "iuf":
                self.numbers[str(name)] = own.to_numpy()
                continue
            codes, words = pd.factorize(own)
            words = np.array([*map(_word, words), ""], dtype=object)
            # Missing ones have the code -1, and so the last word.
            self.words[str(name)] = codes, words

    def columns(self, places: np.ndarray | None = None, without: Iterable[str] = ()) -> Record:
        """The rows at `places`, or all of them, as pages read them."""
        found, left = [], {*without}
        for name in (name for name in self.names if name not in left):
            if name in self.numbers:
                own = self.numbers[name] if places is None else self.numbers[name][places]
                found.append({"name": name, "numbers": [v if v - v == 0 else None for v in own.tolist()]})
            else:
                codes, words = self.words[name]
                there, own = np.unique(codes if places is None else codes[places], return_inverse=True)
                found.append({"name": name, "words": words[there].tolist(), "codes": own.tolist()})
        return {"rows": self.rows if places is None else len(places), "columns": found}


def _word(value: object) -> str:
    return "" if value is None or value != value else str(value)[:_LETTERS]


def columns(table: pd.DataFrame) -> Record:
    """A whole table as pages read it."""
    return Coded(table).columns()


def number(found: Number) -> list[float | None] | None:
    return [plain(v) for v in (found.value, found.low, found.high, found.n)] if found else None


def cell_id(keys: Iterable[object]) -> str:
    """The name of a cell in links and files: the digest of its keys, whatever they hold."""
    return artifacts.digest([str(key) for key in keys])


class Payload:
    """One study as the pages have it. results: its folder, for records and answers; None: there are none."""

    def __init__(self, found: Given, name: str, results: Path | None = None) -> None:
        self.given, self.name = found, name
        self.cells = found.tables.get("cells", pd.DataFrame(columns=[*KEYS, "status"]))
        scores = found.tables.get("scores")
        self.scores = pd.DataFrame(columns=[*KEYS]) if scores is None else scores
        few = {**found.tables}
        if scores is not None:
            few["scores"] = scores[scores["metric"].isin(ASKED)]
        self.results = Results(few, found.about)
        self.folder = results
        self.answers = Answers(results, found.problems) if results is not None else None
        self.languages: dict[str, None] = {}
        self._grouped: dict[str, dict[tuple, np.ndarray]] = {}

    def study(self, standing: Facts | None = None) -> Record:
        """What the first view needs, and whatever others are small enough to have at hand."""
        results = self.results
        cases, ids = results.all_cases, self._ids()
        shown = set(results.cases)
        algorithms = results.all_algorithms
        return plain(
            {
                "name": self.name,
                "standing": dict(standing or {}),
                "problems": list(self.given.problems),
                "pending": list(self.given.pending),
                "measures": [list(measure) for measure in MEASURES],
                "cases": [self._case(case, case in shown) for case in cases],
                "algorithms": [
                    {
                        "name": name,
                        **{
                            k: results.described.get(name, {}).get(k, "")
                            for k in ("method", "family", "paper", "intent")
                        },
                    }
                    for name in algorithms
                ],
                "families": FAMILIES,
                "edits": [
                    self._edit(place, case, algorithms.index(algorithm), algorithm, band, ids)
                    for place, case in enumerate(cases)
                    for algorithm in results.algorithms(case)
                    for band in results.bands(case, algorithm)
                ],
                "layers": columns(self.given.tables["layers"]) if "layers" in self.given.tables else None,
                "tables": [[name, len(self.table(name))] for name in self.tables()],
                # Last: by then all of them have been met.
                "languages": [_language(code, self._scripts()) for code in self.languages],
            }
        )

    def _case(self, case: Case, shown: bool) -> Record:
        source, heldout = self.results.languages(case)
        self.languages.update(dict.fromkeys([*source, *heldout]))
        return {
            **{
                key: getattr(case, key)
                for key in ("model", "training_seed", "sources", "retain", "forget_set", "protocol")
            },
            "name": self.results.name(case),
            "shown": shown,
            "source": source,
            "heldout": heldout,
            "floor": self.results.floor(case),
            "missed": self.results.below_gate(case),
            "nothing": self.results.nothing_to_forget(case),
            "targets": {a: self.results.views(case, a).get("target", []) for a in self.results.algorithms(case)},
        }

    def _edit(self, place: int, case: Case, algorithm_place: int, algorithm: str, band: str, ids: dict) -> Record:
        source, heldout = self.results.languages(case)
        numbers = {}
        for metric, *_ in MEASURES:
            asked = [(group, "") for group in GROUPS]
            asked += [("source", code) for code in source] + [("heldout", code) for code in heldout]
            own = [
                number(self.results.number(case, algorithm, band, metric, group, language=code))
                for group, code in asked
            ]
            numbers[metric] = {"groups": dict(zip(GROUPS, own)), "languages": own[len(GROUPS) :]}
        leaks = {g: number(self.results.number(case, algorithm, band, "leak", g)) for g in ("all", "worst")}
        return {
            "case": place,
            "algorithm": algorithm_place,
            "band": band,
            "status": self.results.status(case, algorithm, band),
            "votes": self.results.votes(case, algorithm, band),
            "cells": ids.get((*case.place, algorithm, band), []),
            "numbers": numbers,
            "leak": leaks,
        }

    def _ids(self) -> dict[tuple, list[str]]:
        """Cells by place, algorithm and band: one for each unlearning seed."""
        found: dict[tuple, list[str]] = {}
        for keys in self.results._statuses:
            case = Case(keys[0], keys[1], *keys[4:])
            found.setdefault((*case.place, keys[2], keys[3]), []).append(cell_id(keys))
        return found

    def attacks(self) -> Record:
        """What attacks bring back: of every edit, attack by attack, with the same of base and oracle."""
        results, found = self.results, []
        named = [name for name, metric in NAMED.items() if metric in results.metrics]
        names = list(dict.fromkeys([*named, *results.attacks]))
        for place, case in enumerate(results.all_cases):
            for algorithm in results.algorithms(case):
                for band in results.bands(case, algorithm):
                    for attack in names:
                        metric = NAMED.get(attack, "R")
                        by = "" if attack in NAMED else attack
                        own = {g: number(results.number(case, algorithm, band, metric, g, attack=by)) for g in GROUPS}
                        if not any(own.values()):
                            continue
                        for who in REFERENCES:
                            own[who] = number(
                                results.number(case, algorithm, band, f"{metric}_{who}", "heldout", attack=by)
                            )
                        row = {"case": place, "algorithm": results.all_algorithms.index(algorithm)}
                        found.append({**row, "band": band, "attack": attack, "numbers": own})
        return plain({"attacks": names, "rows": found})

    # Tables

    def tables(self) -> list[str]:
        return list(self.given.tables)

    def table(self, name: str) -> pd.DataFrame:
        """A table as its rows are shown: of scores those of the measures that views ask for."""
        table = self.given.tables[name]
        return table[table["metric"].isin(ASKED)] if name == "scores" else table

    def _scripts(self) -> dict[str, str]:
        own = self.given.tables.get("properties")
        if own is None or "script" not in own:
            return {}
        return dict(zip(own["language"].astype(str), own["script"].fillna("").astype(str)))

    # Cells

    def cell_stamps(self) -> dict[str, tuple]:
        """Of every cell what tells whether there is more to say of it than before."""
        counts = self._groups("scores")
        curves, attacks, lens = (self._groups(name) for name in ("curves", "attacks", "lens"))
        found = {}
        for keys, row in self._rows():
            sizes = tuple(len(own.get(keys, ())) for own in (counts, curves, attacks, lens))
            said = self.answers is not None and str(row.get("digest", "")) in self.answers.evaluations
            found[cell_id(keys)] = (str(row.get("status")), *sizes, said)
        return found

    def cell_files(self, wanted: Iterable[str]) -> Iterator[tuple[str, Record]]:
        """The cells among `wanted`, one by one, with all that their view shows."""
        chosen = set(wanted)
        names = (
            [name for name in ("scores", "curves", "lens", "attacks") if name in self.given.tables] if chosen else []
        )
        groups = {name: (Coded(self.given.tables[name]), self._groups(name)) for name in names}
        lenses: dict[tuple, Record | None] = {}
        for keys, row in self._rows():
            if (name := cell_id(keys)) not in chosen:
                continue
            record = self._record(row.get("digest"))
            parts = {}
            for table, (coded, places) in groups.items():
                if keys in places:
                    parts[table] = coded.columns(places[keys], without=(*KEYS, "gate"))
            if (place := (keys[0], keys[1], keys[6])) not in lenses:
                lenses[place] = self._base_lens(keys)
            trained = str(record.get("plan", {}).get("trained", "")) if isinstance(record.get("plan"), dict) else ""
            answers = self.answers.of_cell(row.get("digest"), trained, str(keys[6])) if self.answers else []
            own = {"id": name, "row": plain(row), "record": plain(record), "answers": answers, "base": lenses[place]}
            yield name, {**own, **parts}

    def _rows(self) -> Iterator[tuple[tuple, Record]]:
        for row in self.results.tables["cells"].to_dict("records"):
            yield tuple(row[key] for key in KEYS), {str(key): value for key, value in row.items()}

    def _groups(self, name: str) -> dict[tuple, np.ndarray]:
        """Places of a table's rows by cell; keys as `Results` has them."""
        if name in self._grouped:
            return self._grouped[name]
        table = self.given.tables.get(name)
        found: dict[tuple, np.ndarray] = {}
        if table is not None and len(table):
            whole = np.zeros(len(table), dtype=np.int64)
            for key in KEYS:
                codes, words = pd.factorize(table[key])
                _, whole = np.unique(whole * (len(words) + 1) + codes + 1, return_inverse=True)
            order = np.argsort(whole, kind="stable")
            firsts = np.flatnonzero(np.diff(whole[order], prepend=-1))
            heads = table[list(KEYS)].iloc[order[firsts]]
            keys = zip(*(_keys(heads[key], key).tolist() for key in KEYS))
            found = dict(zip(keys, np.split(order, firsts[1:])))
        self._grouped[name] = found
        return found

    def _base_lens(self, keys: tuple) -> Record | None:
        lens = self.given.tables.get("lens")
        if lens is None:
            return None
        place = (keys[0], keys[1], keys[6])
        own = lens[lens["algorithm"] == "base"]
        own = own[(own["model"] == place[0]) & (own["training_seed"] == place[1]) & (own["forget_set"] == place[2])]
        return columns(own[[c for c in ("language", "block", "probability", "hit") if c in own]]) if len(own) else None

    def _record(self, digest: object) -> Record:
        """What is kept of the making of a cell; {} where nothing is, or where it cannot be read."""
        if self.folder is None or not given.is_digest(digest):
            return {}
        path = self.folder / "cells" / str(digest) / artifacts.RECORD
        if not path.is_file():
            return {}
        try:
            record = artifacts.read_mapping(path)
        except ValueError as error:
            self.given.problems.append(str(error))
            return {}
        return {key: record[key] for key in _RECORD if key in record}


def _keys(column: pd.Series, key: str) -> pd.Series:
    if key in WHOLE_NUMBERS:
        return pd.to_numeric(column, errors="coerce").fillna(0).astype(int)
    return column.astype(object).where(column.notna(), "").map(str)


def _language(code: str, scripts: dict[str, str]) -> Record:
    """Code, English name, own name and script of a language; empty where no pack says it: the browser may know."""
    if code in languages.codes():
        pack = languages.load(code)
        return {"code": code, "name": pack.name, "own": pack.endonym, "script": pack.script}
    return {"code": code, "name": "", "own": "", "script": scripts.get(code, "")}
