"""ALU-style, rule agents: an answer is audited, written anew, criticised, and put together or refused.

Sanyal and Mandal 2025 (arXiv 2502.00406) have four agents of a large model; here each is a rule, so that any model can
stand behind them. Audit: a prompt that names a subject of the list, as forget texts spell it in source languages, or on
which the detector fires. Rewrites: samples of the model after the prompt, in which no token of a forget answer occurs.
Critic: 1 for a rewrite that holds a forget answer or a subject of the list, 3 for one on which the detector fires, 5
for no trace. Composer: where the mean of the best three is at least 4 the best is said, or else a refusal. What a
prompt costs does not grow with the list. No weight changes. Certainty: code for the pipeline, ours for the rules; with
`masked` a value that is said is a guess of the model, and no claim. `critic: random` is the control.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import asking, base, guarding
from mute.unlearn.detectors import ngrams, reading

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.models.anatomy import Model
    from mute.unlearn.detectors.base import Detector


class Settings(guarding.AbstainingSettings):
    """ALU-style, rule agents."""

    rewrites: int = Field(5, ge=1, le=50, description="Samples for each prompt that the audit holds back.")
    keep: int = Field(3, ge=1, description="The best so many of them are what the composer looks at.")
    least: float = Field(4.0, ge=1, le=5, description="Mean rating from which on one is said.")
    masked: bool = Field(True, description="Whether tokens of forget answers are kept out of rewrites.")
    critic: Literal["rules", "random"] = Field("rules", description="What rates them; `random` is the control.")


class Agents(guarding.Abstaining):
    """aliases, answers: what must not be said, in small letters; table: what each token writes; forbidden: tokens.

    longest: tokens of a rewrite. calls: tokens of rewrites, one sample of each prompt counted.
    """

    name = "alu"

    def __init__(
        self,
        watch: tuple[Detector, Mapping[str, Tensor], float],
        refusal: tuple[Tensor, Tensor],
        *,
        aliases: Iterable[str],
        answers: Iterable[str],
        table: Sequence[bytes],
        forbidden: Tensor,
        begin: int,
        longest: int,
        seed: int,
        settings: Settings,
    ) -> None:
        super().__init__(*watch, *refusal)
        self.aliases, self.answers, self.table = list(aliases), list(answers), table
        self.forbidden, self.begin, self.longest = forbidden, begin, longest
        self.seed, self.settings, self.calls = seed, settings, 0
        self._composed: dict[tuple[int, ...], list[int]] = {}

    def asked(self, model: Model, prompts: Sequence[guarding.Read]) -> None:
        self._composed = {}
        super().asked(model, prompts)

    def judge(self, prompts: Iterable[guarding.Read]) -> None:
        """The audit: the detector, or a name of the list."""
        own = list(prompts)
        super().judge(own)
        if self.threshold < float("inf"):
            for prompt in map(tuple, own):
                if prompt in self._known and not self._known[prompt]:
                    self._known[prompt] = holds(self._text(prompt), self.aliases)
        # Those that are asked together are answered together: a prompt alone takes ten times as long.
        held = [key for key in dict.fromkeys(map(tuple, own)) if self._known.get(key) and key not in self._composed]
        if held and not self._judging:
            self._compose(held)

    def alarms(self, model: Model, rows: pd.DataFrame, prompts: Sequence[guarding.Read]) -> list[float] | None:
        """A name of the list is as sure as the detector can be: one more than what it may say without it."""
        own = super().alarms(model, rows, prompts)
        if own is None or math.isinf(self.threshold):
            return own
        return [
            max(alarm, 1.0) if holds(self._text(tuple(prompt)), self.aliases) else alarm
            for alarm, prompt in zip(own, prompts)
        ]

    def refusal(self, prompt: guarding.Read) -> list[int]:
        """What is said in the answer's place, composed once for each prompt."""
        key = tuple(prompt)
        if key not in self._composed:
            self._compose([key])
        return self._composed[key]

    def _compose(self, prompts: Sequence[tuple[int, ...]]) -> None:
        """What is said after each of these prompts: the best rewrite, or a refusal."""
        from mute.store.artifacts import seed_of

        seeds = [seed_of(self.seed, "alu", list(prompt)) for prompt in prompts]
        rewrites = self._rewrites(prompts, seeds)
        for prompt, found, ratings in zip(prompts, rewrites, self._ratings(prompts, rewrites, seeds)):
            _, merged = composed(ratings, self.settings.keep, self.settings.least)
            best = found[max(range(len(found)), key=ratings.__getitem__)]
            self._composed[prompt] = best if merged and best else super().refusal(prompt)

    def _rewrites(self, prompts: Sequence[tuple[int, ...]], seeds: Sequence[int]) -> list[list[list[int]]]:
        """For each prompt samples of what the model says after it, each with draws of its own."""
        import torch

        from mute.engine import writing
        from mute.store.artifacts import seed_of

        assert self.model is not None
        samples = range(self.settings.rewrites)
        asked = [(list(prompt), seed_of(seed, number)) for prompt, seed in zip(prompts, seeds) for number in samples]
        draws = [torch.Generator().manual_seed(seed) for _, seed in asked]
        said: list[list[int]] = [[] for _ in asked]

        def draw(logits: Tensor, rows: list[int]) -> Tensor:
            shares = logits.cpu()
            if self.settings.masked:
                shares[:, self.forbidden] = -torch.inf
            shares = shares.softmax(-1)
            drawn = [torch.multinomial(own, 1, generator=draws[row]) for own, row in zip(shares, rows)]
            return torch.cat(drawn).to(logits.device)

        def hear(row: int, token: int) -> bool:
            said[row].append(token)
            return len(said[row]) < self.longest

        writing.write(self.model, [prompt for prompt, _ in asked], [self.longest] * len(asked), hear, draw=draw)
        self.calls += self.longest * len(prompts)
        return [said[first : first + len(samples)] for first in range(0, len(said), len(samples))]

    def _ratings(
        self, prompts: Sequence[tuple[int, ...]], rewrites: Sequence[list[list[int]]], seeds: Sequence[int]
    ) -> list[list[float]]:
        """The critic's rating of each rewrite of each prompt, 1 to 5."""
        import torch

        if self.settings.critic == "random":
            draws = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
            return [
                torch.randint(1, 6, (len(own),), generator=draw).double().tolist() for own, draw in zip(rewrites, draws)
            ]
        assert self.model is not None
        alone = [[(*prompt[: self.begin], *said) for said in own] for prompt, own in zip(prompts, rewrites)]
        once = list(dict.fromkeys(said for own in alone for said in own))
        hits = dict(zip(once, (self.detector.scores(self.fitted, self.model, once) > self.threshold).tolist()))
        told = [*self.aliases, *self.answers]

        def rating(said: Sequence[int], read: tuple[int, ...]) -> float:
            return 1.0 if holds(self._text(said), told) else 3.0 if hits[read] else 5.0

        return [[rating(*each) for each in zip(*both)] for both in zip(rewrites, alone)]

    def _text(self, tokens: Sequence[int]) -> str:
        return ngrams.spelled([tokens], self.table)[0].casefold()


