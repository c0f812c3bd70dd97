"""OFMU: forgetting as the inner of two levels: climb it, turned away from what is retained, then retain from there.

Our instantiation of "OFMU: Optimization-Driven Framework for Machine Unlearning" (arXiv 2509.22483), rebuilt from
public summaries and reviews. L_f is the forget answers' negative log-likelihood, clipped at ln V, where nothing is
known any more; L_r that of retain answers; g_f, g_r their gradients over what trains.
Phi = L_f - beta cos(g_f, g_r), F = L_r + rho ||grad Phi||^2. Each round takes T steps up Phi and from there one step
down F; rho grows from round to round. Certainty: text, no code. Published: T 5 to 10; beta, rho and both rates are not.
The published gain over NPO is small, and what a round takes is not: `cost` says it.

Ours: a round is one step of AdamW along grad F at the end of the climb minus the sum of the gradients on it. With plain
steps of one rate on both levels that is the round itself: beta 0, rho 0 and T 1 are one step of ascent and one of
retaining. The climb moves by its gradients, times what makes its first step `reach` long. A round reads one batch of
each side. `exact` differentiates up to three times, `fd` takes central differences of gradients in the place of every
second derivative, `first_order` leaves them out: rounds of plain ascent and retaining, whatever beta and rho, the
control. Around another method than gradient difference L_f is minus its forget term. In 16 bits a reach, or a
difference, below the rounding of weights says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task

Variant = Literal["exact", "fd", "first_order"]


class Settings(wrapper.Settings):
    """OFMU."""

    of: str = Field("gradient_difference", description="The method inside, whose two terms are the two levels.")
    ascents: int = Field(5, ge=1, description="Steps T up the inner level in a round.")
    beta: float = Field(0.1, ge=0, description="Weight of the cosine between the two gradients.")
    rho: float = Field(1e-3, ge=0, description="Weight of the penalty in the first round.")
    rho_growth: float = Field(1.1, ge=1, description="What it is multiplied by from round to round.")
    variant: Variant = Field("exact", description="How second derivatives are found; first_order: left out, a control.")
    reach: float = Field(1e-3, gt=0, description="Length of a round's first step up, relative to the weights' norm.")
    probe: float = Field(1e-3, gt=0, description="Half the length of a difference of `fd`, relative to the same.")
    outer_weight: float = Field(1.0, ge=0, description="Weight of the step down, relative to a step up.")


class OFMU(wrapper.Wrapper[Settings]):
    name = "ofmu"
    paper = "OFMU 2025, arXiv 2509.22483"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        told = self.settings
        # As measured: gradients of one side, of Phi with the cosine in it, and of F; without the cosine F takes 3 or 4.
        up, down = 0.75, 0.75
        if told.variant != "first_order":
            turned, penalty, plain = (4.5, 14.0, 4.0) if told.variant == "fd" else (3.0, 8.0, 3.0)
            up = turned if told.beta else up
            down = (penalty if told.beta else plain) if told.rho else down
        return replace(self.inner.cost(), sides=2, passes=told.ascents * up + down)

    def prepare(self, task: Task) -> None:
        self.inner.prepare(task)
        self.rho = self.settings.rho

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.models import patches
        from mute.unlearn.edits import combined

        told = self.settings
        levels = self.levels(task, batches, names)
        with task.twice(), patches.kept(task.model, names):
            risen = climb(levels, told.ascents, told.reach)
            down = levels.down(self.rho)
        self.rho *= told.rho_growth
        forget, retain = levels.began
        return retain - forget, combined(told.outer_weight, down, -1.0, risen)

    def levels(self, task: Task, batches: Mapping[str, Batch], names: list[str]) -> Levels:
        """The two levels on one batch of each side, as functions of the parameters `names`."""
        parameters = dict(task.model.named_parameters())
        most = math.log(task.model.config.vocab_size)

        def losses() -> tuple[Tensor, Tensor]:
            forget, retain = self.two_terms(task, batches)
            return (-forget).clamp(max=most), retain

        def derived(loss: Tensor, again: bool) -> list[Tensor | None]:
            return task.gradients(loss, names, create_graph=again)

        told = self.settings
        return Levels([parameters[n] for n in names], losses, derived, told.beta, told.variant, told.probe)


Gradients = Sequence["Tensor | None"]


class Levels:
    """Two levels of some parameters, where these are now.

    losses: L_f and L_r. derived: gradients of a loss, in the order of the parameters, and whether they are to be
    derived again. began: both losses where they were first asked for.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        losses: Callable[[], tuple[Tensor, Tensor]],
        derived: Callable[[Tensor, bool], Gradients],
        beta: float,
        variant: Variant,
        probe: float = 1e-3,
    ) -> None:
        self.parameters, self.derived = list(parameters), derived
        self.variant, self.probe = variant, probe
        self.beta = 0.0 if variant == "first_order" else beta
        self._losses = losses

    def losses(self) -> tuple[Tensor, Tensor]:
        found = self._losses()
        if not hasattr(self, "began"):
            self.began: tuple[Tensor, Tensor] = (found[0].detach(), found[1].detach())
        return found

    def apart(self) -> tuple[Gradients, Gradients]:
        """g_f and g_r."""
        forget, retain = self.losses()
        return self.derived(forget, False), self.derived(retain, False)

    def cosine(self) -> Tensor:
        """cos(g_f, g_r)."""
        return cosine(*self.apart()).detach()

    def inner(self) -> tuple[Tensor, Tensor]:
        """Phi and L_r, with gradients."""
        forget, retain = self.losses()
        if not self.beta:
            return forget, retain
        turned = cosine(self.derived(forget, True), self.derived(retain, True))
        return forget - (self.beta * turned).to(forget.dtype), retain

    def up(self) -> Gradients:
        """The gradient of Phi."""
        if self.variant != "fd" or not self.beta:
            return self.derived(self.inner()[0], False)
        from mute.unlearn.edits import combined

        forget, retain = self.apart()
        own = self._curved(lambda: self.derived(self.losses()[0], False), turning(forget, retain))
        other = self._curved(lambda: self.derived(self.losses()[1], False), turning(retain, forget))
        return combined(1.0, forget, -self.beta, combined(1.0, own, 1.0, other))

    def down(self, rho: float) -> Gradients:
        """The gradient of F."""
        from mute.unlearn.edits import combined, dot

        if not rho or self.variant == "first_order":
            return self.derived(self.losses()[1], False)
        if self.variant == "fd":
            curved = self._curved(self.up, self.up())
            return combined(1.0, self.derived(self.losses()[1], False), 2 * rho, curved)
        phi, retain = self.inner()
        slope = self.derived(phi, True)
        return self.derived(retain + (rho * dot(slope, slope)).to(retain.dtype), False)

    @contextmanager
    def at(self, offset: Gradients, scale: float) -> Generator[None]:
        """The parameters `scale` times an offset further; afterwards they are what they were, bit for bit."""
        import torch

        before = [parameter.detach().clone() for parameter in self.parameters]
        try:
            self.move(before, offset, scale)
            yield
        finally:
            with torch.no_grad():
                for parameter, own in zip(self.parameters, before):
                    parameter.copy_(own)

    def move(self, start: Sequence[Tensor], offset: Gradients, scale: float) -> None:
        """Put the parameters `scale` times an offset further than `start`."""
        import torch

        with torch.no_grad():
            for parameter, own, by in zip(self.parameters, start, offset, strict=True):
                if by is not None:
                    exact = torch.promote_types(own.dtype, torch.float32)
                    parameter.copy_(own.to(exact) + scale * by.to(exact))

    def _curved(self, slope: Callable[[], Gradients], direction: Gradients) -> Gradients:
        """H v of the function whose gradient is given, by central differences along v."""
        from mute.unlearn.edits import combined

        if not (far := length(direction)):
            return combined(0.0, direction, 0.0, direction)
        step = self.probe * length(self.parameters) / far
        with self.at(direction, step):
            ahead = slope()
        with self.at(direction, -step):
            behind = slope()
        return combined(1 / (2 * step), ahead, -1 / (2 * step), behind)


