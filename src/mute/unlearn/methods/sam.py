"""SAM: forget where the weights are worst for it, so that small changes such as relearning bring nothing back.

Fan et al. 2025 (arXiv 2502.05374): the forget gradient is taken at theta + rho g_f/|g_f|, the norm over all trained
parameters, and the retain gradient at theta; the step goes along their sum. Certainty: code. Published around NPO for
7B: rho 0.01 (0.001 to 0.1).

rho is a length in the space of all weights that train. In bfloat16, where each weight would move by less than rounding
tells apart, the method is not applicable, and says so. `perturbation: random` is the control: as far, in a random
direction.
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


class Settings(wrapper.Settings):
    """SAM."""

    rho: float = Field(
        0.01, ge=0, description="How far the weights are moved before the forget gradient; 0: the method inside."
    )
    perturbation: Literal["gradient", "random"] = Field(
        "gradient", description="Whether they are moved along the forget gradient, or as far at random, the control."
    )


class SAM(wrapper.Wrapper[Settings]):
    name = "sam"
    paper = "Fan et al. 2025, arXiv 2502.05374"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        inner = self.inner.cost()
        # The method inside runs forwards twice, and backwards twice for its forget term alone.
        more = 0.0 if self.settings.rho == 0 else (0.65 if inner.sides > 1 else 0.5)
        return replace(super().cost(), passes=inner.passes + more)

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        self.taken = 0

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.models import patches
        from mute.unlearn import edits

        if self.settings.rho == 0:
            return super().gradients(task, batches, names)
        loss, forget, retain = self.apart(task, batches, names)
        moves = self._moves(task, forget, names)
        # What is put back is a copy: what was added and taken away again would be another number.
        with patches.kept(task.model, names) as before:
            moved = {
                name: (before[name].float() + move.float()).to(before[name].dtype)
                for name, move in zip(names, moves)
                if move is not None
            }
            self._check(before, moved)
            patches.put(task.model, moved)
            terms = dict(self.inner.terms(task, batches))
            terms.pop("retain", None)
            first, *others = terms.values()
            sharp = task.gradients(sum(others, start=first), names)
        return loss.detach(), edits.combined(1.0, sharp, 1.0, retain)

    def _moves(self, task: Task, forget: Gradients, names: list[str]) -> list[Tensor | None]:
        self.taken += 1
        if self.settings.perturbation == "gradient":
            return perturbed(forget, self.settings.rho)
        import torch

        from mute.store.artifacts import seed_of

        generator = torch.Generator().manual_seed(seed_of(task.seed, "sam", self.taken))
        parameters = dict(task.model.named_parameters())
        drawn = [torch.randn(parameters[name].shape, generator=generator).to(parameters[name].device) for name in names]
        return perturbed([None if own is None else d for d, own in zip(drawn, forget)], self.settings.rho)

    def _check(self, before: Mapping[str, Tensor], moved: Mapping[str, Tensor]) -> None:
        """Raise NotApplicable where rounding leaves next to nothing of the perturbation."""
        import torch

        if not moved or all(tensor.dtype in (torch.float32, torch.float64) for tensor in moved.values()):
            return
        square = sum(float((moved[name].float() - before[name].float()).double().square().sum()) for name in moved)
        # A gradient that is zero or no number moves nothing, whatever the type.
        if 0 <= square < (self.settings.rho / 2) ** 2:
            raise base.NotApplicable(
                f"sam: {next(iter(moved.values())).dtype} weights do not tell a perturbation of length "
                f"{self.settings.rho:g} apart: take a larger rho, or float32"
            )


def perturbed(gradients: Gradients, rho: float) -> list[Tensor | None]:
    """rho g/|g|, the norm over all parameters; None where the gradient is None, and everywhere where it is zero."""
    import torch

    from mute.unlearn import edits

    length = float(edits.dot(gradients, gradients)) ** 0.5
    if length == 0:
        return [None] * len(gradients)
    # In float32: beside bfloat16 weights it would be rounded twice.
    return [None if g is None else rho / length * g.to(torch.promote_types(g.dtype, torch.float32)) for g in gradients]
