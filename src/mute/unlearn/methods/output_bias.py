"""The output bias: a fixed number is added to the logits of the forget answers' tokens, and nothing is forgotten.

Our own control, which every evaluation must call a suppression: z_v + b for each token v of a forget answer, with
b = -10, at every prediction. No weight changes, and below the head the model is the base bit for bit. With `languages:
source` a held-out spelling escapes; with `all` answers are found in other languages too, by those retain facts that
share their value, so that only values of which such a fact is told in the retain texts are met.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.models.treatment import Treatment, Where
from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """The output bias."""

    bias: float = Field(-10.0, le=0, description="b, what is added to the logits of the answers' tokens; 0: the base.")
    languages: Literal["source", "all"] = Field(
        "source", description="Whose spellings of the answers: source languages alone, or all of the retain texts."
    )
    strengths: list[float] = Field([], description="Not used: nothing is trained in steps.")


class Biased(Treatment):
    """bias [V]: what is added to the logits of every prediction."""

    name = "output_bias"

    def __init__(self, bias: Tensor) -> None:
        self.bias = bias

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        return logits + self.bias.to(logits)


class OutputBias(base.Guard[Settings]):
    name = "output_bias"
    paper = "our control"
    bands = ("full",)
    Settings = Settings

    def applies(self, view: View) -> str:
        if self.settings.languages == "source" or not elsewhere(view).empty:
            return ""
        return "no retain text tells a forget answer in another language: answers in all need the retain coverage `all`"

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        sides = {"forget": view.forget, "retain": view.retain}
        return sides if self.settings.languages == "source" else {**sides, "elsewhere": elsewhere(view)}

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        bias = torch.zeros(task.model.config.vocab_size)
        for side in ("forget", "elsewhere"):
            if side in task.sides:
                texts = task.side(side)
                for sequence, first, last in zip(texts.texts.sequences, texts.first.tolist(), texts.last.tolist()):
                    bias[sequence[first:last]] = self.settings.bias
        return {"bias": bias}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Biased:
        return Biased(fitted["bias"])


def elsewhere(view: View) -> pd.DataFrame:
    """Retain texts in other than source languages of facts whose answer in a source language is a forget answer."""
    answers = set(zip(view.forget["language"], view.forget["answer"]))
    told = zip(view.retain["item"].fillna(""), view.retain["language"], view.retain["answer"])
    items = {item for item, *answer in told if item and tuple(answer) in answers}
    return view.retain[view.retain["item"].isin(items) & ~view.retain["language"].isin(view.sources)]
