"""What an attack is. Adding one is adding one file to this package with a subclass of `Attack`.

An attack tries to bring back, in one victim, what was to be forgotten. It is a treatment (`mute.models.treatment`), so
it may change weights, questions, states, logits or replies. What it recovers is held against what the same attack
recovers of the base and of the oracle. Files of attacks import torch inside their functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from mute.bands import KEYS
from mute.models.treatment import POINTS, Treatment, does
from mute.names import unknown_name
from mute.registry import misspelt

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.bands import Band
    from mute.corpus.schema import Corpus
    from mute.models.anatomy import Model
    from mute.models.tokenizer import Encoder

# What an attacker must be able to do.
Access = Literal["weights", "states", "questions", "replies"]


class Settings(BaseModel):
    """What an attack can be told.

    spoken: settings that name a language, with what may stand there instead of a code; a name that no model of the
    configuration and no language pack has is an error. `blocks`, where an attack has them, are of the model.
    """

    model_config = ConfigDict(extra="forbid")
    spoken: ClassVar[Mapping[str, tuple[str, ...]]] = {}


@dataclass(frozen=True)
class Victim:
    """What is attacked: an edited or guarded model, its base, or its oracle, each with the keys of the same cell.

    band: the blocks that were edited. sources: languages that unlearning read. languages: all of the model. guards:
    what stands on it. found: of an attack that asks base and oracle as the cell (`as_cell`), what it chose there.
    """

    model: Model
    encoder: Encoder
    corpus: Corpus
    band: Band
    sources: tuple[str, ...]
    languages: tuple[str, ...]
    forget_set: str
    seed: int
    guards: tuple[Treatment, ...] = ()
    found: str | None = None


@dataclass(frozen=True)
class Cost:
    """What an attack takes, in units that the planner turns into seconds.

    asks: how often the forget questions are asked. whole: whether all blocks run for it, and not those from the band
    on. steps, batch: steps of training on every parameter, and sequences of each.
    """

    asks: float = 1.0
    whole: bool = True
    steps: int = 0
    batch: int = 0


OfAttack = TypeVar("OfAttack", bound=Settings)


class Attack(Treatment, Generic[OfAttack]):
    """One attack on one victim.

    Its questions may have a column `guess`: the share of right answers of one who never knew, where that is not one
    over the number of options. It is the floor of what comes back where no oracle is attacked beside.

    paper: who proposed it. access: what the attacker must be able to do. depends: of a cell's keys, those that the
    attack on base and oracle depends on besides model and forget set; what stands on none is computed once for all.
    as_cell: whether base and oracle are asked in what it has chosen on the cell, `chosen` of its outcome.
    metric: the name of the score; references have `_base` and `_oracle` after it.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    access: ClassVar[Access]
    depends: ClassVar[tuple[str, ...]] = ()
    as_cell: ClassVar[bool] = False
    metric: ClassVar[str] = "R"
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: OfAttack, victim: Victim) -> None:
        self.settings, self.victim = settings, victim

    @classmethod
    def cost(cls, settings: OfAttack) -> Cost:
        """What it takes with these settings, on one victim."""
        return Cost()

    @classmethod
    def applies(cls, settings: OfAttack, band: str, intent: str) -> str:
        """Why it cannot be tried on a cell of this band and intent, or ''. A cell that it cannot be is a row."""
        return ""

    @classmethod
    def lacks(cls, settings: OfAttack, corpus: Corpus, language: str) -> str:
        """What a language lacks for it, in words, or ''. It is not tried there; the plan says so."""
        return ""

    def why_not(self) -> str:
        """Why it cannot be tried on this victim, in words, or ''."""
        return ""

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of these questions it is tried on; no score is of the others.

        Of the questions and the corpus alone: a cell, its base and its oracle are asked the same.
        """
        import numpy as np

        return np.ones(len(rows), bool)

    @classmethod
    def of_base(cls, settings: OfAttack, band: str) -> bool:
        """Whether what it gives of an edit of this band is what it gives of the base, whatever the edit.

        Then the base alone is attacked, once for all edits, and the score is `<name>_base`.
        """
        return False

    @classmethod
    def stands_on(cls, settings: OfAttack) -> tuple[str, ...]:
        """Of the keys in `depends` those that the attack on base and oracle depends on with these settings."""
        return cls.depends

    @classmethod
    def faults(cls) -> Iterator[tuple[str, str]]:
        """What is wrong with it beyond the types of its attributes: the attribute, and what, in words."""
        for key in cls.depends:
            if key not in KEYS:
                yield "depends", unknown_name("key of a cell", key, KEYS)
        if not any(does(cls, point) for point in POINTS):
            hint = misspelt(cls, Attack, POINTS)
            yield "questions", f"nothing is attacked: it must override one of {', '.join(POINTS)}. {hint}".rstrip()
