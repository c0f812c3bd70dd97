"""ICU, in-context unlearning by instruction: before each question stands the wish to say nothing about the subjects.

The prompt of RWKU (Jin et al. 2024, arXiv 2406.10890), not to be mixed up with ICUL: the model is told to behave as if
it did not know a subject. Here it is a sentence of the language's pack for each subject to be forgotten, in the
question's language, or where unlearning may not read that one, in the first source language. Nothing is fitted, no
weight changes, and only a model that follows instructions can obey; what a small one does is disturbance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import asking, base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """ICU."""

    subjects: int = Field(8, ge=0, description="Of how many subjects at most something is said; 0: the base.")
    strengths: list[float] = Field([], description="Not used: nothing is trained.")


class ICU(base.Guard[Settings]):
    name = "icu"
    paper = "Jin et al. 2024, arXiv 2406.10890"
    bands = ("full",)
    expects = "none"
    Settings = Settings

    def cost(self) -> base.Cost:
        # What is said about each subject is longer than a question: benchmarks/results/guards.json.
        return base.Cost(trains="nothing", texts=1.7 * self.settings.subjects)

    def applies(self, view: View) -> str:
        if without := sorted(set(view.forget["language"]) - set(view.phrases)):
            return f"there is no instruction in {', '.join(without)}"
        return "" if any(map(refusals.subject, view.forget.to_dict("records"))) else "forget questions name no subject"

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": view.forget, "retain": view.retain, "instructed": instructed(view)}

    def fit(self, task: Task) -> dict[str, Tensor]:
        """texts: the instruction of each language; codes: these languages, the first source language first."""
        side = task.side("instructed")
        found: dict[str, list[str]] = {}
        for code, (prefix, _, _) in zip(side.languages, side.parts):
            own = found.setdefault(code, [])
            if prefix not in own and len(own) < self.settings.subjects:
                own.append(prefix)
        texts = [" ".join(own) for own in found.values()]
        return {**asking.kept("texts", texts), **asking.kept("codes", list(found))}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Instructing:
        return Instructing(dict(zip(asking.told("codes", fitted), asking.told("texts", fitted))))


class Instructing(asking.Before):
    """texts: by language the instruction."""

    name = "icu"

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts, self.other = dict(texts), next(iter(texts.values()), "")
        super().__init__(self._own)

    def _own(self, prefixes: Sequence[str], languages: Sequence[str]) -> list[str]:
        return [self.texts.get(code, self.other) for code in languages]


def instructed(view: View) -> pd.DataFrame:
    """The forget rows that name their subject, with the instruction about it in the question's place; sources first."""
    able = [bool(refusals.subject(row)) for row in view.forget.to_dict("records")]
    rows = view.forget[able]
    rows = rows.iloc[sorted(range(len(rows)), key=lambda i: view.sources.index(rows["language"].iloc[i]))]
    said = [view.phrases[r["language"]].instruction.format(s=refusals.subject(r)) for r in rows.to_dict("records")]
    return rows.assign(prefix=said)
