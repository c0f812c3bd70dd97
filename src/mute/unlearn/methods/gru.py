"""GRU: take out of the forget gradient what would raise the retain loss.

Wang et al. 2025 (arXiv 2503.09117): of g_u, the gradient of the loss that is minimised to forget, and g_r, a moving
average of the retain gradient, the step goes along g_u where <g_u, g_r> >= 0, and along g_u - (<g_u, g_r>/|g_r|^2) g_r
where the two clash. The retain gradient is never followed itself. Certainty: code. BLUR does the reverse: it projects
the retain gradient, and always.

Published on gradient ascent, NPO and WGA: the newest retain gradient weighs 0.6 to 0.99 in the average, gradients are
clipped at norm 100, learning rate 2e-5 (1.5B). Ours: one average for each language of the retain side, and what is
taken out is what clashes with any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.edits import Gradients
    from mute.unlearn.view import View


class Settings(wrapper.Settings):
    """GRU."""

    newest: float = Field(0.9, gt=0, le=1, description="Weight of the newest retain gradient in the moving average.")
    constraint: Literal["joint", "language"] = Field(
        "joint", description="One average of the retain gradient, or one for each language of the retain side."
    )
    clip: float = Field(100.0, gt=0, description="Longest gradient that a step goes along; longer ones are shortened.")


class GRU(wrapper.Wrapper[Settings]):
    name = "gru"
    paper = "Wang et al. 2025, arXiv 2503.09117"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        # For each language the method inside is run again on the forget batch too.
        return replace(super().cost(), passes=1.5 if self.settings.constraint == "language" else 1.0)

    def applies(self, view: View) -> str:
        return super().applies(view) or without_retain(self)

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        self.averages: dict[str, list[Tensor | None]] = {}

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.unlearn import edits

        if self.settings.constraint == "joint":
            loss, forget, retain = self.apart(task, batches, names)
            self._remember("", retain)
        else:
            pushed, kept = self.two_terms(task, batches)
            loss, forget = (pushed + kept).detach(), task.gradients(pushed, names)
            for code, own in by_language(task, "retain", batches["retain"]).items():
                _, part = self.two_terms(task, {**batches, "retain": own})
                self._remember(code, task.gradients(part, names))
        found = rectified(forget, [self.averages[code] for code in sorted(self.averages)])
        length = float(edits.dot(found, found)) ** 0.5
        if length > self.settings.clip:
            found = edits.combined(self.settings.clip / length, found, 0.0, [None] * len(found))
        return loss, found

    def _remember(self, code: str, newest: Gradients) -> None:
        from mute.unlearn import edits

        weight, before = self.settings.newest, self.averages.get(code)
        self.averages[code] = list(newest) if before is None else edits.combined(weight, newest, 1 - weight, before)


def rectified(forget: Gradients, retains: Sequence[Gradients]) -> list[Tensor | None]:
    """The forget gradient without what clashes with the retain gradients, of which there may be several.

    Those that it clashes with are taken up one by one, in their order, until it clashes with none: what is taken out is
    its projection on their span. Gradients that are zero constrain nothing.
    """
    import torch

    from mute.unlearn import edits

    wide = torch.float64
    products = torch.tensor([[float(edits.dot(one, other)) for other in retains] for one in retains], dtype=wide)
    own = torch.tensor([float(edits.dot(forget, retain)) for retain in retains], dtype=wide)
    lengths = products.diagonal().sqrt() * float(edits.dot(forget, forget)) ** 0.5
    clashing: list[int] = []
    factors = torch.zeros(0, dtype=wide)
    while True:
        left = own - products[:, clashing] @ factors if clashing else own
        # What is left after a projection is rounding, and no clash.
        open_ones = [
            i for i in range(len(retains)) if i not in clashing and float(left[i]) < -1e-12 * float(lengths[i])
        ]
        if not open_ones:
            break
        clashing.append(open_ones[0])
        factors = torch.linalg.pinv(products[clashing][:, clashing], hermitian=True) @ own[clashing]
    found = list(forget)
    for place, factor in zip(clashing, factors.tolist()):
        found = edits.combined(1.0, found, -factor, retains[place])
    return found


def by_language(task: Task, side: str, batch: Batch) -> dict[str, Batch]:
    """The rows of a batch of the side of this name, apart by language; in the order of the languages' codes."""
    import torch

    rows: dict[str, list[int]] = {}
    for row in batch.rows.tolist():
        rows.setdefault(batch.side.languages[row], []).append(row)
    return {code: task.batch(side, torch.tensor(rows[code])) for code in sorted(rows)}


def without_retain(method: wrapper.Wrapper) -> str:
    """Why there is no retain gradient to set against the forget gradient, or ''."""
    if getattr(method.inner.settings, "retain_weight", 1.0) == 0:
        return f"{method.inner.name} is told to leave its retain term out, so that there is no retain gradient"
    return ""
