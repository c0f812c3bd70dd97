"""Small random models of the real `transformers` classes, for the embedded study and for tests."""

from typing import TYPE_CHECKING

from mute.models import anatomy
from mute.store.records import Record

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

FAMILIES = ("llama", "qwen2", "bloom")


def config(
    family: str, *, vocabulary: int, blocks: int, hidden: int, heads: int, positions: int = 256
) -> "PreTrainedConfig":
    """The `transformers` configuration of a small model. Llama and Qwen2 have their own head, BLOOM's is tied."""
    import transformers

    special: Record = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if family == "bloom":
        return transformers.BloomConfig(
            vocab_size=vocabulary, hidden_size=hidden, n_layer=blocks, n_head=heads, use_cache=False, **special
        )
    if family not in FAMILIES:
        raise ValueError(f"no embedded model of family {family!r}; there are {', '.join(FAMILIES)}")
    kind = transformers.LlamaConfig if family == "llama" else transformers.Qwen2Config
    return kind(
        vocab_size=vocabulary,
        hidden_size=hidden,
        # The published models' ratio of 8/3, in multiples of 8.
        intermediate_size=round(hidden / 3) * 8,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        use_cache=False,
        **special,
    )


def create(family: str, seed: int, **shape: int) -> anatomy.Model:
    """A model with random weights, in evaluation mode, the same for the same seed."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config(family, **shape), trust_remote_code=False).eval()
    anatomy.fuse_activations(model)
    return model
