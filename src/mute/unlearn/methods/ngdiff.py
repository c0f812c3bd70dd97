"""NGDiff: descend along the difference of the normalised gradients, so that neither side drowns the other.

Bu et al. 2024 (arXiv 2410.22086): d = g_R/|g_R| - g_F/|g_F|, g_F the gradient of the forget answers' negative
log-likelihood, which is to rise; around another method, -g_F is the gradient of what it minimises to forget. By
Cauchy-Schwarz <d, g_R> >= 0 >= <d, g_F>. Certainty: text. Where the two are parallel d is zero, whatever would lower
the one loss would lower the other: no step is taken, and `conflicts` counts it.

No weights are to be set. `fit_every` is the published learning rate scheduler: every so many steps a parabola through
the retain loss at theta and theta +- eta d gives the eta at which it is least, and steps are theta - eta d themselves,
as published, in the place of AdamW; the learning rate is where eta starts. It wants weights in float32. Ours: one vote
for each language, and eta grows at most tenfold at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.edits import Gradients
    from mute.unlearn.view import View

# The two gradients are said to be parallel where d, whose norm is 2 at most, is shorter.
PARALLEL = 1e-6
# How much longer a step may become at once.
GROWTH = 10.0


class Settings(wrapper.Settings):
    """NGDiff."""

    of: str = Field("gradient_difference", description="The method inside, whose loss this goes around.")
    votes: Literal["side", "language"] = Field(
        "side", description="Whether each side's gradient is normalised, or that of each language on each side."
    )
    fit_every: int = Field(
        0, ge=0, description="Steps between two fits of the step size to the retain loss; 0: AdamW's learning rate."
    )


class NGDiff(wrapper.Wrapper[Settings]):
    name = "ngdiff"
    paper = "Bu et al. 2024, arXiv 2410.22086"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        # A fit runs both sides forwards twice.
        more = 0.67 / self.settings.fit_every if self.settings.fit_every else 0.0
        return replace(super().cost(), passes=self.inner.cost().passes + more)

    def applies(self, view: View) -> str:
        from mute.unlearn.methods.gru import without_retain

        return super().applies(view) or without_retain(self)

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        self.conflicts, self.taken, self.eta = 0, 0, self.settings.learning_rate

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.unlearn import edits

        loss, forget, retain = self._votes(task, batches, names)
        found = direction(forget, retain)
        if float(edits.dot(found, found)) < PARALLEL**2:
            self.conflicts += 1
            found = [None] * len(names)
        if self.settings.fit_every:
            self._move(task, batches, names, found)
            found = [None] * len(names)
        return loss.detach(), found

    def _votes(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[list[Tensor | None]], list[list[Tensor | None]]]:
        """The loss, and the gradients of what is minimised to forget and to retain, each with one vote."""
        if self.settings.votes == "side":
            loss, forget, retain = self.apart(task, batches, names)
            return loss, [forget], [retain]
        from mute.unlearn.methods.gru import by_language

        own = {side: by_language(task, side, batches[side]) for side in ("forget", "retain")}
        found: dict[str, list[list[Tensor | None]]] = {"forget": [], "retain": []}
        losses: dict[str, list[Tensor]] = {"forget": [], "retain": []}
        for code in sorted({*own["forget"], *own["retain"]}):
            parts = {side: own[side].get(code, batches[side]) for side in own}
            terms = dict(zip(("forget", "retain"), self.two_terms(task, {**batches, **parts})))
            for side in own:
                if code in own[side]:
                    found[side].append(task.gradients(terms[side], names))
                    losses[side].append(terms[side].detach())
        loss = sum(
            (sum(each[1:], start=each[0]) / len(each) for each in losses.values()), start=0 * losses["forget"][0]
        )
        return loss, found["forget"], found["retain"]

    def _move(self, task: Task, batches: Mapping[str, Batch], names: list[str], found: Gradients) -> None:
        """A plain step of eta along d, with eta fitted first where it is time for it."""
        import torch

        from mute.models import patches

        parameters = dict(task.model.named_parameters())
        if any(parameters[name].dtype not in (torch.float32, torch.float64) for name in names):
            raise base.NotApplicable("fit_every takes plain steps, for which the weights must be in float32")
        along = {name: d for name, d in zip(names, found) if d is not None}
        with torch.no_grad():
            before = patches.take(task.model, along)

            def loss(by: float) -> float:
                patches.put(task.model, {name: before[name] - by * along[name] for name in along})
                return float(self.two_terms(task, batches)[1])

            if along and self.taken % self.settings.fit_every == 0:
                self.eta = fitted(loss(-self.eta), loss(0.0), loss(self.eta), self.eta)
            patches.put(task.model, {name: before[name] - self.eta * along[name] for name in along})
        self.taken += 1


def direction(forget: list[list[Tensor | None]], retain: list[list[Tensor | None]]) -> list[Tensor | None]:
    """NGDiff's direction to descend along, of gradients that are both descended along, each with one vote of its side.

    Of a single one a side it is g_r/|g_r| + g_f/|g_f|, with g_f = -g_F. A gradient that is zero has no vote.
    """
    from mute.unlearn import edits

    found: list[Tensor | None] = [None] * len(forget[0])
    for side in (forget, retain):
        for own in side:
            length = float(edits.dot(own, own)) ** 0.5
            if length != 0:
                found = edits.combined(1.0, found, 1 / (length * len(side)), own)
    return found


def fitted(behind: float, here: float, ahead: float, eta: float) -> float:
    """Where the parabola through the loss at -eta, 0 and eta along the step is least; eta where it has no such place.

    At most ten times eta.
    """
    bend = behind + ahead - 2 * here
    # Losses that are no numbers fit nothing: comparisons with them are false.
    least = eta * (behind - ahead) / (2 * bend) if bend > 0 else 0.0
    return min(least, GROWTH * eta) if least > 0 else eta
