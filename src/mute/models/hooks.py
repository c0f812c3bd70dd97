"""Which hooks stand on a model: no path passes one over, and no state that one has changed is taken for the model's.

A hook changes what a module gives; the token tree never calls whole blocks, and cached states are named by weights and
tokens alone. Both ask here first.
"""

from collections.abc import Iterable, Iterator

from torch import nn
from torch.nn.modules import module as modules_of_torch

from mute.models import anatomy
from mute.models.anatomy import Model

# What is told apart: the module, and each thing that stands on it. The thing itself: a number may be given again.
Standing = tuple[tuple[str, object], ...]
_KINDS = ("_forward_hooks", "_forward_pre_hooks")
_OF_ALL = ("_global_forward_hooks", "_global_forward_pre_hooks")
# They write down and change nothing: what `transformers` leaves on a model whose hidden states were once asked for, and
# torch's counter of operations.
_RECORDERS = ("transformers.utils.output_capturing", "torch.utils.module_tracker")


def on(modules: Iterable[tuple[str, nn.Module]]) -> Standing:
    """Every hook, and every `forward` that was put in the place of a module's own, on the modules and all inside."""
    own = tuple(
        (f"{name}.{inner}".strip("."), thing)
        for name, module in modules
        for inner, each in module.named_modules()
        for thing in _of(each)
    )
    everywhere = (hook for kind in _OF_ALL for hook in getattr(modules_of_torch, kind).values())
    return (*own, *(("every module", hook) for hook in everywhere if not _records(hook)))


def _records(hook: object) -> bool:
    return getattr(hook, "__module__", "") in _RECORDERS


def _of(module: nn.Module) -> Iterator[object]:
    own = vars(module)
    for kind in _KINDS:
        yield from (hook for hook in own[kind].values() if not _records(hook))
    if "forward" in own:
        yield own["forward"]


def below(model: Model, block: int) -> Standing:
    """What stands on the embeddings and on all blocks below `block`: what has passed into states at its input."""
    return on(anatomy.passed(model, block))


def on_blocks(model: Model, blocks: Iterable[int]) -> Standing:
    """What stands on some blocks or inside them."""
    layers = anatomy.blocks(model)
    return on((f"block {block}", layers[block]) for block in blocks)


def listed(standing: Standing) -> str:
    """The modules that hooks stand on, in words."""
    return ", ".join(dict.fromkeys(name for name, _ in standing)) or "none"
