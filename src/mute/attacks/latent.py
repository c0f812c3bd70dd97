"""Latent noise: states at the last token of a question are moved by a random direction in proportion to their length.

Ours, after the perturbations of arXiv 2407.15549, but drawn and not searched for. At the input of a block, h + a |h| u
with u of length 1; only from the last token of the prompt on, since every token of an answer is the last one when the
next is asked for. Of a question the direction is always the same: it hangs on the attack's seed, the block and the
prompt's tokens, and on nothing that runs beside it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field, NonNegativeInt

from mute.attacks import base

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import pandas as pd
    from torch import Tensor

    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Latent noise."""

    length: float = Field(0.3, ge=0, le=10, description="a, how far relative to the state's length; 0: as it is.")
    blocks: list[NonNegativeInt] = Field([], description="Blocks whose input is moved; none: those of the band.")
    tokens: int = Field(1, ge=1, description="How many tokens at the end of the question are moved.")
    draw: int = Field(0, ge=0, description="Which of the random directions.")


OfLatent = TypeVar("OfLatent", bound=Settings)


class Moving(base.Attack[OfLatent]):
    """An attack that moves the states of the last tokens along a direction of its own."""

    access = "states"

    def __init__(self, settings: OfLatent, victim: base.Victim) -> None:
        super().__init__(settings, victim)
        # Before any question is known, the last token alone is moved.
        self.prompts: set[tuple[int, ...]] = set()
        self.lengths: list[int] = []

    @classmethod
    def stands_on(cls, settings: OfLatent) -> tuple[str, ...]:
        return tuple(key for key in cls.depends if key != "band" or not settings.blocks)

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """Blocks of the model whose input is moved."""
        depth = self.victim.model.config.num_hidden_layers
        return tuple(block for block in self.settings.blocks or self.usual(depth) if block < depth)

    def usual(self, depth: int) -> Sequence[int]:
        """Blocks of a model of this depth, where the settings name none."""
        return self.victim.band.blocks

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """All; none where the model has none of the blocks."""
        import numpy as np

        return np.full(len(rows), bool(self.blocks))

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows themselves: their prompts say where states are moved."""
        self.start = min(self.blocks)
        self._hear([self.victim.encoder.prompt(prefix) for prefix in rows["prefix"]])
        return rows

    def asked(self, model: Model, prompts: Sequence[Sequence[int]]) -> None:
        """The prompts that the model reads: what a guard has put before a question is one with it."""
        if prompts:
            self._hear(prompts)

    def _hear(self, prompts: Iterable[Sequence[int]]) -> None:
        self.prompts = set(map(tuple, prompts))
        self.lengths = sorted({len(prompt) for prompt in self.prompts})

    def prompt(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """The shortest prompt that some tokens begin with, or nothing: it hangs on no token after it."""
        found = (tuple(tokens[:length]) for length in self.lengths if length <= len(tokens))
        return next((own for own in found if own in self.prompts), ())

    def direction(self, block: int, prompt: tuple[int, ...]) -> Tensor:
        """Where to [D], of length 1."""
        raise NotImplementedError

    def states(self, block: int, hidden: Tensor, ids: Tensor) -> Tensor:
        import torch

        if not self.settings.length or block not in self.blocks:
            return hidden
        prompts = [self.prompt(row) for row in ids.tolist()]
        # Of an unknown prompt, as of a token that is read alone, the last state is the one that is moved.
        first = [max(0, len(own) - self.settings.tokens) if own else ids.shape[1] - 1 for own in prompts]
        places = torch.arange(ids.shape[1]) >= torch.tensor(first)[:, None]
        directions = torch.stack([self.direction(block, own) for own in prompts]).to(hidden)[:, None]
        return torch.where(places[..., None].to(hidden.device), moved(hidden, directions, self.settings.length), hidden)


class Latent(Moving[Settings]):
    name = "latent"
    paper = "ours; Sheshadri et al. 2024, arXiv 2407.15549"
    depends: ClassVar[tuple[str, ...]] = ("band",)
    Settings = Settings

    def direction(self, block: int, prompt: tuple[int, ...]) -> Tensor:
        return drawn(self.victim.model.config.hidden_size, self.victim.seed, self.settings.draw, block, *prompt)


def moved(states: Tensor, direction: Tensor, length: float) -> Tensor:
    """States [..., D] by `length` times their own length along a direction [..., D]: h + a |h| u."""
    return states + length * states.norm(dim=-1, keepdim=True) * direction


def drawn(size: int, *seeds: int) -> Tensor:
    """A direction [D] of length 1, uniform on the sphere; the same seeds give the same."""
    import torch

    from mute.store.artifacts import seed_of

    u = torch.randn(size, generator=torch.Generator().manual_seed(seed_of("direction", *seeds)))
    return u / u.norm()
