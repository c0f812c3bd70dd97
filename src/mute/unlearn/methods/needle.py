"""Needle: unlearn through the few columns of MLPs that write the answers, and leave all else alone.

Hong et al. 2024 (ConceptVectors, arXiv 2406.11614): a column v of an MLP's output matrix is a concept's vector where
its projection E v on the output embeddings E ranks the concept's tokens first, and where the concept's questions alone
suffer without it. Noise is put on it, and a forget loss trained whose gradient is masked to it. Certainty: code.
Published for 7B: one vector a concept, noise N(0, 0.1^2), learning rate 0.1 to 0.5, one to ten epochs.

Here the concept is what is to be forgotten, and its tokens are those of the forget answers in all source languages. Of
the band's columns the `candidates` are taken that have most of these tokens among the first `top_share` of E v, and
where they have as many the largest area under the curve (AUC); of these the `columns` whose ablation raises the forget
loss most beyond the retain loss. Noise is relative to the matrix's standard deviation. `of` names the forget loss.
Random columns (`chosen: random`) are the control. On the small embedded models training them lowers the answers'
likelihood less, but the share of right options as much: there is no localised trace at that scale.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from mute.store.records import Record
from mute.unlearn import base
from mute.unlearn.wrapper import wrapped

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """Needle."""

    of: str = Field("npo", description="The method whose loss trains the columns.")
    inner: Record = Field({}, description="Settings of that method; steps, batches and rates are set here.")
    scale: float = Field(
        10.0,
        gt=0,
        description="Rates of the columns are so many times `learning_rate`: a few columns take larger steps than a "
        "whole band.",
    )
    columns: int = Field(8, ge=1, description="How many columns of the band's MLP outputs train.")
    candidates: int = Field(32, ge=1, description="Columns whose ablation is tried: those that write answers most.")
    top_share: float = Field(0.01, gt=0, le=1, description="Share of the vocabulary that counts as written first.")
    noise: float = Field(
        1.0, ge=0, description="Noise on the columns before training, in standard deviations of their matrix."
    )
    chosen: Literal["concept", "random"] = Field(
        "concept", description="Whether the concept's columns train, or as many random ones, the control."
    )

    @property
    def within(self) -> list[str]:
        return [self.of]

    @model_validator(mode="after")
    def _of_a_descent(self) -> Settings:
        inner(self.of, self.inner)
        return self


def inner(name: str, settings: Mapping[str, object]) -> base.Descent:
    """The method inside. Raises ValueError for one that is none, or trains something in the parameters' place."""
    method = wrapped(name, dict(settings))
    if type(method).trainables is not base.Descent.trainables:
        raise ValueError(f"{name!r} has a training of its own: it must be a descent on the band's own parameters")
    return method


