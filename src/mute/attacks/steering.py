"""Steering reversal: states are moved against the direction in which unlearning moves them.

The direction is that of another model: the attacker unlearns half of the facts that were to be kept, by gradient
difference, and compares that auxiliary model with the attacked one, which it was made from. With h_u and h_0 [N, D] the
states of the two at the last token of N prompts, g = s / |s| for s = sum (h_u/|h_u| - h_0/|h_0|), and for each question
h - a |h| g at its last position, over some blocks. The form is known from a third party's review of published code, the
auxiliary model is ours. The control is a random direction of the same length.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from mute.attacks import base, latent, retraining

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import TextSet


class Settings(latent.Settings):
    """Steering reversal."""

    blocks: list[NonNegativeInt] = Field([], description="Blocks whose input is moved; none: those of the window.")
    window: int = Field(3, ge=1, description="How many blocks from the one after the band's first, if none are named.")
    direction: Literal["unlearned", "random"] = Field(
        "unlearned", description="From the auxiliary model, or a random one: the control."
    )
    steps: int = Field(20, ge=1, description="Steps of AdamW that make the auxiliary model.")
    learning_rate: float = Field(1e-3, gt=0, description="AdamW step size.")
    batch_size: int = Field(24, ge=2, le=100_000, description="Sequences of each side in a step.")


class Steering(latent.Moving[Settings]):
    name = "steering"
    paper = "ours, after a review of published code: no id is known"
    depends: ClassVar[tuple[str, ...]] = ("sources", "band")
    Settings = Settings

    @classmethod
    def cost(cls, settings: Settings) -> base.Cost:
        trains = settings.direction == "unlearned" and settings.length > 0
        return base.Cost(steps=settings.steps, batch=2 * settings.batch_size) if trains else base.Cost()

    def usual(self, depth: int) -> Sequence[int]:
        # The input of the last block, if the band has no block after it.
        first = min(self.victim.band.start + 1, depth - 1)
        return range(first, first + self.settings.window)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """All; none where there are no facts of two subjects from which a direction could be made."""
        found = super().asks(rows)
        if self.settings.direction == "unlearned" and any(half.empty for half in self.halves):
            found[:] = False
        return found

    @cached_property
    def halves(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Retain texts in source languages, parted by subject: what the auxiliary model unlearns, and what it keeps."""
        v = self.victim
        rows = retraining.retain_rows(v.corpus, v.sources, v.forget_set)
        facts = v.corpus.facts.set_index("item")["subject"]
        subjects = rows["item"].map(facts).where(rows["item"].map(facts) != "", rows["item"])
        first = subjects.isin(retraining.half(subjects, v.seed, "auxiliary"))
        return rows[first], rows[~first]

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        s = self.settings
        if s.direction == "unlearned" and s.length:
            # Now, while nothing of the attack stands in the model.
            self.directions = self._fitted()
        else:
            size, seed = self.victim.model.config.hidden_size, self.victim.seed
            self.directions = {block: latent.drawn(size, seed, s.draw, block) for block in self.blocks}
        return super().questions(rows)

    def direction(self, block: int, prompt: tuple[int, ...]) -> Tensor:
        return -self.directions[block]

    def _fitted(self) -> dict[int, Tensor]:
        """By block, g [D] at its input."""
        import torch

        from mute.bands import Band
        from mute.engine import sections
        from mute.engine.band import Task, TextSet
        from mute.unlearn.methods import gradient_difference

        v, s = self.victim, self.settings
        forget, retain = (TextSet(v.model, rows, v.encoder) for rows in self.halves)
        task = Task(v.model, Band(tuple(range(sections.depth(v.model))), full=True), forget, retain, v.seed)
        method = gradient_difference.GradientDifference(gradient_difference.Settings())
        draws = {side: task.draws(side, s.batch_size, "steering") for side in ("forget", "retain")}
        before = last_states(forget, self.blocks)

        def loss() -> Tensor:
            return method.loss(task, {side: next(own) for side, own in draws.items()})

        names = [name for name, _ in v.model.named_parameters()]
        with torch.enable_grad(), task.descend(names, loss, s.steps, s.learning_rate):
            after = last_states(forget, self.blocks)
        return {block: unlearning_direction(after[block], before[block]) for block in self.blocks}


def last_states(texts: TextSet, blocks: tuple[int, ...]) -> dict[int, Tensor]:
    """States [N, D] at the input of some blocks at the last token of each prompt, of the model as it is now."""
    own, found = texts.texts, {}
    # States of a model that is gone at once are of use to no other job.
    own.cache = None
    own.restart()
    for block in sorted(set(blocks)):
        own.advance(block)
        found[block] = own.at(own.offsets + texts.first - 1).clone()
    own.restart()
    return found


def unlearning_direction(unlearned: Tensor, original: Tensor) -> Tensor:
    """g [D] of length 1: the sum over N items of how the directions of their states [N, D] differ."""
    s = (unlearned / unlearned.norm(dim=-1, keepdim=True) - original / original.norm(dim=-1, keepdim=True)).sum(0)
    return s / s.norm()
