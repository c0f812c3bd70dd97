"""Prompts about strangers: those of a view, with a name in the subject's place that no fact is about.

A prompt and its twin say the same in the same language and wording; what a model does otherwise on the twin is what it
does where it knows nothing. Answers are left as they were: of a twin only the prompt means anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mute.unlearn.view import View

# What a method says that needs strangers, where there are none.
NONE = "the corpus has no names of the subjects' kind that no fact is about"


def _spell(name: str, language: str) -> str:
    """A stranger's or a subject's name as a language's own letters have it."""
    from mute.corpus import languages

    return languages.load(language).spell(name) if language in languages.codes() else name


def as_told(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `subject` spelled as their prompts have it: a fact has one spelling, its tellings may have two."""
    own = [_told(*row) for row in zip(rows["subject"], rows["language"], rows["prefix"])]
    return rows if own == rows["subject"].tolist() else rows.assign(subject=own)


def _told(subject: object, language: str, prefix: str) -> object:
    if not isinstance(subject, str) or subject in prefix:
        return subject
    return native if (native := _spell(subject, language)) in prefix else subject


def twins(rows: pd.DataFrame, view: View) -> pd.DataFrame:
    """Of the rows whose prompts name a subject that has a stranger, the same with the stranger in its place.

    Each has the index of the row that it was made of.
    """
    made, index = [], []
    told = as_told(rows).assign(_fact=rows["subject"])
    for place, row in zip(told.index, told.to_dict("records")):
        subject, stranger = row["subject"], view.strangers.get(row.pop("_fact"), "")
        if stranger and subject in row["prefix"]:
            # Spelled as the subject is: in letters of its own or in Latin ones.
            name = stranger if subject in view.strangers else _spell(stranger, row["language"])
            made.append({**row, "prefix": row["prefix"].replace(subject, name), "subject": name})
            index.append(place)
    columns = {column: [row[column] for row in made] for column in rows.columns}
    return rows.iloc[:0].reindex(index).assign(**columns)
