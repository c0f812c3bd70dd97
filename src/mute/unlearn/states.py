"""What methods need that compare the band's outputs with those before unlearning: these, a cosine, a first way off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task


def frozen(task: Task, name: str) -> Iterator[tuple[Batch, Tensor]]:
    """Batches that hold every text of a side once, each with its frozen outputs [B, T, D]."""
    import torch

    side = task.side(name)
    for rows in map(torch.tensor, side.texts.batches):
        batch = side.batch(rows, states=False)
        yield batch, task.frozen_output(batch)


def tilt(task: Task, norm: Tensor, share: float) -> Tensor:
    """What is added [D] to states before unlearning where a loss drives states away from them.

    At the start states are their own origin, where a cosine is largest and has no gradient but rounding, of which AdamW
    makes steps. `share` of the mean norm along one random direction gives all tokens the same first way to go.
    """
    from mute.store.artifacts import seed_of
    from mute.unlearn.losses import steering_direction

    direction = steering_direction(task.model.config.hidden_size, seed_of(task.seed, "tilt"))
    return share * norm * direction.to(norm)


def cosine(states: Tensor, origin: Tensor) -> Tensor:
    """Cosine of states and their origin [..., D]; no number where a state is too long to have a length."""
    from torch.nn.functional import cosine_similarity

    # An infinite length would make it 0, which is what is asked for, of a run that has blown up.
    return cosine_similarity(states, origin, dim=-1).where(states.norm(dim=-1).isfinite(), float("nan"))
