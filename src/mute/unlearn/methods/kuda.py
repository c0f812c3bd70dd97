"""KUDA: drive states of forget text away from what they were, by changes of MLP outputs that retain keys do not see.

Our instantiation of KUDA: Knowledge Unlearning by Deviating Representation (arXiv 2602.19275), whose structure is known
and whose formulas are ours: (1/b) log E exp(b cos(h, h0)) over forget tokens, with states h of the band's output and h0
before, is minimised over the MLP output projections of the band. There is no retain term: each change of such a matrix
[D, D_ff] is projected by P = U U', with U the eigenvectors of the second moment C of retain keys whose eigenvalues are
no more than eps tr(C) / D_ff. Certainty: rebuilt. The blocks are those of the band: where a fact is, causal tracing
says, which is an analysis. Defaults, b among 1, 5 and 10, eps, are ours; none is published that we know.

The change is trained as s D U', so that it lies in the null space under any optimizer: AdamW's steps along projected
gradients would leave it. s makes the forget keys in it of mean square 1 and values of the size of the band's output, so
that a learning rate means the same whatever is left of the keys. eps = infinity (P the identity) is the control: an
ordinary training of the same matrices. At the start the cosine is largest and has no gradient, so that the origin is
tilted a little (`tilt`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """KUDA."""

    inverse_temperature: float = Field(5.0, gt=0, description="b: the larger, the more the least moved tokens count.")
    relaxation: float = Field(
        0.1,
        gt=0,
        description="eps: eigenvectors of retain keys may be used up to so many mean eigenvalues; .inf: all of them.",
    )
    tilt: float = Field(
        0.01, gt=0, lt=1, description="How far the origin is moved before the start, in mean norms of forget states."
    )


def deviation(states: Tensor, origin: Tensor, mask: Tensor, inverse_temperature: float) -> Tensor:
    """(1/b) log E exp(b cos(h, h0)) over the tokens in `mask` [...]: states, origin [..., D]."""
    from mute.unlearn.states import cosine

    each = cosine(states, origin)[mask]
    return ((inverse_temperature * each).logsumexp(0) - math.log(len(each))) / inverse_temperature


def small_eigenvectors(moment: Tensor, relaxation: float) -> Tensor:
    """U [in, kept], float64: eigenvectors of a second moment C [in, in] with eigenvalues <= eps tr(C) / in."""
    import torch

    values, vectors = torch.linalg.eigh(moment.double())
    return vectors[:, values <= relaxation * values.mean()]


class KUDA(base.Descent[Settings]):
    name = "kuda"
    paper = "KUDA: Knowledge Unlearning by Deviating Representation, arXiv 2602.19275"
    family = "representation"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=1, head=False, reference=True, trains="mlp_outputs")

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.mlp_outputs(model, band.blocks)

    def prepare(self, task: Task) -> None:
        from mute.unlearn.states import tilt

        task.freeze_outputs("forget")
        self.norm = task.frozen_norm("forget")
        self.tilt = tilt(task, self.norm, self.settings.tilt)

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        import torch

        from mute.engine import low_rank

        starts, unit = {}, float(self.norm) / math.sqrt(task.model.config.hidden_size)
        for block, name in zip(task.band.blocks, names, strict=True):
            weight = task.model.get_parameter(name)
            free = small_eigenvectors(task.covariance("retain", block), self.settings.relaxation)
            if not free.shape[1]:
                raise base.NotApplicable(
                    f"no eigenvalue of the retain keys of block {block} is below {self.settings.relaxation} times the "
                    "mean one, so that no change would leave them alone"
                )
            size = (free * (task.covariance("forget", block) @ free)).sum() / free.shape[1]
            start = torch.zeros(len(weight), free.shape[1], device=weight.device)
            starts[name] = ((unit / size.clamp(min=1e-12).sqrt() * free.T).float().to(weight.device), start)
        with low_rank.attached(task.model, starts, 1.0) as trained:
            yield [name for name in trained if name.endswith(".b")]

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        batch = batches["forget"]
        origin = task.frozen_output(batch) + self.tilt
        return {"forget": deviation(task.output(batch), origin, batch.real, self.settings.inverse_temperature)}
