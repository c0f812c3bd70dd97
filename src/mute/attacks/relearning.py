"""Relearning: training on half of the forget facts, and questions about the other half.

The attack of arXiv 2402.16835 and 2406.13356, and the hardest one of arXiv 2510.07626. Facts are parted by subject, so
that no subject is on both sides. What comes back of the other half was not taught: beside an oracle, which gains only
what training on such texts gives, it was never gone. Doses that differ in `steps` are beginnings of each other. Taught
in one language and asked in another, several of these attacks are the matrix of `mute.findings.recovery`. A published
dose for 7B is 100 steps of batch 4 at 2e-5; the defaults here are for small models.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.attacks import retraining

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus
    from mute.models.anatomy import Model

SOURCES = "sources"


class Settings(retraining.Settings):
    """Relearning."""

    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {"language": (SOURCES,)}

    batch_size: int = Field(8, ge=2, le=100_000, description="Sequences in a step.")
    language: str = Field(
        SOURCES, min_length=1, description="In which language facts are taught; `sources`: in those of unlearning."
    )
    parameters: Literal["all", "band", "rest"] = Field(
        "all", description="What is trained: every parameter, the edited band alone, or all but the band."
    )


class Relearning(retraining.Training[Settings]):
    name = "relearning"
    paper = "Lynch et al. 2024, arXiv 2402.16835; Hu et al. 2024, arXiv 2406.13356"
    depends: ClassVar[tuple[str, ...]] = ("sources", "band")
    Settings = Settings

    @classmethod
    def stands_on(cls, settings: Settings) -> tuple[str, ...]:
        return ("sources",) * (settings.language == SOURCES) + ("band",) * (settings.parameters != "all")

    @classmethod
    def applies(cls, settings: Settings, band: str, intent: str) -> str:
        if settings.parameters == "all":
            return ""
        if intent == "guard":
            return "a guard edits no block, so that there is no band to train or to leave"
        return "nothing is left beside the band" if settings.parameters == "rest" and band == "full" else ""

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        return without(settings.language, corpus)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """The half that is not taught; none where nothing can be taught."""
        return super().asks(rows) & ~rows["item"].isin(self.taught).to_numpy(bool)

    @cached_property
    def taught(self) -> set[str]:
        """Items of the half that is taught."""
        v = self.victim
        return taught_half(v.corpus, v.forget_set, v.seed)

    def rows(self) -> pd.DataFrame:
        v = self.victim
        return spoken(v.corpus, languages(self.settings.language, v.sources), self.taught)

    def trained(self, model: Model) -> list[str]:
        from mute.models import anatomy

        every = super().trained(model)
        if self.settings.parameters == "all":
            return every
        band = set(anatomy.band_parameters(model, self.victim.band))
        return [name for name in every if (name in band) == (self.settings.parameters == "band")]


def taught_half(corpus: Corpus, forget_set: str, seed: int) -> set[str]:
    """Items of the forget set whose subjects are in the half that is taught; of an odd number, the smaller one.

    A fact without a subject is parted by itself.
    """
    facts = corpus.facts[corpus.in_forget_set(forget_set)]
    subjects = facts["subject"].where(facts["subject"] != "", facts["item"])
    return set(facts["item"][subjects.isin(retraining.half(subjects, seed, "half"))])


def languages(setting: str, sources: tuple[str, ...]) -> tuple[str, ...]:
    """The languages that a setting names."""
    return sources if setting == SOURCES else (setting,)


def without(setting: str, corpus: Corpus) -> str:
    """Why nothing can be read in the language that a setting names, or ''."""
    if setting in (SOURCES, *corpus.about["languages"]):
        return ""
    return f"the corpus has no texts in {setting}, in which it would be trained"


def spoken(corpus: Corpus, codes: tuple[str, ...], items: set[str]) -> pd.DataFrame:
    """Texts of some items in some languages, in the forms that unlearning reads."""
    own = corpus.texts[corpus.texts["form"].isin(corpus.about["unlearning_forms"])]
    return own[own["language"].isin(codes) & own["item"].isin(items)]
