"""What guards share that act where a detector fires: how it is chosen, fitted and kept, and what it has said.

A guard decides once for each prompt, before anything is answered. B sequences, T tokens, N predictions, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field, model_validator

from mute.models.treatment import Treatment, Where
from mute.store.records import Record
from mute.unlearn import base, detectors, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task, TextSet
    from mute.models.anatomy import Model
    from mute.unlearn.detectors.base import Detector, Prompts
    from mute.unlearn.view import View

Read = Sequence[int]
# One of so many retain facts is kept from the detector, for its threshold.
HELD_OUT = 3
# Logit of every token but the one that is said, whose own is 0: in float32 nothing is left of the others.
NEVER = -100.0
_OWN = "detector."


class Settings(base.Settings):
    """What every guard with a detector can be told."""

    detector: str = Field("probe", description="What tells forget prompts from others: a detector's name.")
    detector_settings: Record = Field({}, description="Settings of the detector.")
    false_alarms: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Share of held-out retain prompts, in source languages, each in a wording that was not learned "
        "from, on which it may fire.",
    )
    strengths: list[float] = Field([], description="Not used: the guard is fitted, not trained in steps.")

    @model_validator(mode="after")
    def _of_a_detector(self) -> Settings:
        detectors.make(self.detector, self.detector_settings)
        return self


class Watching(Treatment):
    """A treatment that knows of each prompt whether its detector fires on it.

    threshold: the score above which it fires; infinite: it never does, and the model is the base; -infinite: always.
    """

    def __init__(self, detector: Detector, fitted: Mapping[str, Tensor], threshold: float) -> None:
        self.detector, self.fitted, self.threshold = detector, fitted, threshold
        self.model: Model | None = None
        self.prompts: dict[tuple[int, ...], bool] = {}
        self._known: dict[tuple[int, ...], bool] = {}
        self._lengths: list[int] = []
        self._judging = False

    def asked(self, model: Model, prompts: Sequence[Read]) -> None:
        self.model, self._known, self._lengths, self.prompts = model, {}, [], {}
        self.judge(prompts)
        self.prompts = dict(self._known)
        # The longest first: of two prompts of which one begins the other, it is the one that was asked.
        self._lengths = sorted({len(prompt) for prompt in self.prompts}, reverse=True)

    def prompt(self, read: Read) -> tuple[int, ...]:
        """The prompt that the tokens read began with; where none is known, all of them."""
        found = (own for length in self._lengths if (own := tuple(read[:length])) in self.prompts)
        return next(found, tuple(read))

    def fires(self, read: Read) -> bool:
        """Whether the detector fires on the prompt that the tokens read began with."""
        if self._judging:
            return False
        prompt = self.prompt(read)
        self.judge([prompt])
        return self._known[prompt]

    def alarms(self, model: Model, rows: pd.DataFrame, prompts: Sequence[Read]) -> list[float] | None:
        if math.isinf(self.threshold):
            return [-self.threshold] * len(prompts)
        with self.off():
            scores = self.detector.scores(self.fitted, model, list(map(tuple, prompts)))
        return (scores - self.threshold).tolist()

    @contextmanager
    def off(self) -> Generator[None]:
        """While open it fires on nothing, and the model is as it is without it."""
        before, self._judging = self._judging, True
        try:
            yield
        finally:
            self._judging = before

    def judge(self, prompts: Iterable[Read]) -> None:
        """Ask the detector of those that it has not been asked of; the model is as it is without this treatment."""
        new = [own for own in dict.fromkeys(map(tuple, prompts)) if own not in self._known]
        if not new or self._judging:
            return
        if math.isinf(self.threshold):
            self._known.update(dict.fromkeys(new, self.threshold < 0))
            return
        if self.model is None:
            raise RuntimeError(f"{self.name} has not been told which model it guards: install it first")
        with self.off():
            scores = self.detector.scores(self.fitted, self.model, new)
        self._known.update(zip(new, (scores > self.threshold).tolist()))


OfGuarding = TypeVar("OfGuarding", bound=Settings)


class Guarding(base.Guard[OfGuarding]):
    """A guard that acts where its detector fires. Guards add tensors of their own to those of `watched`."""

    bands: ClassVar[tuple[str, ...]] = ("full",)
    Settings: ClassVar[type[base.Told]] = Settings

    def cost(self) -> base.Cost:
        return base.Cost(trains="nothing", prompts=self.detector.passes)

    def watched(self, task: Task) -> dict[str, Tensor]:
        """The detector's tensors, and its threshold [1], learned from the prompts of both sides."""
        import torch

        from mute.unlearn.detectors.base import Seen, fit

        forget, retain = prompts_of(task.forget), prompts_of(task.retain)
        languages = set(forget.languages)
        own = [row for row, code in enumerate(retain.languages) if code in languages]
        facts = [row for row in own if retain.items[row]] or own
        if not facts:
            raise base.NotApplicable("there is no retain text in the source languages that a detector could learn from")
        learned, held = apart(retain.only(facts), task.seed)
        seen = Seen(task.model, task.forget.encoder, forget, learned, task.seed)
        tensors, threshold = fit(self.detector, seen, held, self.settings.false_alarms)
        return {_OWN + key: own for key, own in tensors.items()} | {
            "threshold": torch.tensor([threshold], dtype=torch.float64)
        }

    @property
    def detector(self) -> Detector:
        return detectors.make(self.settings.detector, self.settings.detector_settings)

    def watch(self, fitted: Mapping[str, Tensor]) -> tuple[Detector, dict[str, Tensor], float]:
        """What `Watching` is made of."""
        own = {key.removeprefix(_OWN): tensor for key, tensor in fitted.items() if key.startswith(_OWN)}
        return self.detector, own, float(fitted["threshold"][0])


