"""FLAT: raise a refusal and lower the forget answer by an f-divergence between the two, with forget data alone.

Wang et al. 2024 (arXiv 2410.11143): -g(P(y_template|x)) + f*(g(P(y_forget|x))), where P is the mean probability of an
answer's tokens, over all of the batch, and (g, f*) belong to the divergence; neither retain data nor a reference is
read. The template is a refusal in the question's language. Certainty: code. Of the published code two things are not
copied. It takes the mean over positions that are no answer's too, as zeros, so that longer padding weakens the loss.
And its g falls for reverse KL, squared Hellinger and Neyman's divergence, so that minimising lowers the template: ours
rises, -exp(-v) for the first and 1 - exp(-v) for the others. Published: total variation (also KL), learning rate 2e-7
for 7B on Harry Potter and 1e-5 on TOFU, five epochs of batches of 16 x 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View

Divergence = Literal["total_variation", "kl", "reverse_kl", "pearson", "squared_hellinger", "neyman", "jensen_shannon"]


class Settings(base.Settings):
    """FLAT."""

    divergence: Divergence = Field("total_variation", description="The f-divergence whose g and f* are taken.")
    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)


class FLAT(base.Descent[Settings]):
    name = "flat"
    paper = "Wang et al. 2024, arXiv 2410.11143"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2)

    def applies(self, view: View) -> str:
        return refusals.lacking(view, self.settings.refusal)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        template = refusals.refused(view, view.forget, self.settings.refusal)
        return {"forget": view.forget, "retain": view.retain, "template": template}

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        forget = batches["forget"]
        template = task.batch("template", forget.rows)
        wanted, unwanted = (task.token_logprobs(batch).exp().mean() for batch in (template, forget))
        return {"forget": flat(wanted, unwanted, self.settings.divergence)}


def flat(wanted: Tensor, unwanted: Tensor, divergence: Divergence) -> Tensor:
    """-g(wanted) + f*(g(unwanted)), of two mean probabilities; the second is written as a function of its own."""
    import math

    import torch

    p, q = wanted, unwanted
    match divergence:
        case "total_variation":
            return (q.tanh() - p.tanh()) / 2
        case "kl":
            return (q - 1).exp() - p
        case "reverse_kl":
            return (-p).exp() - 1 + q
        case "pearson":
            return q.square() / 4 + q - p
        case "squared_hellinger":
            return q.exp() - 1 - (1 - (-p).exp())
        case "neyman":
            return 2 - 2 * (-q / 2).exp() - (1 - (-p).exp())
        case "jensen_shannon":
            return q + torch.log1p((-q).exp()) + torch.log1p((-p).exp()) - 2 * math.log(2)
