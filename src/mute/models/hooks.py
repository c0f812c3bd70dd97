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
# Whose classes and forwards are a model's own; what computes a weight each time it is read is not.
_OWN = ("torch", "transformers")
_COMPUTED = "torch.nn.utils.parametrize"


def on(modules: Iterable[tuple[str, nn.Module]], computed: bool = True) -> Standing:
    """Every hook and everything that was put in the place of a module's own, on the modules and all inside.

    In its place: another `forward`, of the module or of its class; another class. computed: weights, too, that are
    computed when they are read.
    """
    own = tuple(
        (f"{name}.{inner}".strip("."), thing)
        for name, module in modules
        for inner, each in module.named_modules()
        for thing in _of(each)
        if computed or not ("parametrizations" in inner or getattr(thing, "__module__", "") == _COMPUTED)
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
    yield from (part for part in (type(module), type(module).forward) if not _is_own(part))


def _is_own(part: object) -> bool:
    where = getattr(part, "__module__", "")
    return where.partition(".")[0] in _OWN and where != _COMPUTED


def below(model: Model, block: int) -> Standing:
    """What stands on the embeddings and on all blocks below `block`: what has passed into states at its input."""
    return on(anatomy.passed(model, block))


def on_blocks(model: Model, blocks: Iterable[int]) -> Standing:
    """What stands on some blocks or inside them, or on the positions that they read."""
    layers = anatomy.blocks(model)
    parts = ((f"block {block}", layers[block]) for block in blocks)
    # Whoever runs a block's parts reads the weights that they have, computed ones too.
    return on([*anatomy.positions(model), *parts], computed=False)


def listed(standing: Standing) -> str:
    """The modules that hooks stand on, in words."""
    return ", ".join(dict.fromkeys(name for name, _ in standing)) or "none"