class Needle(base.Descent[Settings]):
    name = "needle"
    paper = "Hong et al. 2024, arXiv 2406.11614"
    family = "editing"
    Settings = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.trained: list[str] = []
        self.inner = inner(settings.of, settings.inner)

    def cost(self) -> base.Cost:
        from dataclasses import replace

        own, s = self.inner.cost(), self.settings
        # Ablations read a batch of each side, forwards alone: a third of what a step takes.
        tried = s.candidates / 3 / s.steps if s.chosen == "concept" else 0.0
        return replace(own, head=True, trains="mlp_outputs", passes=own.passes + tried)

    def applies(self, view: View) -> str:
        return self.inner.applies(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return self.inner.reads(view)

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.mlp_outputs(model, band.blocks)

    def prepare(self, task: Task) -> None:
        """Find the columns, before anything has changed."""
        self.inner.prepare(task)
        self.found = self.columns(task)

    def columns(self, task: Task) -> dict[str, list[int]]:
        """By the name of its matrix, the columns that train."""
        import torch

        from mute.store.artifacts import seed_of

        names = self.parameters(task.model, task.band)
        sizes = [task.model.get_parameter(name).shape[1] for name in names]
        places = [(name, column) for name, size in zip(names, sizes) for column in range(size)]
        if self.settings.chosen == "random":
            generator = torch.Generator().manual_seed(seed_of(task.seed, "needle", "random"))
            best = torch.randperm(len(places), generator=generator)[: self.settings.columns].tolist()
        else:
            written = torch.cat([self._written(task, name) for name in names])
            first = written.argsort(descending=True, stable=True)[: self.settings.candidates].tolist()
            harm = self._ablated(task, [places[number] for number in first])
            best = [first[number] for number in sorted(range(len(first)), key=lambda n: -harm[n])]
            best = best[: self.settings.columns]
        found: dict[str, list[int]] = {name: [] for name in names}
        for name, column in (places[number] for number in sorted(best)):
            found[name].append(column)
        return found

    def _written(self, task: Task, name: str) -> Tensor:
        """How much each column of a matrix writes the answers' tokens: how many of the first, and then the AUC."""
        import torch

        head = task.model.get_output_embeddings().weight.detach()
        side = task.forget
        answers = [s[a:b] for s, a, b in zip(side.texts.sequences, side.first.tolist(), side.last.tolist())]
        concept = torch.zeros(len(head), dtype=torch.bool, device=head.device)
        concept[sorted({token for answer in answers for token in answer})] = True
        first = max(1, round(self.settings.top_share * len(head)))
        found = []
        for vectors in task.model.get_parameter(name).detach().split(CHUNK, dim=1):
            scores = head.float() @ vectors.float()
            found.append(concept[top(scores, first)].sum(0) + auc(scores, concept) / 2)
        return torch.cat(found)

    def _ablated(self, task: Task, places: list[tuple[str, int]]) -> list[float]:
        """By how much more the forget loss rises than the retain loss where each of the columns alone is zero."""
        import torch

        from mute.unlearn.losses import nll

        batches = [next(task.draws(side, self.settings.batch_size, "ablation")) for side in ("forget", "retain")]
        with torch.no_grad():
            before = [float(nll(*task.answer_logprobs(batch))) for batch in batches]
            harm = []
            for name, column in places:
                weight = task.model.get_parameter(name)
                own = weight[:, column].clone()
                weight[:, column] = 0
                now = [float(nll(*task.answer_logprobs(batch))) for batch in batches]
                weight[:, column] = own
                harm.append((now[0] - before[0]) - (now[1] - before[1]))
        return harm

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        """What is added to the columns, in the place of their matrices: it starts as noise."""
        import torch

        from mute.engine import low_rank
        from mute.store.artifacts import seed_of

        generator, scale = torch.Generator().manual_seed(seed_of(task.seed, "needle", "noise")), self.settings.scale
        starts = {}
        for name, columns in self.found.items():
            if columns:
                weight = task.model.get_parameter(name).detach()
                # An update of low rank that reaches these columns alone: what selects them never trains.
                selected = torch.eye(weight.shape[1], device=weight.device)[columns]
                drawn = torch.randn(len(weight), len(columns), generator=generator).to(weight.device)
                starts[name] = selected, self.settings.noise * float(weight.float().std()) / scale * drawn
        with low_rank.attached(task.model, starts, scale) as trained:
            self.trained = [own for own in trained if own.endswith(".b")]
            yield self.trained
        self.trained = []

    def loss(self, task: Task, batches: Mapping[str, Batch]) -> Tensor:
        import torch

        own = super().loss(task, batches)
        # Norms make a number of states that have none: where columns square to infinity, so must the loss be none.
        if all(bool(task.model.get_parameter(name).square().sum().isfinite()) for name in self.trained):
            return own
        return own * torch.nan

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        return self.inner.terms(task, batches)


# Columns that are projected at once: with a large vocabulary all of them take more room than the model.
CHUNK = 512


def top(scores: Tensor, k: int) -> Tensor:
    """The k tokens that each column of scores [V, n] puts first: [k, n]."""
    return scores.topk(k, dim=0).indices


def auc(scores: Tensor, concept: Tensor) -> Tensor:
    """Area under the curve of each column of scores [V, n] for the tokens of a concept [V]; 1: all before the others.

    Of a concept of no token, or of all of them, 1/2.
    """
    import torch

    inside = int(concept.sum())
    outside = len(concept) - inside
    if not inside or not outside:
        return torch.full((scores.shape[1],), 0.5, device=scores.device)
    ranks = scores.argsort(dim=0).argsort(dim=0).double() + 1
    return ((ranks[concept].sum(0) - inside * (inside + 1) / 2) / (inside * outside)).to(scores.dtype)
