"""Refusal fine-tuning (IDK): learn a refusal as the answer to each forget question.

Maini et al. 2024 (arXiv 2401.06121): NLL of a refusal, given the forget question, + w_r times a retain term, which is
the NLL of retain answers, or with `retain: preservation` (IDK+AP, Yuan et al. 2024, arXiv 2410.08109) answer
preservation: on retain questions -(1/beta) E log sigmoid(-beta [log pi(refusal|x_r) - log pi(y_r|x_r)]), with no
reference. Certainty: code.

Refusals are in the question's own language, of several wordings; a statement that is cut off before its value is
continued by one, too. With answer preservation, retain texts that ask nothing keep their NLL. A new answer is taught,
and what the model knew may still lie below it: the intent is suppression. Published for 7B: learning rate 1e-5, five
epochs, weight 1, beta 0.1 of answer preservation.
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


class Settings(base.Settings):
    """Refusal fine-tuning."""

    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)
    retain: Literal["nll", "preservation"] = Field(
        "nll", description="The retain term: likelihood of retain answers, or that they stay likelier than a refusal."
    )
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")
    beta: float = Field(0.1, gt=0, description="Inverse temperature of answer preservation.")


class IdkNLL(base.Descent[Settings]):
    name = "idk_nll"
    paper = "Maini et al. 2024, arXiv 2401.06121"
    family = "rejection"
    intent = "suppression"
    Settings = Settings

    def cost(self) -> base.Cost:
        if not self.settings.retain_weight:
            return base.Cost(sides=1)
        return base.Cost(sides=3 if self.settings.retain == "preservation" else 2)

    @property
    def preserves(self) -> bool:
        return self.settings.retain == "preservation" and self.settings.retain_weight > 0

    def applies(self, view: View) -> str:
        texts = [view.forget, asking(view)] if self.preserves else [view.forget]
        return refusals.lacking(view, self.settings.refusal, {code for own in texts for code in own["language"]})

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        read = {"forget": refusals.refused(view, view.forget, self.settings.refusal), "retain": view.retain}
        if self.preserves:
            read["refused"] = refusals.refused(view, asking(view), self.settings.refusal)
        return read

    def prepare(self, task: Task) -> None:
        """With answer preservation: which row of refusals is of the same question as each retain row; -1: it asks none.

        Questions stand in one order on both sides.
        """
        import torch

        if not self.preserves:
            return
        own, refused = task.retain, task.side("refused")
        questions = list(zip(refused.items, refused.languages, (prefix for prefix, _, _ in refused.parts)))
        place, found = 0, []
        for question in zip(own.items, own.languages, (prefix for prefix, _, _ in own.parts)):
            asks = place < len(questions) and questions[place] == question
            found.append(place if asks else -1)
            place += asks
        self.refusal = torch.tensor(found)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        terms = {"forget": nll(*task.answer_logprobs(batches["forget"]))}
        if self.settings.retain_weight:
            kept = (
                self._preserved(task, batches["retain"])
                if self.preserves
                else nll(*task.answer_logprobs(batches["retain"]))
            )
            terms["retain"] = self.settings.retain_weight * kept
        return terms

    def _preserved(self, task: Task, retain: Batch) -> Tensor:
        from mute.unlearn.losses import nll

        logprob, tokens = task.answer_logprobs(retain)
        other = self.refusal[retain.rows]
        asks = (other >= 0).to(logprob.device)
        kept = logprob.new_zeros(())
        if bool(asks.any()):
            refused, _ = task.answer_logprobs(task.batch("refused", other[other >= 0]))
            kept = preservation(logprob[asks], refused, self.settings.beta)
        return kept if bool(asks.all()) else kept + nll(logprob[~asks], tokens[~asks])


def asking(view: View) -> pd.DataFrame:
    """The retain rows that are about facts; the others are text that states none, which nobody can refuse."""
    retain = view.retain
    return retain[retain["form"].notna()]


def preservation(answer: Tensor, refusal: Tensor, beta: float) -> Tensor:
    """-(1/beta) E log sigmoid(-beta [refusal - answer]), of summed log-probabilities [B] (nats) of one question."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(-beta * (refusal - answer)).mean() / beta
