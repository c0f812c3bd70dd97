"""Keys: the inputs of the output projection of a block's MLP, and their second moment over a text set.

Closed-form edits read both (ROME, MEMIT, AlphaEdit). N tokens, D_ff features inside the MLP.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from torch import Tensor, nn

from mute.engine import cache, sections
from mute.models import anatomy, hooks
from mute.models.anatomy import Model
from mute.store import artifacts
from mute.store.provenance import code_digest

# Keys that are multiplied at once: in float64 they take twice the room of the states that they were made of.
CHUNK = 2048


def projection(model: Model, block: int) -> nn.Module:
    """The output projection of the MLP of `block`, a linear layer from D_ff to D."""
    known = anatomy.anatomy(model)
    return model.get_submodule(known.block_prefix(block) + known.mlp_output)


@contextmanager
def inputs(model: Model, block: int) -> Generator[list[Tensor]]:
    """A list that takes the keys [B, T, D_ff] of each forward that runs `block` while this is open."""
    seen: list[Tensor] = []
    hook = projection(model, block).register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        yield seen
    finally:
        hook.remove()


def second(keys: Iterable[Tensor]) -> Tensor:
    """Mean of k k' over all rows k of the tensors [N, D_ff], summed in float64: [D_ff, D_ff]."""
    total, count = None, 0
    for some in keys:
        for part in some.split(CHUNK):
            exact = part.double()
            total = exact.T @ exact if total is None else total.addmm_(exact.T, exact)
            count += len(part)
    if total is None:
        raise ValueError("a covariance needs at least one token")
    return total / count


def shared(model: Model, texts: sections.Texts, lengths: Tensor, block: int, compute: Callable[[], Tensor]) -> Tensor:
    """The second moment of `sections.Texts` of so many real tokens each, read from the jobs' common store if there.

    With no prefix cache attached to the model, with hooks on what the keys have passed, or with nothing in the store
    yet, it is what `compute` gives.
    """
    prefixes = cache.of(model)
    if prefixes is None or hooks.below(model, block + 1):
        return compute()
    # The key of the states that `block` gives covers all that its keys depend on.
    facts = {
        "quantity": "covariance",
        "states": prefixes.key(model, texts.ids, texts.lengths, block + 1),
        "lengths": lengths.tolist(),
        "code": code_digest("mute.engine.moments", "mute.engine.band"),
    }
    return prefixes.fitted.tensors(artifacts.digest(facts), lambda: {"moment": compute()})["moment"].to(model.device)
