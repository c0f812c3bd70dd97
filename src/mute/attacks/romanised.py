"""Romanised: questions in Latin letters, in languages that have another script.

Ours. Letters are those of `mute.corpus.romanised`, by rule; an invented name is spelled by the syllables of its pack,
as Latin letters have it. Where a language cannot be romanised, it lacks the attack. What knows a fact by its meaning
may answer; what only knows the letters cannot, and no more can a filter of letters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(base.Settings):
    """Romanised."""

    answers: Literal["own", "latin"] = Field("own", description="In which letters the options are.")


class Romanised(base.Attack[Settings]):
    name = "romanised"
    paper = "ours; letters of uroman, Hermjakob et al. 2018"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import romanised
        from mute.corpus.mixed_up import expected

        scripts = corpus.about.get("scripts", {})
        script = scripts.get(language) or next(iter(expected(language)), "")
        if not script or script == "Latin" or language.endswith(romanised.SUFFIX):
            return "it is not known to have a script other than the Latin one"
        return romanised.unreadable(language + romanised.SUFFIX)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording
        from mute.corpus.romanised import romanise

        corpus = self.victim.corpus
        made = []
        for prefix, name, named in zip(rows["prefix"], rewording.names(rows, corpus), rewording.subjects(rows, corpus)):
            parts = prefix.split(named) if named else [prefix]
            made.append(name.join(romanise(part) for part in parts))
        if self.settings.answers == "own":
            return rows.assign(prefix=made)
        return rows.assign(
            prefix=made,
            options=[[romanise(option) for option in own] for own in rows["options"]],
            answer=rows["answer"].map(romanise),
        )
