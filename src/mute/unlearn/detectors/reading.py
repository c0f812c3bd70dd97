"""What detectors read of prompts: their letters, their states at a block, their keys in an MLP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model
    from mute.models.tokenizer import Encoder


def middle(model: Model, block: int | None) -> int:
    """The block at whose input states are read; None: the middle one. Raises NotApplicable where there is none such."""
    from mute.engine import sections
    from mute.unlearn.base import NotApplicable

    depth = sections.depth(model)
    if block is not None and block > depth:
        raise NotApplicable(f"the detector reads block {block} of a model of {depth} blocks")
    return depth // 2 if block is None else block


def begins(encoder: Encoder) -> int:
    """How many tokens stand before every text: they are the same for all, and tell nothing."""
    return len(encoder.start)


def states(model: Model, prompts: Sequence[Sequence[int]], block: int, begin: int = 0) -> list[Tensor]:
    """For each prompt its states [T, D] at the input of `block`, on the CPU; without the first `begin`, if more follow.

    Block L, the model's depth, is what its last block gives.
    """
    import torch

    from mute.engine import sections

    if not prompts:
        return []
    with torch.no_grad():
        texts = sections.Texts(model, [list(prompt) for prompt in prompts])
        texts.advance(block)
    own = texts.states.cpu().split(texts.lengths.tolist())
    return [each[begin:] if len(each) > begin else each for each in own]


def keys(model: Model, prompts: Sequence[Sequence[int]], block: int) -> Tensor:
    """Input [N, D_ff] of the output matrix of `block`'s MLP at the last token of each prompt, float64, on the CPU."""
    import torch

    from mute.engine import moments, sections

    texts = sections.Texts(model, [list(prompt) for prompt in prompts])
    found: list[Tensor] = [torch.empty(0)] * len(prompts)
    with torch.no_grad():
        texts.advance(block)
        for rows in texts.batches:
            index = texts.positions(sections.in_fours(rows))
            with moments.inputs(model, block) as seen:
                sections.run(model, texts.at(index), block, block + 1, ids=texts.ids[index])
            for row, own in zip(rows, seen[0][:, -1].double().cpu()):
                found[row] = own
    return torch.stack(found)


def letters(encoder: Encoder) -> list[bytes]:
    """What each token writes, in UTF-8; special tokens write nothing. A letter may be cut between two tokens."""
    tokenizer = encoder.tokenizer
    listed = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_ids)
    # Tokenizers that cut bytes write each with a letter of its own: the two of "é" are then "Ã©".
    of_bytes = "Ã" in "".join(tokenizer.convert_ids_to_tokens(encoder.plain("é")))
    known = _bytes() if of_bytes else {}
    return [
        b"" if token is None or number in special else _written(token, known) for number, token in enumerate(listed)
    ]


def _written(token: str, known: dict[str, int]) -> bytes:
    if known and all(letter in known for letter in token):
        return bytes(known[letter] for letter in token)
    return token.replace("\u2581", " ").encode()


def _bytes() -> dict[str, int]:
    """The byte that each letter stands for in vocabularies of bytes, as GPT-2 began it.

    Bytes that are visible letters in Latin-1 stand for themselves, all others for letters from 256 on, in their order.
    """
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(visible)]
    return {chr(byte): byte for byte in visible} | {chr(256 + place): byte for place, byte in enumerate(others)}


def packed(texts: Sequence[bytes]) -> tuple[Tensor, Tensor]:
    """Texts as tensors: all bytes, one after the other, and the length of each."""
    import torch

    return torch.tensor(list(b"".join(texts)), dtype=torch.uint8), torch.tensor([len(text) for text in texts])


def unpacked(written: Tensor, lengths: Tensor) -> list[bytes]:
    """The texts that `packed` has made tensors of."""
    whole, at, found = bytes(written.tolist()), 0, []
    for length in lengths.tolist():
        found.append(whole[at : at + length])
        at += length
    return found
