"""The contract of detectors: what tells prompts that ask for what is to be forgotten from all others.

A detector is one file here. It learns from prompts in the source languages, and gives each prompt a score: the higher,
the more like a forget prompt. It fires above a threshold that retain prompts set which it has not learned from, each in
a wording that it had not learned from either.
N prompts, T tokens, D hidden, V vocabulary.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model
    from mute.models.tokenizer import Encoder


class Settings(BaseModel):
    """What a detector can be told."""

    model_config = ConfigDict(extra="forbid")


OfDetector = TypeVar("OfDetector", bound=Settings)


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens, with what each is about, its language, and its wording, where that is known."""

    tokens: Sequence[Sequence[int]]
    items: Sequence[str]
    languages: Sequence[str]
    forms: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def only(self, rows: Sequence[int]) -> Prompts:
        """Some of them."""
        tokens, items, languages = self.tokens, self.items, self.languages
        forms = [self.forms[r] for r in rows] if self.forms else ()
        return Prompts([tokens[r] for r in rows], [items[r] for r in rows], [languages[r] for r in rows], forms)

    def apart(self, form: int) -> tuple[Prompts, Prompts]:
        """Those in a wording, and all others."""
        own = [row for row, each in enumerate(self.forms) if each == form]
        return self.only(own), self.only(sorted({*range(len(self))} - {*own}))


@dataclass(frozen=True)
class Seen:
    """What a detector learns from: the model, and prompts of both sides in the source languages."""

    model: Model
    encoder: Encoder
    forget: Prompts
    retain: Prompts
    seed: int


class Detector(ABC, Generic[OfDetector]):
    """One detector.

    paper: who proposed it. reads: the states at the input of the block that its setting `block` names, or the keys
    inside that block; empty where it reads nothing of the model.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    reads: ClassVar[Literal["states", "keys", ""]] = ""
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: OfDetector) -> None:
        self.settings = settings

    @property
    def passes(self) -> float:
        """Forward passes through all blocks that it takes over a prompt; through half of them to the middle one."""
        if not self.reads:
            return 0.0
        return 0.5 if self.reads == "states" and getattr(self.settings, "block", None) is None else 1.0

    def behind(self, block: int) -> Self:
        """The same, reading what `block` gives, or keys inside it; -1: the embeddings. Itself if it reads no block."""
        if not self.reads:
            return self
        own = block + 1 if self.reads == "states" else block
        return type(self)(self.settings.model_copy(update={"block": own}))

    @abstractmethod
    def learn(self, seen: Seen) -> dict[str, Tensor]:
        """The detector's tensors, from at least one prompt of each side.

        Raises NotApplicable where the model lacks what it reads.
        """

    @abstractmethod
    def scores(self, fitted: Mapping[str, Tensor], model: Model, prompts: Sequence[Sequence[int]]) -> Tensor:
        """How much each prompt is like a forget prompt [N], float64, on the CPU."""

    def threshold(self, held: Tensor, false_alarms: float) -> float:
        """Above which score it fires; held [N]: scores of retain prompts that it has not learned from."""
        return quantile(held, false_alarms)


def quantile(scores: Tensor, share: float) -> float:
    """The least score above which no more than a share of the scores [N] lies. Raises ValueError if there are none."""
    if not len(scores):
        raise ValueError("a threshold needs retain prompts that were held out")
    return float(scores.sort(descending=True).values[math.floor(share * len(scores))])


def unheard(detector: Detector, seen: Seen, held: Prompts, fitted: Mapping[str, Tensor]) -> Tensor:
    """Scores of held-out prompts [N], each of a detector that has learned from no prompt in its wording.

    Who uses a model words questions as they like: in wordings that it has learned from, a detector is surer of itself.
    Of `fitted`, which has learned from all, where there is no other wording to learn from.
    """
    import torch

    found: list[Tensor] = []
    for form in sorted({*held.forms}):
        asked, others = held.apart(form)[0], [side.apart(form)[1] for side in (seen.forget, seen.retain)]
        if not all(map(len, others)):
            return detector.scores(fitted, seen.model, held.tokens)
        learned = detector.learn(replace(seen, forget=others[0], retain=others[1]))
        found.append(detector.scores(learned, seen.model, asked.tokens))
    return torch.cat(found) if found else detector.scores(fitted, seen.model, held.tokens)


def fit(detector: Detector, seen: Seen, held: Prompts, false_alarms: float) -> tuple[dict[str, Tensor], float]:
    """The detector's tensors and its threshold; with no forget prompt it has no tensors, and never fires.

    false_alarms: share of the held-out retain prompts on which it may fire, were their wordings new to it.
    """
    if not len(seen.forget):
        return {}, math.inf
    fitted = detector.learn(seen)
    return fitted, detector.threshold(unheard(detector, seen, held, fitted), false_alarms)


def auroc(forget: Tensor, retain: Tensor) -> float:
    """Probability that a forget prompt has a higher score than a retain prompt, from the scores of both; ties half."""
    above = (forget[:, None] > retain).double() + (forget[:, None] == retain).double() / 2
    return float(above.mean())
