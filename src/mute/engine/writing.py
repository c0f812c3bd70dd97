"""What a model writes on its own: the likeliest next token, or a drawn one, again and again, with a cache.

Sequences of one length run together, so that nothing is padded and no mask is needed: first whole, then by one token
each. The plain path, which runs every sequence again for every token, gives the same tokens; it is taken where
something stands on the model that looks at more than one token, and tests hold the two together.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mute.engine import sections
from mute.jobs import progress
from mute.models import anatomy, hooks
from mute.models.anatomy import Model

# Tokens of sequences that run together, those that are still to be written among them: what their cache may hold.
TOKENS = 8192
# Hears a token of a sequence, and says whether the next one is wanted.
Hear = Callable[[int, int], bool]
# What takes the place of logits [B, V], given the tokens that were read before each.
Treat = Callable[[Tensor, list[list[int]]], Tensor]
# The next tokens [B] from logits [B, V] and the numbers of their prompts.
Draw = Callable[[Tensor, list[int]], Tensor]
# The same, given what was read before each, too.
_Next = Callable[[Tensor, list[list[int]], list[int]], list[int]]


def greedy(model: Model, prompts: Sequence[list[int]], most: Sequence[int]) -> list[list[int]]:
    """For each prompt the tokens that the model writes after it, as many as `most` says."""
    said: list[list[int]] = [[] for _ in prompts]

    def hear(i: int, token: int) -> bool:
        said[i].append(token)
        return len(said[i]) < most[i]

    asked = [i for i, wanted in enumerate(most) if wanted]
    write(model, [prompts[i] for i in asked], [most[i] for i in asked], lambda i, token: hear(asked[i], token))
    return said


@torch.no_grad()
def write(
    model: Model,
    prompts: Sequence[list[int]],
    most: Sequence[int],
    hear: Hear,
    *,
    mixed: Mapping[int, float] | None = None,
    treat: Treat | None = None,
    draw: Draw | None = None,
    plain: bool = False,
) -> None:
    """Write after each prompt, one token at least, until `hear`, which is given its number and the token, has enough.

    most: how many tokens may be wanted of each. mixed: as in `sections.run_mixed`. treat: what is done to logits.
    draw: what chooses the tokens; without it they are the likeliest. plain: without a cache of keys and values.
    """

    def following(logits: Tensor, read: list[list[int]], rows: list[int]) -> list[int]:
        treated = logits if treat is None else treat(logits, read)
        return (treated.argmax(-1) if draw is None else draw(treated, rows)).tolist()

    go_on = _plain if plain or mixed or hooks.below(model, sections.depth(model)) else _cached
    with progress.counting(sum(most), "token") as count:
        for rows in _batches(prompts, most):
            go_on(model, [list(prompts[row]) for row in rows], rows, hear, mixed or {}, following)
            count(sum(most[row] for row in rows))


def _batches(prompts: Sequence[list[int]], most: Sequence[int]) -> list[list[int]]:
    """Rows of prompts of one length that fit together with all that may be written after them, the shortest first."""
    by_length: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(row)
    batches = []
    for length, rows in sorted(by_length.items()):
        # Those of which as much is wanted end together.
        rows.sort(key=most.__getitem__)
        size = max(2, TOKENS // (length + most[rows[-1]]))
        batches += [rows[i : i + size] for i in range(0, len(rows), size)]
    return batches


def _cached(
    model: Model, read: list[list[int]], rows: list[int], hear: Hear, mixed: Mapping[int, float], following: _Next
) -> None:
    """Write after `read`, the sequences of numbers `rows`, all of one length."""
    from transformers import DynamicCache

    core = anatomy.backbone(model)
    # By its configuration: blocks with a sliding window keep no more than that.
    kept = DynamicCache(config=core.config)
    new = torch.tensor(read, device=model.device)
    while rows:
        normed = core(input_ids=new, past_key_values=kept, use_cache=True).last_hidden_state[:, -1]
        tokens = following(anatomy.head(model, normed), read, rows)
        going = [place for place, (row, token) in enumerate(zip(rows, tokens)) if hear(row, token)]
        if 0 < len(going) < len(rows):
            kept.batch_select_indices(torch.tensor(going, device=model.device))
        rows, read = [rows[place] for place in going], [[*read[place], tokens[place]] for place in going]
        new = torch.tensor([own[-1:] for own in read], device=model.device)


def _plain(
    model: Model, read: list[list[int]], rows: list[int], hear: Hear, mixed: Mapping[int, float], following: _Next
) -> None:
    """The same, each sequence run whole for each token."""
    while rows:
        ids = torch.tensor(read, device=model.device)
        hidden = sections.run_mixed(model, sections.embed(model, ids), 0, mixed, ids=ids)
        tokens = following(sections.read_out(model, hidden[:, -1]), read, rows)
        going = [place for place, (row, token) in enumerate(zip(rows, tokens)) if hear(row, token)]
        rows, read = [rows[place] for place in going], [[*read[place], tokens[place]] for place in going]