def prompts_of(side: TextSet) -> Prompts:
    """The prompts of a side, each once."""
    from mute.unlearn.detectors.base import Prompts

    cut = [tuple(own[:first]) for own, first in zip(side.texts.sequences, side.first.tolist())]
    rows = list({own: row for row, own in reversed(list(enumerate(cut)))}.values())[::-1]
    return Prompts(cut, side.items, side.languages, side.forms).only(rows)


def apart(prompts: Prompts, seed: int) -> tuple[Prompts, Prompts]:
    """Prompts to learn from and those that are held out, apart by item; both are all if there is one item alone."""
    from mute.store.artifacts import seed_of

    items = sorted(set(prompts.items), key=lambda item: seed_of(seed, "held out", item))
    out = set(items[: len(items) // HELD_OUT])
    if not out:
        return prompts, prompts
    held = [row for row, item in enumerate(prompts.items) if item in out]
    learned = [row for row, item in enumerate(prompts.items) if item not in out]
    return prompts.only(learned), prompts.only(held)


class Abstaining(Watching):
    """Where its detector fires, a refusal is as good as certain, token by token; off its path nothing is said.

    texts [K, T]: the refusal of each source language, filled up with -1; voices [K, V]: which tokens its prompts hold.
    A prompt is refused in the source language that shares most of its tokens.
    """

    name = "abstaining"

    def __init__(
        self,
        detector: Detector,
        fitted: Mapping[str, Tensor],
        threshold: float,
        texts: Tensor,
        voices: Tensor,
    ) -> None:
        super().__init__(detector, fitted, threshold)
        self.said = [[token for token in own if token >= 0] for own in texts.tolist()]
        self.voices = voices.cpu()

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        self.judge(self.prompt(read) for read in where.read)
        rows = [row for row, read in enumerate(where.read) if self.fires(read)]
        if not rows:
            return logits
        made = logits.clone()
        for row in rows:
            made[row] = 0.0
            token = self.next(where.read[row])
            if token is not None:
                made[row] = NEVER
                made[row, token] = 0.0
        return made

    def next(self, read: Read) -> int | None:
        """The token of the refusal that comes next; None where something else has been said, or all of it."""
        prompt = self.prompt(read)
        said, own = list(read[len(prompt) :]), self.refusal(prompt)
        return own[len(said)] if len(said) < len(own) and own[: len(said)] == said else None

    def refusal(self, prompt: Read) -> list[int]:
        """The refusal of the source language that shares most tokens with the prompt."""
        return self.said[int(self.voices[:, sorted(set(prompt))].long().sum(1).argmax())]


class AbstainingSettings(Settings):
    """What every guard that abstains can be told."""

    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)


OfAbstaining = TypeVar("OfAbstaining", bound=AbstainingSettings)


class Abstention(Guarding[OfAbstaining]):
    """A guard that refuses where its detector fires."""

    Settings: ClassVar[type[base.Told]] = AbstainingSettings

    def applies(self, view: View) -> str:
        return refusals.lacking(view, self.settings.refusal)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        refused = refusals.refused(view, view.forget, self.settings.refusal)
        return {"forget": view.forget, "retain": view.retain, "refused": refused}

    def fit(self, task: Task) -> dict[str, Tensor]:
        return {**self.watched(task), **refusal_tensors(task)}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Abstaining:
        return Abstaining(*self.watch(fitted), fitted["texts"], fitted["voices"])


def refusal_tensors(task: Task) -> dict[str, Tensor]:
    """texts [K, T] and voices [K, V] of `Abstaining`, from the side `refused`: one refusal of each language."""
    import torch

    side = task.side("refused")
    languages = sorted(set(side.languages))
    rows = [side.languages.index(code) for code in languages]
    said = [side.texts.sequences[row][int(side.first[row]) : int(side.last[row])] for row in rows]
    texts = torch.full((len(said), max(map(len, said))), -1)
    voices = torch.zeros(len(languages), task.model.config.vocab_size, dtype=torch.uint8)
    for place, own in enumerate(said):
        texts[place, : len(own)] = torch.tensor(own)
    for sequence, first, code in zip(side.texts.sequences, side.first.tolist(), side.languages):
        voices[languages.index(code), sequence[:first]] = 1
    return {"texts": texts, "voices": voices}