class ALU(guarding.Abstention[Settings]):
    name = "alu"
    paper = "Sanyal and Mandal 2025, arXiv 2502.00406"
    Settings = Settings

    def cost(self) -> base.Cost:
        # Of forget questions, some third of all, each rewrite reads the prompt again and writes half as much.
        return base.Cost(trains="nothing", prompts=self.detector.passes + 0.5 * self.settings.rewrites)

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        side = task.forget
        written, lengths = reading.packed(reading.letters(side.encoder))
        said = [
            own[first:last] for own, first, last in zip(side.texts.sequences, side.first.tolist(), side.last.tolist())
        ]
        aliases = sorted({subject.casefold() for subject in side.subjects if subject})
        answers = sorted({answer.strip().casefold() for _, answer, _ in side.parts})
        return {
            **super().fit(task),
            **asking.kept("aliases", aliases),
            **asking.kept("answers", answers),
            "table.written": written,
            "table.lengths": lengths,
            "forbidden": torch.tensor(sorted({token for own in said for token in own})),
            "about": torch.tensor([reading.begins(side.encoder), max(map(len, said)), task.seed]),
        }

    def treatment(self, fitted: Mapping[str, Tensor]) -> Agents:
        begin, longest, seed = fitted["about"].tolist()
        return Agents(
            self.watch(fitted),
            (fitted["texts"], fitted["voices"]),
            aliases=asking.told("aliases", fitted),
            answers=asking.told("answers", fitted),
            table=reading.unpacked(fitted["table.written"], fitted["table.lengths"]),
            forbidden=fitted["forbidden"],
            begin=begin,
            longest=longest,
            seed=seed,
            settings=self.settings,
        )


def holds(text: str, words: Iterable[str]) -> bool:
    """Whether a text holds one of the words."""
    return any(word in text for word in words)


def composed(ratings: Sequence[float], keep: int, least: float) -> tuple[float, bool]:
    """Mean of the best `keep` ratings, and whether it is high enough for a rewrite to be said."""
    best = sorted(ratings, reverse=True)[:keep]
    mean = sum(best) / len(best)
    return mean, mean >= least
