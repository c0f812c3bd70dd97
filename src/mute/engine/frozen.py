"""The final norm and the head of a model as they are now, for when they train."""

import copy

from torch import nn

from mute.models import anatomy
from mute.models.anatomy import Model


def head(model: Model) -> Model:
    """A view of the model whose final norm and head are copies; all else it shares. `sections.read_out` reads it."""
    known, own = anatomy.anatomy(model), model.get_output_embeddings()
    kept, core = copy.copy(model), copy.copy(anatomy.backbone(model))
    core._modules = dict(core._modules)
    core._modules[known.final_norm] = copy.deepcopy(anatomy.final_norm(model)).requires_grad_(False)
    kept._modules = {name: _copy(part) if part is own else part for name, part in model._modules.items()}
    kept._modules[known.backbone] = core
    return kept


def _copy(module: nn.Module) -> nn.Module:
    """Of a head that is tied to the embeddings, a matrix of its own."""
    return copy.deepcopy(module).requires_grad_(False)
