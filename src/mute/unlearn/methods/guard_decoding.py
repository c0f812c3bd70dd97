"""GUARD: where a router fires, tokens of the forget answers are blocked as the model writes.

Our instantiation of the text of Deng et al. 2025 (arXiv 2505.13312; an abstract and a figure): a router tells whether a
prompt asks for what is to be forgotten, the nearest forget prompt names the answers, in all source languages, and while
the model writes, tokens are masked that would complete one of them, wherever it begins (a trie), and all tokens lose
lambda max(0, cos(E_v, mean E_answer) - delta). Any detector is the router; there it is a network on the mean state, and
nearest is by the cosine of mean states. Defaults are ours. Token matching is bound to a language, the soft part may
cross: `parts`. Certainty: rebuilt. `answers: other` is the control: answers of another item, that it does not share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.models.treatment import Where
from mute.unlearn import guarding

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Task
    from mute.models.anatomy import Model
    from mute.unlearn.detectors.base import Detector

# Logit of a token that is blocked.
BLOCKED = -100.0


class Settings(guarding.Settings):
    """GUARD."""

    parts: Literal["both", "tokens", "soft"] = Field(
        "both", description="What is done: the mask, the penalty, or both."
    )
    penalty: float = Field(10.0, ge=0, description="lambda of the soft penalty.")
    margin: float = Field(0.5, ge=-1, le=1, description="delta, the cosine above which it sets in.")
    answers: Literal["own", "other"] = Field(
        "own", description="Of which item: of the nearest forget prompt's, or of another one, the control."
    )


class Decoding(guarding.Watching):
    """means [M, D] of forget prompts, at the block and from the token in `where`; owner [M] is the item of each;
    answers [A, T], filled up with -1, and whose [A] they are.
    """

    name = "guard_decoding"

    def __init__(
        self,
        detector: Detector,
        fitted: Mapping[str, Tensor],
        threshold: float,
        known: Mapping[str, Tensor],
        settings: Settings,
    ) -> None:
        super().__init__(detector, fitted, threshold)
        self.known, self.settings = {key: tensor.cpu() for key, tensor in known.items()}, settings
        self._answers: dict[tuple[int, ...], list[list[int]]] = {}
        self._losses: dict[tuple[int, ...], Tensor] = {}

    def asked(self, model: Model, prompts: Sequence[guarding.Read]) -> None:
        self._answers, self._losses = {}, {}
        super().asked(model, prompts)

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        self.judge(self.prompt(read) for read in where.read)
        rows = [row for row, read in enumerate(where.read) if self.fires(read)]
        if not rows:
            return logits
        made = logits.clone()
        self._find({self.prompt(where.read[row]) for row in rows})
        for row in rows:
            read = where.read[row]
            prompt = self.prompt(read)
            answers = self._answers[prompt]
            if self.settings.parts != "tokens":
                made[row] -= self._losses[prompt].to(made)
            if self.settings.parts != "soft":
                made[row, sorted(blocked(answers, read[len(prompt) :]))] = BLOCKED
        return made

    def _find(self, prompts: Iterable[tuple[int, ...]]) -> None:
        """Remember the answers of the forget prompt whose mean state is nearest to each."""
        from torch.nn.functional import normalize

        from mute.unlearn.detectors.probe import means

        new = sorted(own for own in prompts if own not in self._answers)
        if not new:
            return
        assert self.model is not None
        block, begin = self.known["where"].tolist()
        own = normalize(means(self.model, new, block, begin), dim=1)
        nearest = (own @ normalize(self.known["means"].double(), dim=1).T).argmax(1)
        owners = self.known["owner"][nearest]
        if self.settings.answers == "other":
            owners = (owners + 1) % (int(self.known["whose"].max()) + 1)
        for prompt, owner in zip(new, owners):
            rows = self.known["answers"][self.known["whose"] == owner]
            self._answers[prompt] = [[token for token in row if token >= 0] for row in rows.tolist()]
            if self.settings.parts != "tokens":
                self._losses[prompt] = self._penalty(self._answers[prompt])

    def _penalty(self, answers: Sequence[Sequence[int]]) -> Tensor:
        """What each token of the vocabulary loses [V]: the most that any of the answers takes."""
        import torch

        assert self.model is not None
        table = vectors(self.model)
        own = [
            soft_penalty(table, table[list(a)].mean(0), self.settings.penalty, self.settings.margin) for a in answers
        ]
        return torch.stack(own).max(0).values


class GuardDecoding(guarding.Guarding[Settings]):
    name = "guard_decoding"
    paper = "Deng et al. 2025, arXiv 2505.13312"
    Settings = Settings

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.unlearn.detectors import probe, reading

        watched, side = self.watched(task), task.forget
        prompts = guarding.prompts_of(side)
        items = sorted(set(side.items))
        where = reading.middle(task.model, None), reading.begins(side.encoder)
        said = dict.fromkeys(
            (items.index(item), *sequence[first:last])
            for item, sequence, first, last in zip(
                side.items, side.texts.sequences, side.first.tolist(), side.last.tolist()
            )
        )
        answers = torch.full((len(said), max(map(len, said)) - 1), -1)
        for row, (_, *tokens) in enumerate(said):
            answers[row, : len(tokens)] = torch.tensor(tokens)
        return {
            **watched,
            "means": probe.means(task.model, prompts.tokens, *where).float(),
            "where": torch.tensor(where),
            "owner": torch.tensor([items.index(item) for item in prompts.items]),
            "answers": answers,
            "whose": torch.tensor([owner for owner, *_ in said]),
        }

    def treatment(self, fitted: Mapping[str, Tensor]) -> Decoding:
        known = {key: fitted[key] for key in ("means", "where", "owner", "answers", "whose")}
        return Decoding(*self.watch(fitted), known, self.settings)


def blocked(answers: Iterable[Sequence[int]], written: Sequence[int]) -> set[int]:
    """Tokens that would complete an answer now, wherever in what was written it began."""
    end = list(written)
    return {own[-1] for own in answers if own and (len(own) == 1 or end[-(len(own) - 1) :] == list(own[:-1]))}


def soft_penalty(table: Tensor, answer: Tensor, penalty: float, margin: float) -> Tensor:
    """lambda max(0, cos(E_v, answer) - delta) [V], for vectors [V, D] and [D]."""
    from torch.nn.functional import cosine_similarity

    return penalty * (cosine_similarity(table, answer[None], dim=-1) - margin).clamp(min=0)


def vectors(model: Model) -> Tensor:
    """What the model reads for each token [V, D]."""
    import torch

    with torch.no_grad():
        return model.get_input_embeddings()(torch.arange(model.config.vocab_size, device=model.device))
