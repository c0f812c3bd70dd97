"""States of prompts at one token each, block by block; and that token's place. N prompts, D hidden."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model
    from mute.models.tokenizer import Encoder


def by_block(
    model: Model, prompts: Sequence[list[int]], places: Sequence[int], first: int
) -> Iterator[tuple[int, Tensor]]:
    """Each block from `first` on, with the states [N, D] at its output at one place of each prompt, float64 on the CPU.

    Below `first` the model must be its base, whose states may be kept on disk; of what lies above nothing is. It ends
    before a block whose states are no numbers: nothing can be read off these, or above.
    """
    import torch

    from mute.engine import sections

    texts = sections.Texts(model, list(prompts))
    texts.advance(first)
    texts.cache = None
    at = texts.offsets + torch.tensor(list(places))
    for block in range(first, sections.depth(model)):
        texts.advance(block + 1)
        found = texts.states[at.to(texts.states.device)].cpu().double()
        if not bool(found.isfinite().all()):
            return
        yield block, found


def end_of(encoder: Encoder, prefix: str, name: str) -> int:
    """The place of the last token of a name in a prompt, or of the prompt itself if it does not stand there."""
    whole = encoder.prompt(prefix)
    if not name or name not in prefix:
        return len(whole) - 1
    begun = encoder.prompt(prefix[: prefix.rindex(name) + len(name)])
    # What follows may be one token with the name's last letters: the token is then not the name's alone.
    shared = next((i for i, (a, b) in enumerate(zip(whole, begun)) if a != b), min(len(whole), len(begun)))
    return max(0, shared - 1)
