"""Small GGUF files, made from random models of transformers as llama.cpp's converter makes them, by its own library.

Names come from the library's tables and changes from the converter's code, not from `mute.models.gguf`, so that the one
is held against the other.
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf.quants import quantize

import families
from mute.models import anatomy

# What each family is called in GGUF files.
ARCHITECTURES = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
}
SENTENCEPIECE = ("gemma", "gemma2", "gemma3_text")
SHAPE = {"blocks": 2, "hidden": 64, "heads": 4}
# What transformers' own way takes as given, for it does not read it from the file.
AS_GIVEN: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 128},
    "gemma2": {
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0,
    },
    "gemma3_text": {"head_dim": 256, "query_pre_attn_scalar": 256},
}


def model(family: str, vocabulary: int, *, tied: bool = False, **changes: Any) -> anatomy.Model:
    """A random model whose every parameter, norms and biases too, is random."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = families.config(family, vocabulary=vocabulary, **SHAPE)
    if family == "qwen3":
        config.use_sliding_window, config.layer_types = False, ["full_attention"] * SHAPE["blocks"]
    elif family == "gemma3_text":
        config.layer_types = ["sliding_attention"] * SHAPE["blocks"]  # the sixth is the first that sees all
    if family in ("gemma2", "gemma3_text"):
        config.query_pre_attn_scalar = config.head_dim
    config.tie_word_embeddings = tied or family in SENTENCEPIECE
    for key, value in changes.items():
        setattr(config, key, value)
    made = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(torch.randn_like(parameter) / 10)
    return made


def write(path: Path, made: anatomy.Model, tokenizer: Any, kind: str = "F32", **settings: Any) -> Path:
    """The GGUF file of a model and its tokenizer; kind: of its matrices' numbers; settings: more of the model."""
    config = made.config
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("made")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(width)
    if architecture == "llama":
        writer.add_rope_dimension_count(width)
    if architecture in ("gemma2", "gemma3"):
        writer.add_sliding_window(config.sliding_window)
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    for key, value in settings.items():
        getattr(writer, f"add_{key}")(value)
    add_tokenizer(writer, tokenizer, config.model_type in SENTENCEPIECE)
    add_tensors(writer, made, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer: Any, tokenizer: Any, sentencepiece: bool) -> None:
    """Its words in their order, with merges, or with scores as SentencePiece has them."""
    import json

    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("llama" if sentencepiece else "gpt2")
    writer.add_tokenizer_pre("default" if sentencepiece else "qwen2")
    writer.add_token_list(words)
    writer.add_token_types([3 if word in special else 1 for word in words])
    if sentencepiece:
        writer.add_token_scores([-float(i) for i in range(len(words))])
        writer.add_add_space_prefix(False)
    else:
        merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
        writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_add_bos_token(True)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)


def add_tensors(writer: Any, made: anatomy.Model, kind: str) -> None:
    config = made.config
    architecture = ARCHITECTURES[config.model_type]
    number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    table = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    for name, tensor in made.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, _, end = name.rpartition(".")
        values = tensor.float().numpy()
        if architecture == "llama" and stem.endswith(("q_proj", "k_proj")):
            values = permuted(
                values, config.num_attention_heads if stem.endswith("q_proj") else config.num_key_value_heads
            )
        if architecture.startswith("gemma") and name.endswith("norm.weight"):
            values = values + 1
        to = f"{table.get_name(stem)}.{end}"
        block = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
        # Norms, biases, and rows that are no whole number of blocks stay as they are.
        plain = values.ndim == 1 or values.shape[-1] % block
        own = gguf.GGMLQuantizationType["F32" if plain else kind]
        writer.add_tensor(to, packed(values, own), raw_dtype=own)


def packed(values: np.ndarray, kind: Any) -> np.ndarray:
    """Numbers as a kind packs them; of kinds that the library only unpacks, random blocks with finite scales."""
    try:
        return quantize(values, kind)
    except NotImplementedError:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        rows, row = values.shape[0], values.shape[-1] // block
        blocks = np.random.default_rng(0).integers(0, 256, (rows, row, size), dtype=np.uint8)
        at = {"Q6_K": [208], "Q3_K": [108], "Q2_K": [80, 82]}.get(kind.name, [0, 2])
        for place in at:
            blocks[..., place : place + 2] = np.frombuffer(np.float16(1e-4).tobytes(), dtype=np.uint8)
        return blocks.reshape(rows, row * size)


def permuted(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries and keys, as llama.cpp's converter puts them."""
    shape = values.shape
    return values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
