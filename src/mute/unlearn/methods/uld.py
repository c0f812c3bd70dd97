"""ULD, unlearning from logit difference: an assistant that remembers what is to be forgotten is taken off the logits.

Ji et al. 2024 (arXiv 2406.08607): the assistant phi is the base's embeddings, first K blocks, norm and head with
low-rank updates, trained to remember the forget answers and to know nothing else, L = CE(forget) + 5 KL(U || p_phi) on
retain answers and on wrong forget answers. Then z = z_base + w z_phi, w < 0, where z_phi counts as 0 for tokens with
log p_base below min(m-th largest, max + ln tau), m = tau V. Published: K 8 of 32, rank 16, scale 2, 1e-3 for 10 epochs,
w -0.8, tau 0.01 to 0.1. m is at least 1 here: published code takes the smallest logit where tau V is below 1, and
filters nothing. Certainty: code. `kind: offset` is offset unlearning (Huang et al. 2024, arXiv 2404.11045): z = z_base
+ w (z_phi' - z_phi), with the assistant before its training as phi. `remembers: retain` is the control.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.models.treatment import Where
from mute.unlearn import base
from mute.unlearn.beside import Beside, answer_logits, trained

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """ULD."""

    weight: float = Field(-0.8, le=0, description="w, weight of the assistant's logits; 0: the base.")
    filter: float = Field(0.1, ge=0, lt=1, description="tau of the filter on the base's likely tokens; 0: none.")
    kind: Literal["assistant", "offset"] = Field(
        "assistant", description="offset: what training has changed in the assistant's logits, and not all of them."
    )
    blocks: int | None = Field(None, ge=1, description="K, blocks of the assistant; null: a quarter of the model's.")
    rank: int = Field(16, ge=1, description="Rank of the assistant's updates.")
    learning_rate: float = Field(5e-3, gt=0, description="Size of the assistant's steps.")
    steps: int = Field(200, ge=1, description="The assistant's steps of AdamW.")
    uniform_weight: float = Field(5.0, ge=0, description="Weight of KL(U || p) on what it must not know.")
    remembers: Literal["forget", "retain"] = Field("forget", description="Which side; `retain` is the control.")
    strengths: list[float] = Field([], description="Not used: the guard is fitted once.")


class Difference(Beside):
    """z = z_base + w z_phi, filtered."""

    name = "uld"

    def __init__(self, fitted: Mapping[str, Tensor], stop: int, weight: float, tau: float, offset: bool) -> None:
        super().__init__(fitted, stop)
        self.weight, self.tau, self.offset = weight, tau, offset

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        if not self.weight:
            return logits
        own = self.beside(where.read).to(logits)
        if self.offset:
            untrained = Beside({}, self.stop)
            assert self.model is not None
            untrained.asked(self.model, [])
            own = own - untrained.beside(where.read).to(logits)
        return combined(logits, own, self.weight, self.tau)


class ULD(base.Guard[Settings]):
    name = "uld"
    paper = "Ji et al. 2024, arXiv 2406.08607"
    bands = ("full",)
    Settings = Settings

    def cost(self) -> base.Cost:
        # A quarter of the blocks, or as many as a setting says; twice where the untrained assistant is read as well.
        texts = (0.25 if self.settings.blocks is None else 1.0) * (1 + (self.settings.kind == "offset"))
        return base.Cost(trains="nothing", passes=1 + self.settings.steps, sides=3, texts=texts)

    def applies(self, view: View) -> str:
        from mute.unlearn.methods.altpo import others

        able = any(others(row) for row in view.forget.to_dict("records"))
        return "" if able else "no forget question has another option, which the assistant must not know"

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": view.forget, "retain": view.retain, "wrong": wrong(view.forget)}

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.engine import sections
        from mute.engine.band import summed
        from mute.unlearn.losses import nll
        from mute.unlearn.methods.me import me

        s, depth = self.settings, sections.depth(task.model)
        if (s.blocks or 0) > depth:
            raise base.NotApplicable(f"the assistant has {s.blocks} blocks, more than the model's {depth}")
        stop = s.blocks or max(1, depth // 4)
        other = "retain" if s.remembers == "forget" else "forget"
        sides = {"own": s.remembers, "other": other} | ({"wrong": "wrong"} if s.remembers == "forget" else {})
        drawn = {key: task.draws(side, s.batch_size, "assistant") for key, side in sides.items()}

        def loss() -> Tensor:
            own = next(drawn["own"])
            remember = nll(*summed(answer_logits(task.model, own, stop), own))
            others = [answer_logits(task.model, next(drawn[key]), stop) for key in drawn if key != "own"]
            return remember + s.uniform_weight * me(torch.cat(others))

        return {**trained(task, range(stop), s.rank, s.learning_rate, [loss] * s.steps), "stop": torch.tensor(stop)}

    def treatment(self, fitted: Mapping[str, Tensor]) -> Difference:
        s, own = self.settings, {key: tensor for key, tensor in fitted.items() if key != "stop"}
        return Difference(own, int(fitted["stop"]), s.weight, s.filter, s.kind == "offset")


def wrong(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have another option, each with one in its answer's place, the same draw each time."""
    from mute.store.artifacts import seed_of
    from mute.unlearn.methods.altpo import others

    records = rows.to_dict("records")
    options = [others(row) for row in records]
    able = [bool(own) for own in options]
    said = [
        row["options"][own[seed_of("uld", row["item"], row["form"]) % len(own)]]
        for row, own in zip(records, options)
        if own
    ]
    return rows[able].assign(answer=said, gold=-1)


def filtered(logits: Tensor, tau: float) -> Tensor:
    """Which tokens the assistant has no say in [N, V]: those that are unlikely to the base; tau 0: none."""
    import torch

    if not tau:
        return torch.zeros_like(logits, dtype=torch.bool)
    logprob = logits.log_softmax(-1)
    best = logprob.sort(-1, descending=True).values
    least = best[..., max(1, int(tau * logits.shape[-1])) - 1]
    return logprob < torch.minimum(least, best[..., 0] + math.log(tau))[..., None]


def combined(logits: Tensor, assistant: Tensor, weight: float, tau: float) -> Tensor:
    """z_base + w z_phi [N, V], where z_phi is 0 for filtered tokens."""
    return logits + weight * assistant.masked_fill(filtered(logits, tau), 0.0)
