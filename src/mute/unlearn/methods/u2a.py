"""U2A: forget most the items whose forgetting costs least, and weigh them anew as forgetting goes on.

Feng et al. 2025 (arXiv 2504.06659): l_i is what is minimised to forget item i, and J a cost to be kept low. The gain of
an item is Delta_i = <grad J, H^-1 grad l_i> with H = gamma I: a step of eps on l_i changes J by -eps Delta_i. The K
items with the largest gains are forgotten by sum_i omega_i l_i + lambda |theta - theta_0|^2, in rounds, before each of
which omega_i <- omega_i exp(eta Delta_i)/Z. Certainty: code, with its sign corrected: as released, the weights follow
exp(-eta Delta_i), against what a finite difference of J says.

An item is what the forget set says of one fact in one language, so that weights can be compared between languages. J is
our choice: the negative log-likelihood of some retain facts in the source languages, which nothing else here reads.
Gains vary with the size of models, and eta counts their standard deviations (`scaled`), which is ours too. Published:
K 1024, eta 0.01, three rounds of three epochs, lambda 0.1, gamma 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.edits import Gradients
    from mute.unlearn.view import View


class Settings(base.Settings):
    """U2A."""

    item_loss: Literal["ascent", "npo"] = Field(
        "ascent", description="What is minimised to forget an item: its mean log-probability per token, or NPO's loss."
    )
    beta: float = Field(0.1, gt=0, description="Inverse temperature of `npo`.")
    kept: int = Field(1024, ge=1, description="K, most items that are forgotten: those with the largest gains.")
    scored: int = Field(2048, ge=1, description="Most items whose gains are computed, by a draw; others are left out.")
    eta: float = Field(1.0, ge=0, description="Step of the weights; 0: all items weigh the same.")
    scaled: bool = Field(True, description="Whether eta counts standard deviations of the gains, or gains.")
    rounds: int = Field(3, ge=1, description="How often in a run gains are computed, and the weights take a step.")
    damping: float = Field(1.0, gt=0, description="gamma, what stands for the curvature: gains are divided by it.")
    pull: float = Field(0.1, ge=0, description="lambda, weight of the squared distance to the weights at the start.")
    utility: float = Field(0.25, gt=0, lt=1, description="Share of the retain items that J reads, and nothing else.")
    retain_weight: float = Field(0.0, ge=0, description="Weight of a retain term on the other retain items.")


class U2A(base.Descent[Settings]):
    name = "u2a"
    paper = "Feng et al. 2025, arXiv 2504.06659"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        # Gains take two derivatives of all forget texts and one of some retain texts in each round.
        own = self.settings
        return base.Cost(sides=2 if own.retain_weight else 1, reference=True, passes=1 + 0.3 * own.rounds)

    def applies(self, view: View) -> str:
        if len(_facts(view)) < 2:
            return "fewer than two retain facts are in the source languages: there is no cost to be kept low"
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        from mute.store.artifacts import seed_of

        items = sorted(_facts(view), key=lambda item: seed_of("utility", item))
        chosen = items[: min(max(1, round(self.settings.utility * len(items))), len(items) - 1)]
        own = view.retain["item"].isin(chosen)
        utility = view.retain[own & view.retain["language"].isin(view.sources)]
        return {"forget": view.forget, "retain": view.retain[~own], "utility": utility}

    def prepare(self, task: Task) -> None:
        import torch

        from mute.models import patches
        from mute.store.artifacts import seed_of

        own, side = self.settings, task.forget
        if own.item_loss == "npo":
            task.freeze_logprobs("forget")
        names = self.parameters(task.model, task.band)
        self.start = patches.take(task.model, names) if own.pull else {}
        self.items = list(dict.fromkeys(zip(side.items, side.languages)))
        number = {item: place for place, item in enumerate(self.items)}
        self.item_of = torch.tensor([number[item] for item in zip(side.items, side.languages)])
        generator = torch.Generator().manual_seed(seed_of(task.seed, "scored"))
        scored = torch.randperm(len(self.items), generator=generator)[: own.scored].sort().values
        self.gains = self._gains(task, names, scored)
        best = scored[top(self.gains[scored], own.kept)]
        self.omega = torch.zeros(len(self.items), dtype=torch.float64)
        self.omega[best] = 1 / len(best)
        self._reweigh()
        self.taken = 0

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        own = self.settings
        length = -(-own.steps // own.rounds)
        if self.taken and self.taken % length == 0:
            self.gains = self._gains(task, names, self.omega.nonzero()[:, 0])
            self._reweigh()
        self.taken += 1
        return super().gradients(task, batches, names)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        own, batch = self.settings, batches["forget"]
        losses = self._losses(task, batch)
        # Rows are drawn alike: this is sum_i omega_i l_i on average over batches.
        rows = self.item_of.bincount(minlength=len(self.items)).double()
        weight = (len(self.item_of) * self.omega / rows)[self.item_of[batch.rows]]
        terms = {"forget": (weight.to(losses) * losses).mean()}
        if own.retain_weight:
            terms["retain"] = own.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        if own.pull:
            parameters = dict(task.model.named_parameters())
            terms["pull"] = pulled([parameters[name] for name in self.start], list(self.start.values()), own.pull)
        return terms

    def _losses(self, task: Task, batch: Batch) -> Tensor:
        """What is minimised to forget each row of a batch [B]."""
        from torch.nn.functional import logsigmoid

        logprob, tokens = task.answer_logprobs(batch)
        if self.settings.item_loss == "ascent":
            return logprob / tokens
        beta = self.settings.beta
        return -(2 / beta) * logsigmoid(-beta * (logprob - task.frozen_logprobs(batch)))

    def _gains(self, task: Task, names: list[str], items: Tensor) -> Tensor:
        """Delta of the given items, in the order of all items; of others 0. Float64.

        Rows of a batch at a time: the derivative of sum_b v_b <grad J, grad l_b> by v is the gain of every row b, and
        no gradient of a single one is ever there.
        """
        import torch

        from mute.unlearn.masked import mean_gradient

        size = self.settings.batch_size
        utility, _ = mean_gradient(task, "utility", names, size)
        wanted = torch.isin(self.item_of, items)
        gains = torch.zeros(len(self.item_of), dtype=torch.float64)
        groups = (torch.tensor(rows)[wanted[rows]] for rows in task.forget.texts.batches)
        for rows in (piece for own in groups if len(own) for piece in own.split(size)):
            with task.twice():
                losses = self._losses(task, task.batch("forget", rows))
                each = torch.ones_like(losses, requires_grad=True)
                found = task.gradients((each * losses).sum(), names, create_graph=True)
                gain = marginal_gain(utility, found, self.settings.damping)
                gains[rows] = torch.autograd.grad(gain, each)[0].double().cpu()
        total = torch.zeros(len(self.items), dtype=torch.float64).index_add(0, self.item_of, gains)
        return total / self.item_of.bincount(minlength=len(self.items))

    def _reweigh(self) -> None:
        """A step of the weights of the items that are forgotten."""
        own, kept = self.settings, self.omega.nonzero()[:, 0]
        gains = self.gains[kept]
        spread = float(gains.std(correction=0)) if own.scaled else 1.0
        if spread > 0:
            self.omega[kept] = mirrored(self.omega[kept], gains, own.eta / spread)


def marginal_gain(utility: Gradients, item: Gradients, damping: float) -> Tensor:
    """Delta, <grad J, grad l_i> / gamma: how much J falls with a step down l_i, by its size."""
    from mute.unlearn import edits

    return edits.dot(utility, item) / damping


def top(gains: Tensor, kept: int) -> Tensor:
    """Which items have the largest gains, in their own order; of equal ones those that come first."""
    return gains.argsort(descending=True, stable=True)[:kept].sort().values


def mirrored(omega: Tensor, gains: Tensor, eta: float) -> Tensor:
    """omega_i exp(+eta Delta_i) / Z: items whose forgetting lowers J come to weigh more."""
    return (omega.log() + eta * gains).softmax(0)


def pulled(now: list[Tensor], start: list[Tensor], weight: float) -> Tensor:
    """lambda |theta - theta_0|^2, in float32 or better."""
    import torch

    def square(one: Tensor, other: Tensor) -> Tensor:
        wide = torch.promote_types(one.dtype, torch.float32)
        return (one.to(wide) - other.to(wide)).square().sum()

    first, *others = [square(one, other) for one, other in zip(now, start, strict=True)]
    return weight * sum(others, start=first)


def _facts(view: View) -> list[str]:
    """The retain items that are facts in a source language."""
    own = view.retain[view.retain["language"].isin(view.sources)]
    return sorted(own["item"].dropna().unique())
