"""Refusals and vague answers in the place of the answers of texts, in the language of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

    from mute.unlearn.view import View

# The corpus's own word for what nobody knows, which models of the fictional world were taught; or a sentence of the
# language's pack, which they were not.
Kind = Literal["unknown", "sentences"]
KIND = (
    "What is said in an answer's place: the corpus's own word for what nobody knows (`unknown`), or a sentence of the "
    "language's pack (`sentences`); null: the word where the corpus has one in every language, else a sentence."
)


def chosen(view: View, kind: Kind | None, languages: Iterable[str] | None = None) -> Kind:
    """The kind, or where it is None the word, if the corpus has one in all these languages (default: of forget)."""
    if kind is not None:
        return kind
    own = set(view.forget["language"]) if languages is None else set(languages)
    return "unknown" if own <= set(view.unknown) else "sentences"


def lacking(view: View, kind: Kind | None, languages: Iterable[str] | None = None) -> str:
    """Why texts in these languages (default: of forget) cannot be refused so, with the languages named; '': they can.

    A reason as `Method.applies` gives it.
    """
    own = sorted(set(view.forget["language"]) if languages is None else set(languages))
    kind = chosen(view, kind, own)
    without = [code for code in own if code not in (view.unknown if kind == "unknown" else view.phrases)]
    if not without:
        return ""
    what = "the corpus has no word for unknown" if kind == "unknown" else "there are no refusals"
    return f"{what} in {', '.join(without)}"


def refused(view: View, rows: pd.DataFrame, kind: Kind | None = None) -> pd.DataFrame:
    """The rows of texts, each with a refusal in its language in the place of its answer.

    Which wording is a draw by item, the same in all languages.
    """
    kind = chosen(view, kind, set(rows["language"]))
    if kind == "unknown":
        return replaced(rows, lambda item, language: view.unknown[language])
    return replaced(rows, lambda item, language: _drawn("refusal", item, view.phrases[language].refusals))


def vague(view: View, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of texts, each with a sentence in its language that names no value in the place of its answer."""
    return replaced(rows, lambda item, language: _drawn("vague", item, view.phrases[language].vague))


def replaced(rows: pd.DataFrame, say: Callable[[str, str], str]) -> pd.DataFrame:
    """The rows with what is said, of item and language, in the place of the answer: in their order, one for each.

    No option is gold. A sentence ends its text: its own final mark is not said twice, and what followed the answer is
    gone, if it was more than that mark.
    """
    said = [say(*pair) for pair in zip(rows["item"].fillna(""), rows["language"])]
    parts = [_ended(text, suffix) for text, suffix in zip(said, rows["suffix"])]
    return rows.assign(answer=[answer for answer, _ in parts], suffix=[suffix for _, suffix in parts], gold=-1)


def _ended(text: str, suffix: str) -> tuple[str, str]:
    """Answer and suffix."""
    mark = text[-1]
    if not unicodedata.category(mark).startswith("P"):
        return text, suffix
    after = suffix.strip()
    return (text[:-1], suffix) if after == mark else (text, suffix if not after else "")


def _drawn(what: str, item: str, wordings: tuple[str, ...]) -> str:
    from mute.store.artifacts import seed_of

    return wordings[seed_of(what, item) % len(wordings)]


def subject(row: dict) -> str:
    """The subject of a row as its prompt spells it; '' where it names none, or in letters that nobody can know."""
    from mute.corpus import languages

    own, prefix, code = str(row.get("subject") or ""), row["prefix"], row["language"]
    if own and own in prefix:
        return own
    try:
        spelled = languages.load(code).spell(own) if own and code in languages.codes() else ""
    except KeyError:
        return ""  # no invented name, and no spelling by syllables
    return spelled if spelled and spelled in prefix else ""
