"""What models said to questions: the base before the edit, the cell after it, fact by fact in every language."""

from functools import cache
from pathlib import Path

import pandas as pd

from mute.publishing.explorer import given
from mute.store import artifacts
from mute.store.records import Record

# So many facts to be forgotten are shown, each in all languages; so many letters of a text.
FACTS, LETTERS = 16, 600


class Answers:
    """Questions and answers of one study's results. What is not there, or cannot be read, is an empty list."""

    def __init__(self, results: Path, problems: list[str]) -> None:
        self.results, self.problems = results, problems
        self.texts = self._read(results / "corpus" / "texts.parquet", ("item", "language", "form", "prefix", "answer"))
        self.facts = self._read(results / "corpus" / "facts.csv", ("item", "forget_sets"))
        self.base = cache(self._base)
        self.evaluations = self._folders()

    def _folders(self) -> dict[str, str]:
        found = {}
        for path in sorted((self.results / "shards").glob("*/evaluations.csv")):
            table = self._read(path, ("cell", "digest"))
            if table is not None:
                found |= {c: d for c, d in zip(table["cell"], table["digest"]) if given.is_digest(d)}
        return found

    def _read(self, path: Path, columns: tuple[str, ...]) -> pd.DataFrame | None:
        if not path.is_file():
            return None
        try:
            table = artifacts.read_table(path)
            if lacking := [column for column in columns if column not in table]:
                raise ValueError(f"it has no column {', '.join(lacking)}")
            return table
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            self.problems.append(f"{path.relative_to(self.results)} cannot be read: {given.shown(str(error))}")
        return None

    def _said(self, folder: Path) -> pd.DataFrame | None:
        said = self._read(folder / "answers.parquet", ("item", "language", "form", "text", "kind"))
        return said if said is None or "set" not in said else said[said["set"] == "facts"]

    def _base(self, trained: str, forget_set: str) -> list[Record]:
        """Facts to be forgotten, asked of the model before any edit, in the form that has the answers."""
        if self.texts is None or self.facts is None or "/" in trained or trained.startswith("."):
            return []
        said = self._said(self.results / "evaluations" / trained)
        if said is None:
            return []
        names = self.facts["forget_sets"].fillna("").astype(str).str.split("|")
        chosen = self.facts.loc[[forget_set in own for own in names], "item"].astype(str)
        chosen = chosen[chosen.isin(said["item"].astype(str))].drop_duplicates().head(FACTS)
        own = self.texts[self.texts["item"].isin(chosen)]
        own = own.merge(said, on=["item", "language", "form"]).sort_values("form", kind="stable")
        return [
            {
                "item": _text(row.item),
                "language": _text(row.language),
                "form": int(row.form),
                "question": _text(row.prefix),
                "right": _text(row.answer),
                "said": _text(row.text),
                "kind": _text(row.kind),
            }
            for row in artifacts.rows(own)
        ]

    def of_cell(self, digest: object, trained: str, forget_set: str) -> list[Record]:
        """The same questions with the base's answers and the cell's, in the forms that cells are asked."""
        folder = self.evaluations.get(str(digest))
        base = self.base(trained, forget_set)
        if folder is None or not base:
            return []
        said = self._said(self.results / "evaluations" / "cells" / folder)
        if said is None:
            return []
        after = {(_text(r.item), _text(r.language), int(r.form)): r for r in artifacts.rows(said)}
        found = []
        for row in base:
            own = after.get((row["item"], row["language"], row["form"]))
            if own is not None:
                found.append({**row, "after": _text(own.text), "after_kind": _text(own.kind)})
        return found


def _text(value: object) -> str:
    text = "" if value is None or value != value else str(value)
    return text if len(text) <= LETTERS else text[:LETTERS] + "…"
