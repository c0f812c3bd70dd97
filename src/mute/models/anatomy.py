"""The one place that knows what the parts of each architecture are called.

Parameters are chosen by name, never by position: the sixth one is `down_proj` on Llama, `o_proj` on Qwen2 and a layer
norm on BLOOM.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeAlias

from mute.bands import Band
from mute.names import unknown_name

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

# A causal language model of any family; by its name, for neither torch nor transformers is imported here.
Model: TypeAlias = "PreTrainedModel"


@dataclass(frozen=True)
class Anatomy:
    """Names of the parts of a causal language model, relative to the model, and of a block's parts to the block.

    between_norms: whether norms stand behind a block's parts, too, and bound what it can add.
    """

    backbone: str
    blocks: str
    embeddings: str
    embedding_norm: str | None
    final_norm: str
    mlp_output: str
    attention: tuple[str, ...]
    between_norms: bool = False

    def block_prefix(self, block: int) -> str:
        return f"{self.backbone}.{self.blocks}.{block}."


_LLAMA = Anatomy(
    backbone="model",
    blocks="layers",
    embeddings="embed_tokens",
    embedding_norm=None,
    final_norm="norm",
    mlp_output="mlp.down_proj",
    attention=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
)
_BLOOM = Anatomy(
    backbone="transformer",
    blocks="h",
    embeddings="word_embeddings",
    embedding_norm="word_embeddings_layernorm",
    final_norm="ln_f",
    mlp_output="mlp.dense_4h_to_h",
    # BLOOM keeps queries, keys and values in one matrix.
    attention=("self_attention.query_key_value", "self_attention.dense"),
)
_GPT_NEOX = Anatomy(
    backbone="gpt_neox",
    blocks="layers",
    embeddings="embed_in",
    embedding_norm=None,
    final_norm="final_layer_norm",
    mlp_output="mlp.dense_4h_to_h",
    attention=("attention.query_key_value", "attention.dense"),
)
# `model_type` of the configuration, as transformers writes it. What a family does beside its names (Gemma's scaled
# embeddings, sliding windows, norms of queries and keys) stands inside its modules, which the engine runs as they are.
ANATOMIES: dict[str, Anatomy] = {
    "bloom": _BLOOM,
    "gemma": _LLAMA,
    "gemma2": replace(_LLAMA, between_norms=True),
    "gemma3_text": replace(_LLAMA, between_norms=True),
    "gpt_neox": _GPT_NEOX,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}


def anatomy(model: Model) -> Anatomy:
    """The anatomy of a model. Raises ValueError for a family that nobody has described yet."""
    family = model.config.model_type
    if family not in ANATOMIES:
        raise ValueError(unknown_family(family))
    return ANATOMIES[family]


def unknown_family(family: object) -> str:
    """The message for a family that nobody has described yet: what to add, and where."""
    names = ", ".join(field.name for field in fields(Anatomy))
    return (
        f"{unknown_name('family (model_type)', family, ANATOMIES)} To add it, describe it in ANATOMIES of "
        f"src/mute/models/anatomy.py by the names of its parts in transformers ({names}), and add a small random "
        "model of it to tests/families.py: the tests then show whether it runs exactly"
    )


def backbone(model: Model) -> Model:
    return getattr(model, anatomy(model).backbone)


def blocks(model: Model) -> "nn.ModuleList":
    """The ModuleList of decoder blocks."""
    return getattr(backbone(model), anatomy(model).blocks)


def positions(model: Model) -> list[tuple[str, "nn.Module"]]:
    """What gives every block its rotations, by name, where the family has it."""
    return [(name, part) for name, part in backbone(model).named_children() if name == "rotary_emb"]


def passed(model: Model, block: int) -> list[tuple[str, "nn.Module"]]:
    """What states at the input of `block` have passed, by name: embeddings, positions, and all blocks below it."""
    known, core = anatomy(model), backbone(model)
    parts = [known.embeddings, *filter(None, [known.embedding_norm])]
    below = ((f"block {i}", each) for i, each in enumerate(blocks(model)[:block]))
    return [*((part, getattr(core, part)) for part in parts), *positions(model), *below]


def final_norm(model: Model) -> "nn.Module":
    return getattr(backbone(model), anatomy(model).final_norm)


def head(model: Model, normed: "Tensor") -> "Tensor":
    """Logits [..., V] in float32 from states [..., D] past the final norm."""
    logits, cap = model.get_output_embeddings()(normed), getattr(model.config, "final_logit_softcapping", None)
    # Gemma 2 keeps logits within +-cap; in the model's own type, as its family does.
    return (logits if cap is None else (logits / cap).tanh() * cap).float()


def block_parameters(model: Model, band: Iterable[int]) -> list[str]:
    """Names of every parameter of the blocks in `band`, in the model's order."""
    prefixes = tuple(anatomy(model).block_prefix(block) for block in band)
    return [name for name, _ in model.named_parameters() if name.startswith(prefixes)]


def band_parameters(model: Model, band: Band) -> list[str]:
    """Names of the parameters that a band lets change, in the model's order."""
    return [name for name, _ in model.named_parameters()] if band.full else block_parameters(model, band.blocks)


def attention_weights(model: Model, band: Iterable[int]) -> list[str]:
    """Names of the attention projections' weight matrices (query, key, value, output) in `band`."""
    known = anatomy(model)
    return [f"{known.block_prefix(b)}{part}.weight" for b in band for part in known.attention]


def mlp_outputs(model: Model, band: Iterable[int]) -> list[str]:
    """Names of the weight matrices of the MLP output projections in `band`."""
    known = anatomy(model)
    return [f"{known.block_prefix(b)}{known.mlp_output}.weight" for b in band]


def fuse_activations(model: Model) -> None:
    """Put torch's own GELU in the place of BLOOM's, the same function in many small steps and a third of its time."""
    import torch

    for module in model.modules():
        if hasattr(module, "gelu_impl"):
            module.gelu_impl = torch.nn.GELU(approximate="tanh")
