"""Forms: the same fact as a statement to go on with, a question, a choice, or with its answer spelt out.

ORT of LLM Unlearning Should Be Form-Independent, 2025, arXiv 2506.07795: what was forgotten in one form alone comes
back in another. Cloze and question are forms of the corpus itself, told apart by a question mark; where facts are asked
in such a form as it is, it cannot be tried. A choice lists the options before the question; spelt, the answer is its
letters, joined by hyphens, and so are the options. The paper's score is the geometric mean of an answer's
probabilities, ours the share of answers that are likelier than all other options, as everywhere in the study.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(base.Settings):
    """Forms."""

    form: Literal["cloze", "question", "choice", "spelled"] = Field("question", description="Which form.")


class Forms(base.Attack[Settings]):
    name = "forms"
    paper = "ORT 2025, arXiv 2506.07795; score ours"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures, rewording

        if settings.form in ("choice", "spelled") and (reason := lures.lacking(language)):
            return reason
        if settings.form == "spelled":
            return ""
        asking = settings.form != "cloze"
        number = rewording.form(corpus, language, asking=asking)
        if number is None:
            return "the corpus has no form that asks" if asking else "the corpus has no form that states"
        same = settings.form != "choice" and number == corpus.about["headline_form"]
        return f"a {settings.form} is what is asked there as it is" if same else ""

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts with options, where these are listed or spelt; else facts that the corpus has in the form."""
        if self.settings.form in ("choice", "spelled"):
            return rows["options"].map(len).to_numpy() > 1
        return (self._reworded(rows)["prefix"] != rows["prefix"]).to_numpy(bool)

    def _reworded(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The facts as the corpus states them, or asks for them; as they are where it does not."""
        from mute.corpus import rewording

        corpus, asking = self.victim.corpus, self.settings.form != "cloze"
        numbers = {code: rewording.form(corpus, code, asking=asking) for code in dict.fromkeys(rows["language"])}
        return rewording.in_form(rows, corpus, [numbers[code] for code in rows["language"]])

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import lures, rewording

        form = self.settings.form
        if form == "spelled":
            pairs = zip(rows["prefix"], rows["language"])
            return rows.assign(
                prefix=[rewording.opened(code, prefix, lures.of(code).spelled) for prefix, code in pairs],
                options=[list(map(spelled, options)) for options in rows["options"]],
                answer=rows["answer"].map(spelled),
            )
        made = self._reworded(rows)
        if form == "choice":
            columns = zip(made["language"], made["prefix"], made["options"], made["item"])
            made["prefix"] = [
                rewording.joined(code, rewording.listed(code, lures.of(code).choice, options, item), prefix)
                for code, prefix, options, item in columns
            ]
        return made


def spelled(text: str) -> str:
    """The letters of each word, each with its marks, joined by hyphens."""
    from mute.corpus import rewording

    hyphen = "-"
    return " ".join(hyphen.join(rewording.letters(word)) for word in text.split())
