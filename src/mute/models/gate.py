"""A gate: a filter on token embeddings that refuses instead of forgetting.

At every token a linear probe reads the mean embedding of the sequence so far; where it fires, a fixed state takes the
place of the token's embedding. No weight changes. It is the baseline of an edit that is no better than a word filter.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

PREFIX = "gate."
WEIGHT, BIAS, STATE = (PREFIX + name for name in ("weight", "bias", "state"))


def running_means(embedded: Any, ids: Any, start: int) -> Any:
    """Mean embedding [B, T, D] (float64) of each token and all before it in its sequence.

    embedded [B, T, D], ids [B, T]. A sequence begins at the token `start`, wherever that stands in a row.
    """
    import torch

    place = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    first = torch.where(ids == start, place, 0).cummax(dim=1).values
    sums = embedded.double().cumsum(dim=1)
    before = (sums - embedded.double()).gather(1, first[..., None].expand_as(sums))
    return (sums - before) / (place - first + 1)[..., None]


def beginning(model: Any) -> int:
    """The token with which every sequence begins. Raises ValueError for a model that has none."""
    start = model.config.bos_token_id
    if start is None:
        raise ValueError("a gate needs a token that begins every sequence, and this model has none")
    return start


@contextmanager
def installed(model: Any, tensors: dict[str, Any]) -> Generator[None]:
    """Put the gate before the model's first block, and take it away again."""
    import torch

    embedding, start = model.get_input_embeddings(), beginning(model)

    def filtered(module: Any, args: Any, embedded: Any) -> Any:
        scores = running_means(embedded, args[0], start) @ tensors[WEIGHT].double() + tensors[BIAS].double()
        return torch.where((scores > 0)[..., None], tensors[STATE].to(embedded), embedded)

    hook = embedding.register_forward_hook(filtered)
    try:
        yield
    finally:
        hook.remove()
