"""ECO, embedding-corrupted prompts: where a detector fires, the embeddings of the prompt are corrupted.

Liu et al. 2024 (arXiv 2406.07933). Of a prompt that asks for what is to be forgotten, the embeddings of all tokens but
the first (where it is no word) and the last are corrupted by one of the published operators; what is answered is read
as it is. The strength of noise, or of what is added, is found by zeroth-order search, s <- max(s - lr (f(s + eps) -
f(max(s - eps, 1e-8))) / (2 eps), least), until the score f of forget answers is that of one who does not know.
Published for 7B: threshold .99, N(0, 5 to 50) or the 507 to 1243 largest features (of 4096) set to zero, lr 100, eps
.1, 10 steps; the classifier is RoBERTa. Certainty: code. f is here the mean probability of an answer token, and
strengths are relative to the root mean square of an embedding's feature. `detector: ngrams` comes nearest to the
published classifier. Corruption of the subject's tokens alone is not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import guarding

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from mute.engine.band import Task
    from mute.unlearn.detectors.base import Detector

Operator = Literal[
    "noise_first_n",
    "zero_out_top_k",
    "flip_sign_top_k",
    "sub_value_top_k",
    "add_value_least_k",
    "add_value_first_n",
    "zero_out_first_n",
    "flip_sign_first_n",
    "reverse_order",
    "shuffle_order",
]
# Those that have a strength.
STRONG = ("noise_first_n", "sub_value_top_k", "add_value_least_k", "add_value_first_n")


class Settings(guarding.Settings):
    """ECO."""

    operator: Operator = Field("noise_first_n", description="What is done to the embeddings.")
    share: float = Field(1.0, gt=0, le=1, description="Share of the features that it is done to, n or k of D.")
    sigma: float | None = Field(
        None,
        ge=0,
        description="Of the noise, or what is added, in root mean squares of a feature; null: it is searched.",
    )
    start: float = Field(1.0, gt=0, description="Where the search begins.")
    rate: float = Field(20.0, gt=0, description="lr of the search.")
    epsilon: float = Field(0.1, gt=0, description="eps of the search.")
    least: float = Field(0.1, gt=0, description="The least strength that it tries.")
    tries: int = Field(10, ge=1, description="Steps of the search, at most.")
    target: float = Field(0.1, gt=0, lt=1, description="Score of forget answers at which it ends.")


class Corrupted(guarding.Watching):
    """operator on a share of the features at a strength; begin: tokens that stand before every text.

    What is drawn depends on `seed` and on a prompt's length alone.
    """

    name = "eco"

    def __init__(
        self,
        detector: Detector,
        fitted: Mapping[str, Tensor],
        threshold: float,
        *,
        operator: Operator,
        share: float,
        strength: float,
        begin: int,
        seed: int,
    ) -> None:
        super().__init__(detector, fitted, threshold)
        self.operator, self.share, self.strength = operator, share, strength
        self.begin, self.seed = begin, seed

    def embeddings(self, embedded: Tensor, ids: Tensor) -> Tensor:
        import torch

        rows = ids.tolist()
        self.judge(self.prompt(read) for read in rows)
        found = [(row, len(self.prompt(read))) for row, read in enumerate(rows) if self.fires(read)]
        if not found:
            return embedded
        made, features = embedded.clone(), max(1, round(self.share * embedded.shape[-1]))
        for row, length in found:
            mask = torch.zeros(length, dtype=torch.bool, device=embedded.device)
            mask[self.begin : length - 1] = True
            own = embedded[row, :length]
            generator = torch.Generator().manual_seed(self.seed)
            made[row, :length] = corrupt(own, mask, self.operator, features, self.strength, generator)
        return made


class ECO(guarding.Guarding[Settings]):
    name = "eco"
    paper = "Liu et al. 2024, arXiv 2406.07933"
    Settings = Settings

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.unlearn.detectors import reading

        s, embedding = self.settings, task.model.get_input_embeddings()
        with torch.no_grad():
            size = float(embedding(task.forget.texts.ids).float().square().mean().sqrt())
        begin = reading.begins(task.forget.encoder)
        strength = s.sigma
        if strength is None:
            strength = self._searched(task, size, begin) if s.operator in STRONG else 0.0
        about = {
            "strength": torch.tensor([strength * size], dtype=torch.float64),
            "begin": torch.tensor([begin, task.seed]),
        }
        return {**self.watched(task), **about}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Corrupted:
        begin, seed = fitted["begin"].tolist()
        return self._at(self.watch(fitted), float(fitted["strength"][0]), begin, seed)

    def _at(
        self, watch: tuple[Detector, Mapping[str, Tensor], float], strength: float, begin: int, seed: int
    ) -> Corrupted:
        s = self.settings
        return Corrupted(*watch, operator=s.operator, share=s.share, strength=strength, begin=begin, seed=seed)

    def _searched(self, task: Task, size: float, begin: int) -> float:
        """The strength at which forget answers are as good as unknown, with every forget prompt corrupted."""
        import torch

        from mute.engine import sections
        from mute.engine.band import each
        from mute.models import treatment
        from mute.unlearn.beside import answer_logits

        s, side = self.settings, task.forget
        prompts = guarding.prompts_of(side).tokens

        def score(strength: float) -> float:
            own = self._at((self.detector, {}, -math.inf), strength * size, begin, task.seed)
            with treatment.installed(task.model, [own], plain=False), torch.no_grad():
                own.asked(task.model, prompts)
                batches = (side.batch(torch.tensor(rows), states=False) for rows in side.texts.batches)
                found = [each(answer_logits(task.model, batch, sections.depth(task.model)), batch) for batch in batches]
            return float(torch.cat(found).exp().mean())

        return search(score, s.start, s.rate, s.epsilon, s.least, s.tries, s.target)[-1]


def search(
    score: Callable[[float], float],
    start: float,
    rate: float,
    epsilon: float,
    least: float,
    tries: int,
    target: float,
) -> list[float]:
    """Strengths after each step of the zeroth-order search: at least one, and no more where the score is reached."""
    found, strength = [], start
    for _ in range(tries):
        higher, lower = score(strength + epsilon), score(max(strength - epsilon, 1e-8))
        strength = max(strength - rate * (higher - lower) / (2 * epsilon), least)
        found.append(strength)
        if score(strength) <= target:
            break
    return found


def corrupt(
    embedded: Tensor, mask: Tensor, operator: Operator, features: int, strength: float, generator: Generator
) -> Tensor:
    """Embeddings [T, D] with those in `mask` [T] corrupted on so many features; of the others none is changed.

    generator: on the CPU, for what is drawn. Raises ValueError for an operator that is not known.
    """
    import torch

    size, width = embedded.shape
    order, own = torch.arange(size), mask.cpu().nonzero()[:, 0]
    if operator == "reverse_order":
        # As published: the last of those that are corrupted stays where it is.
        order[own[:-1]] = own[:-1].flip(0)
        made = embedded[order.to(embedded.device)]
    elif operator == "shuffle_order":
        order[own] = own[torch.randperm(len(own), generator=generator)]
        made = embedded[order.to(embedded.device)]
    elif operator == "noise_first_n":
        noise = torch.zeros(size, width, dtype=embedded.dtype)
        noise[:, :features] = strength * torch.randn(size, features, generator=generator).to(noise)
        made = embedded + noise.to(embedded.device)
    else:
        # The last two words say which features, those before what is done.
        change = CHANGES[operator.rsplit("_", 2)[0]]
        made = embedded.where(~_chosen(embedded, operator, features), change(embedded, strength))
    return made.where(mask[:, None], embedded)


# What is done to a feature.
CHANGES: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "zero_out": lambda own, strength: own * 0,
    "flip_sign": lambda own, strength: -own,
    "sub_value": lambda own, strength: own - strength,
    "add_value": lambda own, strength: own + strength,
}


def _chosen(embedded: Tensor, operator: str, features: int) -> Tensor:
    """Which features of each token are changed [T, D]: the first ones, the largest or the smallest."""
    import torch

    if operator.endswith("first_n"):
        return (torch.arange(embedded.shape[1], device=embedded.device) < features).expand_as(embedded)
    own = embedded.abs().topk(features, dim=-1, largest=operator.endswith("top_k")).indices
    return torch.zeros_like(embedded, dtype=torch.bool).scatter(1, own, True)
