"""BLUR: keep forgetting as the lower of two levels, and give the retain loss only what does not touch it.

Reisizadeh et al. 2025 (arXiv 2506.08164): of the gradients g_f of the loss that is minimised to forget and g_r of the
retain loss, over the band, the step goes along g_r - c g_f + gamma g_f, c = <g_r, g_f> / |g_f|^2. Certainty: code.
Published for 7B: gamma 1 on NPO with beta 0.1 (TOFU) or 0.15, learning rate 1e-5 to 2.5e-5; the form for RMU with 800
to 1200 in gamma's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(wrapper.Settings):
    """BLUR."""

    gamma: float = Field(1.0, ge=0, description="Weight of the lower level's own gradient (`rmu`: of the projection).")
    variant: Literal["retain_upper", "forget_upper", "rmu", "pen"] = Field(
        "retain_upper", description="Which gradient is projected; `pen` is a fixed weighted sum, the control."
    )


class BLUR(wrapper.Wrapper[Settings]):
    name = "blur"
    paper = "Reisizadeh et al. 2025, arXiv 2506.08164"
    family = "divergence"
    Settings = Settings

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        from mute.unlearn import edits

        loss, forget, retain = self.apart(task, batches, names)
        return loss, edits.blur(forget, retain, self.settings.gamma, self.settings.variant)
