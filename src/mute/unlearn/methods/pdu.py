"""PDU: flatten the logits at forget answers under the constraint that retain answers lose no more than a bound.

Entesari et al. 2025 (arXiv 2506.05314): minimise the mean over forget answer tokens of (max z - mean z)^2 subject to
NLL_retain <= eps, by primal and dual steps: L = w_f L_flat + a (NLL_retain - eps), and after each step a <- max(0, a +
eta (NLL_retain - eps)). Certainty: code; its mask of labels is off by one position, which is not so here. Published for
7B: eps 0.3 (nats), a 100 at the start (TOFU; MUSE 50), eta 5 (MUSE: 1), the dual at rest for the first 5 epochs (MUSE:
3), learning rate 1e-5.

The bound is relative by default, as models differ in what they know: the base's own NLL times 1 + `tolerance`.
`per_language` is ours: a constraint and a dual for each retain language, so that the duals tell which one is damaged.
With eta 0 it is a fixed weighted sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


class Settings(base.Settings):
    """PDU."""

    forget_weight: float = Field(1.0, gt=0, description="Weight of the flattening.")
    dual: float = Field(100.0, ge=0, description="The dual variable at the start: the retain term's first weight.")
    dual_step: float = Field(5.0, ge=0, description="How far the dual moves for each nat of violation, each step.")
    warm_up: int = Field(5, ge=0, description="Steps before the dual moves.")
    bound: float | None = Field(
        None, ge=0, description="Most that retain answers may lose, nats a token; null: from the base and `tolerance`."
    )
    tolerance: float = Field(
        0.3, ge=0, description="With a bound of null, by what share more than the base retain answers may lose."
    )
    per_language: bool = Field(False, description="Whether each retain language has a constraint and dual (ours).")


class PDU(base.Descent[Settings]):
    name = "pdu"
    paper = "Entesari et al. 2025, arXiv 2506.05314"
    family = "divergence"
    Settings = Settings

    # Dual variables by language ('': of all) as they are now, and their bounds.
    duals: dict[str, float]
    bounds: dict[str, float]

    def cost(self) -> base.Cost:
        return base.Cost(reference=self.settings.bound is None)

    def prepare(self, task: Task) -> None:
        import torch

        s = self.settings
        self.taken = 0
        self.languages = sorted(set(task.retain.languages)) if s.per_language else [""]
        self.duals = dict.fromkeys(self.languages, s.dual)
        if s.bound is not None:
            self.bounds = dict.fromkeys(self.languages, s.bound)
            return
        lost = dict.fromkeys(self.languages, 0.0)
        tokens = dict.fromkeys(self.languages, 0)
        with torch.no_grad():
            for rows in map(torch.tensor, task.retain.texts.batches):
                batch = task.batch("retain", rows)
                for language, own in self._apart(batch, task.token_logprobs(batch)).items():
                    lost[language] -= float(own.double().sum())
                    tokens[language] += len(own)
        self.bounds = {name: (1 + s.tolerance) * lost[name] / tokens[name] for name in self.languages}

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        """The two terms; each call is a step, after which the duals move."""
        s, retain = self.settings, batches["retain"]
        kept = []
        self.taken += 1
        for language, own in self._apart(retain, task.token_logprobs(retain)).items():
            beyond = -own.mean() - self.bounds[language]
            kept.append(self.duals[language] * beyond)
            if self.taken > s.warm_up:
                self.duals[language] = next_dual(self.duals[language], float(beyond.detach()), s.dual_step)
        return {
            "forget": s.forget_weight * flatness(task.answer_logits(batches["forget"])),
            "retain": sum(kept[1:], start=kept[0]),
        }

    def _apart(self, batch: Batch, each: Tensor) -> dict[str, Tensor]:
        """What is said of each token [N], by the language that it is constrained in."""
        if not self.settings.per_language:
            return {"": each}
        import torch

        spoken = [batch.side.languages[row] for row in batch.rows.tolist()]
        own = {
            language: torch.tensor([code == language for code in spoken], device=each.device)[batch.owner]
            for language in sorted(set(spoken))
        }
        return {language: each[which] for language, which in own.items()}


def flatness(logits: Tensor) -> Tensor:
    """(max z - mean z)^2 over the vocabulary, mean over tokens: logits [N, V]."""
    return (logits.max(-1).values - logits.mean(-1)).square().mean()


def next_dual(dual: float, beyond: float, step: float) -> float:
    """A dual variable after a step; beyond: by how much its constraint is violated."""
    return max(0.0, dual + step * beyond)
