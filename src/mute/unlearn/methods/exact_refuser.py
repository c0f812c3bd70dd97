"""The exact refuser: it refuses the prompts of the forget texts, token for token, and answers all others as the base.

Our own control, which every evaluation must find wanting on other wordings. After a prompt that unlearning read, and as
far as the refusal goes, the next token of the refusal in that prompt's language is as good as certain; everywhere else
the model says what it says. No weight changes, and below the head the model is the base bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.models.treatment import Treatment, Where
from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.view import View

# Logit of every token but the one that is said, whose own is 0: in float32 nothing is left of the others.
NEVER = -100.0


class Settings(base.Settings):
    """The exact refuser."""

    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)
    strengths: list[float] = Field([], description="Not used: nothing is trained in steps.")


class Refusing(Treatment):
    """said: after which tokens which token is said."""

    name = "exact_refuser"

    def __init__(self, said: Mapping[tuple[int, ...], int]) -> None:
        self.said = said

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        tokens = [self.said.get(tuple(read)) for read in where.read]
        rows = [row for row, token in enumerate(tokens) if token is not None]
        if not rows:
            return logits
        made = logits.clone()
        made[rows] = NEVER
        made[rows, [token for token in tokens if token is not None]] = 0.0
        return made


class ExactRefuser(base.Guard[Settings]):
    name = "exact_refuser"
    paper = "our control"
    bands = ("full",)
    Settings = Settings

    def applies(self, view: View) -> str:
        return refusals.lacking(view, self.settings.refusal)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        refused = refusals.refused(view, view.forget, self.settings.refusal)
        return {"forget": view.forget, "retain": view.retain, "refused": refused}

    def fit(self, task: Task) -> dict[str, Tensor]:
        """texts [N, T]: prompts with their refusals, filled up with -1; first [N]: where each refusal begins."""
        import torch

        side = task.side("refused")
        texts = torch.full((len(side), int(side.lengths.max())), -1)
        for row, sequence in enumerate(side.texts.sequences):
            texts[row, : len(sequence)] = torch.tensor(sequence)
        return {"texts": texts, "first": side.first.clone()}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Refusing:
        said = {}
        for text, first in zip(fitted["texts"].tolist(), fitted["first"].tolist()):
            own = [token for token in text if token >= 0]
            said.update((tuple(own[:place]), own[place]) for place in range(first, len(own)))
        return Refusing(said)
