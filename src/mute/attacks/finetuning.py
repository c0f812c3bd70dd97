"""Benign fine-tuning: training on text that says nothing of what was forgotten, in one language or in the sources.

After arXiv 2510.07626 and 2402.16835: how shallow a change is. Every text that has a forget subject or a forget answer
in it, in letters of the languages that are read, is left out, so that nothing of the forget set can be learnt here.
With one held-out language it asks whether knowledge comes back in the others. A published dose for 7B is 250 steps of
batch 32 at 2e-5; the defaults here are for small models.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.attacks import relearning, retraining

if TYPE_CHECKING:
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(retraining.Settings):
    """Benign fine-tuning."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"language": (relearning.SOURCES,)}

    batch_size: int = Field(32, ge=2, le=100_000, description="Sequences in a step.")
    language: str = Field(
        relearning.SOURCES, min_length=1, description="In which language it trains; `sources`: in those of unlearning."
    )
    text: Literal["sentences", "retain"] = Field(
        "sentences", description="Sentences that state no fact, or facts that unlearning was to keep."
    )


class Finetuning(retraining.Training[Settings]):
    name = "finetuning"
    paper = "Microscope 2025, arXiv 2510.07626; Lynch et al. 2024, arXiv 2402.16835"
    depends: ClassVar[tuple[str, ...]] = ("sources",)
    Settings = Settings

    @classmethod
    def stands_on(cls, settings: Settings) -> tuple[str, ...]:
        return cls.depends if settings.language == relearning.SOURCES else ()

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        if reason := relearning.without(settings.language, corpus):
            return reason
        if settings.text == "retain" or (corpus.lines["ability"] == "sentences").any():
            return ""
        return "the corpus has no sentences without facts, on which it would be trained"

    def rows(self) -> pd.DataFrame:
        return self.benign

    @cached_property
    def benign(self) -> pd.DataFrame:
        """The texts that it trains on."""
        v = self.victim
        codes = relearning.languages(self.settings.language, v.sources)
        return benign(v.corpus, codes, v.forget_set, self.settings.text)


def benign(corpus: Corpus, codes: tuple[str, ...], forget_set: str, kind: str) -> pd.DataFrame:
    """Texts in some languages that say nothing of the forget set: `sentences` that models read, or `retain` facts."""
    if kind == "retain":
        rows = retraining.retain_rows(corpus, codes, forget_set)
    else:
        lines = corpus.lines
        told = (lines["ability"] == "sentences") & lines["train"].astype(bool)
        rows = lines[told & lines["language"].isin(codes)]
    words = forgotten_words(corpus, codes, forget_set)
    return rows[[not any(word in text for word in words) for text in whole(rows)]]


def whole(rows: pd.DataFrame) -> list[str]:
    """Each text as one, in small letters."""
    return (rows["prefix"] + rows["answer"] + rows["suffix"]).str.casefold().tolist()


def forgotten_words(corpus: Corpus, codes: tuple[str, ...], forget_set: str) -> set[str]:
    """Names of the forget subjects as their texts spell them, and the forget answers, in small letters.

    Looked for as letters, not as words: too much is left out rather than too little, and some scripts have no spaces.
    """
    from mute.unlearn import refusals

    facts = corpus.facts[corpus.in_forget_set(forget_set)]
    named = facts.set_index("item")["subject"]
    own = corpus.texts[corpus.texts["item"].isin(facts["item"]) & corpus.texts["language"].isin(codes)]
    told = own.assign(subject=own["item"].map(named)).to_dict("records")
    words = {*named, *own["answer"], *(refusals.subject(row) for row in told)}
    return {word.casefold() for word in words if word.strip()}