def climb(levels: Levels, steps: int, reach: float | None = None, *, rate: float | None = None) -> list[Tensor | None]:
    """Take steps up Phi, of one rate, and return the sum of the gradients; the parameters stay where that leads.

    rate: of the steps; without one it makes the first `reach` times as long as the parameters are.
    """
    from mute.unlearn.edits import combined

    start = [parameter.detach().clone() for parameter in levels.parameters]
    total: list[Tensor | None] = [None] * len(start)
    for _ in range(steps):
        slope = levels.up()
        if rate is None:
            assert reach is not None
            steep = length(slope)
            # Where there is nothing to climb, as above what is clipped, it goes nowhere.
            rate = reach * length(start) / steep if steep else 0.0
        total = combined(1.0, total, 1.0, slope)
        levels.move(start, total, rate)
    return total


def length(gradients: Gradients) -> float:
    """Norm over all parameters."""
    from mute.unlearn.edits import dot

    own = [None if gradient is None else gradient.detach() for gradient in gradients]
    return math.sqrt(float(dot(own, own)))


def cosine(one: Gradients, other: Gradients) -> Tensor:
    """Cosine of the angle between two gradients over all parameters, float64; 0 where one is zero."""
    from mute.unlearn.edits import dot

    squares = dot(one, one) * dot(other, other)
    along = dot(one, other)
    return along / squares.sqrt() if float(squares.detach()) > 0 else 0 * along


def turning(one: Gradients, other: Gradients) -> Gradients:
    """The derivative of that cosine with respect to the first: (b/|b| - cos a/|a|) / |a|; zero where one is zero."""
    from mute.unlearn.edits import combined, dot

    own, far = length(one), length(other)
    if not own or not far:
        return combined(0.0, one, 0.0, other)
    turned = float(dot(one, other)) / (own * far)
    return combined(1 / (own * far), other, -turned / own**2, one)
