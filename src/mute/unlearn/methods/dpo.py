"""DPO: make a refusal likelier than each forget answer, relative to what both were before unlearning.

Rafailov et al. 2023 (arXiv 2305.18290): -E log sigmoid(beta [(log pi(y_w|x) - log pi_0(y_w|x)) - (log pi(y_l|x) -
log pi_0(y_l|x))]). The loser y_l is the forget answer, the winner y_w a refusal in the question's own language.
Log-probabilities are summed over an answer, and the reference is the model itself as it was. Certainty: code. This is
the plain form; as it is used with TOFU, with the factor 2/beta and a retain term, it is `idk_dpo`. A statement that is
cut off before its value is continued by the refusal, too. Published: beta 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field

from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Preferring(base.Settings):
    """What every method can be told that prefers one answer to another."""

    beta: float = Field(0.1, gt=0, description="Inverse temperature of the preference.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")


class Settings(Preferring):
    """DPO."""

    retain_weight: float = Field(0.0, ge=0, description="Weight of the retain term, which plain DPO has not.")
    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)


OfPreference = TypeVar("OfPreference", bound=Preferring)


class Preference(base.Descent[OfPreference]):
    """Some winners to each forget answer, which is the loser.

    doubled: whether the factor is 2/beta, as in published codes of unlearning, and not 1.
    """

    doubled: ClassVar[bool] = True

    def cost(self) -> base.Cost:
        return base.Cost(sides=1 + self.winners + bool(self.settings.retain_weight), reference=True)

    @property
    def winners(self) -> int:
        """How many winners there are to each loser."""
        return 1

    def won(self, view: View) -> pd.DataFrame:
        """The forget rows with winners for answers: `winners` of each row, those of one after those of another."""
        raise NotImplementedError

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": view.forget, "retain": view.retain, "winners": self.won(view)}

    def prepare(self, task: Task) -> None:
        task.freeze_logprobs("forget", "winners")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        import torch

        from mute.unlearn.losses import nll

        lose, each = batches["forget"], self.winners
        rows = (lose.rows[:, None] * each + torch.arange(each)).flatten()
        win = task.batch("winners", rows)
        gained = task.answer_logprobs(win)[0] - task.frozen_logprobs(win)
        lost = task.answer_logprobs(lose)[0] - task.frozen_logprobs(lose)
        factor = 2 / self.settings.beta if self.doubled else 1.0
        terms = {"forget": factor * dpo(gained, lost.repeat_interleave(each), self.settings.beta)}
        if self.settings.retain_weight:
            terms["retain"] = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms


class DPO(Preference[Settings]):
    name = "dpo"
    paper = "Rafailov et al. 2023, arXiv 2305.18290"
    family = "preference"
    doubled = False
    Settings = Settings

    def applies(self, view: View) -> str:
        return refusals.lacking(view, self.settings.refusal)

    def won(self, view: View) -> pd.DataFrame:
        return refusals.refused(view, view.forget, self.settings.refusal)


def dpo(gained: Tensor, lost: Tensor, beta: float) -> Tensor:
    """-E log sigmoid(beta (gained - lost)), of the log-ratios [B] of winner and loser to what they were (nats)."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(beta * (gained - lost)).mean()
