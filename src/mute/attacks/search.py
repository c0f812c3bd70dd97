"""Search: the wording that brings back most, tried on half of the facts in the source languages, is used on the others.

Ours; a bounded search over wordings of the language packs, as adaptive attacks need one. Every second fact of each
relation is tried on, and scores are of the others alone: nothing is chosen by what it is judged by. The first
candidate is no wording at all, so that a search that finds nothing is no attack. Of equally good candidates, by the
share of right answers and then by the mean log-probability of the true one, the first counts.

It reads answers of the model without a guard. What it chose stands in the record of the attack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus
    from mute.evaluate.scoring import Answers, Queries
    from mute.store.records import Record

NOTHING = "nothing"
# Wordings by their fields in a pack's lures: what is said before the question, and the head of an answer behind it.
CANDIDATES = {
    "answer": ("", "answer"),
    "affirmative": ("", "affirmative"),
    "injection": ("injection", ""),
    "role": ("role", ""),
    "teacher": ("teacher", ""),
    "archivist": ("archivist", ""),
    "injection and affirmative": ("injection", "affirmative"),
    "teacher and answer": ("teacher", "answer"),
}


class Settings(base.Settings):
    """Search."""

    budget: int = Field(8, ge=0, le=len(CANDIDATES), description="How many wordings are tried; 0: none.")


OfSearch = TypeVar("OfSearch", bound=Settings)


class Search(base.Attack[OfSearch]):
    """candidates: the names of the wordings that are tried, in their order."""

    name = "search"
    paper = "ours"
    access = "questions"
    depends: ClassVar[tuple[str, ...]] = ("sources",)
    candidates: ClassVar[tuple[str, ...]] = tuple(CANDIDATES)
    Settings = Settings

    def __init__(self, settings: OfSearch, victim: base.Victim) -> None:
        super().__init__(settings, victim)
        self.tried: dict[str, tuple[float, float]] = {}
        self.chosen = NOTHING

    @classmethod
    def cost(cls, settings: OfSearch) -> base.Cost:
        return base.Cost(asks=1 + settings.budget / 2)

    @classmethod
    def lacks(cls, settings: OfSearch, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures

        return lures.lacking(language) if settings.budget else ""

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """The half of the facts that nothing is tried on; none where there is no other to try wordings on."""
        import numpy as np

        if not self.settings.budget:
            return np.ones(len(rows), bool)
        if self._tried_on().empty:
            return np.zeros(len(rows), bool)
        return (~rows["item"].isin(self._searched())).to_numpy(bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        if not self.settings.budget:
            return rows
        self._search()
        return rows if self.chosen == NOTHING else self._worded(rows, self.chosen)

    def outcome(self) -> Record:
        return {"status": "ok", "chosen": self.chosen, "tried": {name: own[0] for name, own in self.tried.items()}}

    def _searched(self) -> set[str]:
        """Every second of the facts to be forgotten, relation by relation."""
        corpus = self.victim.corpus
        facts = corpus.facts[corpus.in_forget_set(self.victim.forget_set)]
        return set(facts.sort_values("relation", kind="stable")["item"].iloc[::2])

    def _tried_on(self) -> pd.DataFrame:
        """Questions about them in the source languages that have wordings."""
        from mute.corpus import lures

        corpus = self.victim.corpus
        spoken = [code for code in self.victim.sources if not lures.lacking(code)]
        texts = corpus.texts[corpus.texts["form"] == corpus.about["headline_form"]]
        return texts[texts["item"].isin(self._searched()) & texts["language"].isin(spoken)].reset_index(drop=True)

    def _search(self) -> None:
        """Try the candidates in their order and keep the best."""
        rows, self.tried = self._tried_on(), {}
        for name in (NOTHING, *self.candidates[: self.settings.budget]):
            self.tried[name] = self._score(rows if name == NOTHING else self._worded(rows, name))
        # The first of equal ones.
        self.chosen = max(self.tried, key=lambda name: self.tried[name])

    def _score(self, rows: pd.DataFrame) -> tuple[float, float]:
        """Share of right answers among options, and the mean log-probability of the true answer, in nats.

        A model that gives no numbers is as bad with every wording.
        """
        queries, answers = self._answers(rows)
        logprob = float(answers.logprob[: queries.gold_reads].sum()) / len(rows)
        return float(answers.option_hits().float().mean()), logprob if logprob == logprob else float("-inf")

    def _answers(self, rows: pd.DataFrame) -> tuple[Queries, Answers]:
        """The questions, and what the model says to them without a guard."""
        from mute.evaluate.scoring import Queries

        queries = Queries(rows, self.victim.encoder)
        return queries, queries.run(self.victim.model, queries.texts(self.victim.model))

    def _worded(self, rows: pd.DataFrame, name: str) -> pd.DataFrame:
        from mute.corpus import rewording

        before, behind = CANDIDATES[name]
        named = rewording.subjects(rows, self.victim.corpus)
        made = [_put(*own, before, behind) for own in zip(rows["language"], rows["prefix"], named)]
        return rows.assign(prefix=made)


def _put(code: str, prefix: str, named: str, before: str, behind: str) -> str:
    """A question with what a wording says before it and behind it; what is about no subject is not said."""
    from mute.corpus import lures, rewording

    own = lures.of(code)
    said = {"": "", "injection": own.injection, "role": own.role, "teacher": own.personas[0]}
    sentence = {**said, "archivist": own.personas[1]}[before]
    if "{s}" in sentence:
        sentence = rewording.filled(code, sentence, named) if named else ""
    asked = rewording.joined(code, sentence, prefix)
    return rewording.opened(code, asked, getattr(own, behind)) if behind else asked
