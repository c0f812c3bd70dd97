"""What a model writes on its own: the likeliest next token, again and again, without a cache of keys and values."""

from collections.abc import Sequence

import torch

from mute.engine import sections
from mute.models.anatomy import Model

TOKENS = 8192


@torch.no_grad()
def greedy(model: Model, prompts: Sequence[list[int]], most: Sequence[int]) -> list[list[int]]:
    """For each prompt the tokens that the model writes after it, as many as `most` says."""
    said: list[list[int]] = [[] for _ in prompts]
    while waiting := [i for i, own in enumerate(said) if len(own) < most[i]]:
        sequences = [prompts[i] + said[i] for i in waiting]
        for rows in sections.exact_batches(sequences, TOKENS):
            ids = torch.tensor([sequences[row] for row in rows], device=model.device)
            hidden = sections.run(model, sections.embed(model, ids), 0, sections.depth(model))
            for row, token in zip(rows, sections.read_out(model, hidden[:, -1]).argmax(-1).tolist()):
                said[waiting[row]].append(token)
    return said
