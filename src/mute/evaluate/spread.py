"""Mean and spread of log p under p where tokens of answers are read: by them a token is held against its rivals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mute.corpus import strangers

if TYPE_CHECKING:
    from torch import Tensor

    from mute.evaluate.scoring import Queries

# Questions whose tokens are looked at.
SETS = ("facts", strangers.ASKED)
# Points whose distributions are looked at together: with a large vocabulary all of them take more room than the model.
CHUNK = 256


def moments(logprobs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of log p under p, in nats, of log-probabilities [N, V]: each [N], of their type.

    A token of no probability counts nothing.
    """
    probs = logprobs.exp()
    finite = logprobs.where(probs > 0, 0.0)
    mean = (probs * finite).sum(-1)
    return mean, (probs * (finite - mean[:, None]).square()).sum(-1).sqrt()


class Spread:
    """What is seen of one subject while it is asked: `mean` and `spread` by read of a gold answer, NaN elsewhere."""

    def __init__(self, queries: Queries) -> None:
        sizes = torch.tensor([len(gold) for gold in queries.golds])
        asked = torch.tensor(queries.rows["set"].isin(SETS).to_numpy(bool))
        self.asked = torch.repeat_interleave(asked, sizes)
        self.mean, self.spread = (torch.full((queries.gold_reads,), torch.nan) for _ in range(2))

    def see(self, reads: Tensor, logprobs: Tensor, owner: Tensor) -> None:
        """Reads of gold answers, log-probabilities [points, V], and the point of each read (as `scoring.Watch`)."""
        wanted = self.asked[reads]
        reads, owner = reads[wanted], owner[wanted.to(owner.device)]
        points, place = torch.unique(owner, return_inverse=True)
        for number, part in enumerate(points.split(CHUNK)):
            own = (place // CHUNK == number).cpu()
            at = place.cpu()[own] - number * CHUNK
            mean, deviation = (x.cpu()[at] for x in moments(logprobs[part].float()))
            self.mean[reads[own]], self.spread[reads[own]] = mean, deviation
