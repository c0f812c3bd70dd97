"""Whether the engine runs a model as the model runs itself: asked once of every pretrained model that is opened."""

import torch

from mute.engine import sections
from mute.models.anatomy import Model

# Largest difference of two logits, as a share of the largest logit: the same sums, at most in another order.
_ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
ROWS, TOKENS = 4, 24


@torch.no_grad()
def check(model: Model, blocks: int) -> None:
    """Raise ValueError unless the model has so many blocks, and its parts lead from any of them to its own logits.

    A family may do something between its blocks that nobody has described, or a new version of transformers may.
    """
    depth = sections.depth(model)
    if depth != blocks:
        raise ValueError(f"the configuration says that the model has {blocks} blocks, but it has {depth}")
    bad = [name for name, p in model.named_parameters() if not bool(p.isfinite().all())]
    if bad:
        raise ValueError(f"{len(bad)} tensors of the model hold values that are no numbers (NaN or infinite): {bad[0]}")
    entries = model.get_input_embeddings().get_parameter("weight").shape[0]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, entries, (ROWS, TOKENS), generator=generator).to(model.device)
    whole = model(input_ids=ids, use_cache=False, return_dict=True).logits.float()
    hidden = sections.embed(model, ids)
    for start, stop in ((0, depth // 2), (depth // 2, depth)):
        apart = float((sections.logits(model, hidden, start) - whole).abs().max())
        if not apart <= _ROUNDING[model.dtype] * float(whole.abs().max()):
            raise ValueError(
                f"models of type {model.config.model_type!r} cannot be run in parts by this version of transformers: "
                f"from block {start} on, logits differ by {apart:.2g}. Describe what the family does between its "
                "blocks in src/mute/models/anatomy.py and src/mute/engine/sections.py"
            )
        hidden = sections.run(model, hidden, start, stop)
