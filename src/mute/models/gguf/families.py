"""Families of models in GGUF files: their config.json, and what each tensor is called, shaped and changed. No torch.

The converters of llama.cpp change three things on the way in, and each is taken back here: rows of Llama's queries and
keys stand in another order (their rotations are of neighbours, transformers' of halves), Gemma's norms hold w + 1, and
Llama 3's scaled rotations are a tensor of their own. A head that is tied is in no file.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mute.models import directory
from mute.models.gguf.header import Header, Tensor
from mute.names import shown, unknown_name
from mute.store.records import Record


@dataclass(frozen=True)
class Family:
    """What a family has of its own. model: its `model_type`; extra: settings, by their names there and here."""

    model: str
    transformers: str
    extra: tuple[tuple[str, str], ...] = ()
    biases: bool = False
    head_norms: bool = False
    sandwich: bool = False
    rotated: bool = False
    norms_add_one: bool = False


_CAPS = (
    ("attn_logit_softcapping", "attn_logit_softcapping"),
    ("final_logit_softcapping", "final_logit_softcapping"),
)
_WINDOW = (("attention.sliding_window", "sliding_window"),)
_LOCAL = (("rope.freq_base_swa", "rope_local_base_freq"),)
# By `general.architecture`.
FAMILIES = {
    "llama": Family("llama", "LlamaForCausalLM", rotated=True),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM", biases=True),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM", head_norms=True),
    "gemma": Family("gemma", "GemmaForCausalLM", norms_add_one=True),
    "gemma2": Family("gemma2", "Gemma2ForCausalLM", (*_WINDOW, *_CAPS), sandwich=True, norms_add_one=True),
    "gemma3": Family(
        "gemma3_text",
        "Gemma3ForCausalLM",
        (*_WINDOW, *_LOCAL),
        head_norms=True,
        sandwich=True,
        norms_add_one=True,
    ),
}
# Settings of every family: what a GGUF file calls them, and config.json.
_NEEDED = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
_SPECIAL = {
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
    "tokenizer.ggml.padding_token_id": "pad_token_id",
}
EMBEDDINGS, _HEAD, _ROTATIONS = "token_embd.weight", "output.weight", "rope_freqs.weight"
# Of these two numbers of blocks, llama.cpp scales attention by the width of a model through its heads.
_LARGEST = {"gemma2": 46, "gemma3": 62}

Change = Literal["", "rotations", "less one"]


class Parameter(NamedTuple):
    """A parameter of the model. heads: of a projection whose rows are to be put back in order."""

    name: str
    shape: tuple[int, ...]
    change: Change = ""
    heads: int = 0


def family(header: Header) -> Family:
    """The family of a file's model. Raises ValueError for one that is not opened, a part of a model, or an adapter."""
    kind = header.settings.get("general.type", "model")
    if kind != "model":
        raise ValueError(f"{header.path} holds no model: it says that it is of type {shown(kind)} (general.type)")
    parts = header.settings.get("split.count", 1)
    if parts not in (0, 1):
        raise ValueError(f"{header.path} is one of {shown(parts)} parts of a model: join them first, into one file")
    if header.architecture not in FAMILIES:
        raise ValueError(
            f"{header.path}: {unknown_name('architecture (general.architecture)', header.architecture, FAMILIES)}"
        )
    if header.of_model("expert_count"):
        raise ValueError(
            f"{header.path} is a mixture of {header.of_model('expert_count')} experts: only dense models are opened"
        )
    return FAMILIES[header.architecture]


def config(header: Header) -> Record:
    """The config.json of a file's model.

    Raises ValueError for what cannot be: an unknown family, a setting that is missing or is no size of a model.
    """
    own = family(header)
    missing = [f"{header.architecture}.{key}" for key in _NEEDED if header.of_model(key) is None]
    missing += [name for name in (EMBEDDINGS,) if name not in header.tensors]
    if missing:
        raise ValueError(f"{header.path} lacks {', '.join(missing)}, without which its model cannot be opened")
    about: Record = {name: header.of_model(key) for key, name in _NEEDED.items()}
    about["num_key_value_heads"] = header.of_model("attention.head_count_kv") or about["num_attention_heads"]
    about |= {name: value for key, name in own.extra if (value := header.of_model(key)) is not None}
    about |= {"model_type": own.model, "architectures": [own.transformers], "use_cache": False}
    about["vocab_size"] = header.tensors[EMBEDDINGS].shape[0]
    about["tie_word_embeddings"] = _HEAD not in header.tensors
    about |= {name: header.settings.get(key) for key, name in _SPECIAL.items()}
    # Before anything is computed from them: they are a file's word.
    directory.check_config(about, str(header.path))
    about["num_hidden_layers"] = directory.blocks(about, str(header.path))
    width = about["hidden_size"] // about["num_attention_heads"]
    about["head_dim"] = header.of_model("attention.key_length") or header.of_model("rope.dimension_count") or width
    if own.model in ("gemma2", "gemma3_text"):
        is_largest = about["num_hidden_layers"] == _LARGEST[header.architecture]
        about["query_pre_attn_scalar"] = width if is_largest else about["head_dim"]
    directory.check_config(about, str(header.path))
    return about | _rotations(header)


def _rotations(header: Header) -> Record:
    """What a file says of its rotations. Raises ValueError for a way to scale them that is not known here."""
    about: Record = {}
    if (base := header.of_model("rope.freq_base")) is not None:
        about["rope_theta"] = base
    factor = header.of_model("rope.scaling.factor")
    # A factor without a type is a linear one, as llama.cpp has it.
    kind = header.of_model("rope.scaling.type") or ("linear" if factor else "none")
    if kind == "linear":
        if not isinstance(factor, int | float) or not 0 < factor < math.inf:
            raise ValueError(f"{header.path} scales its rotations by {shown(factor)}, which is no factor")
        about["rope_scaling"] = {"rope_type": "linear", "factor": float(factor)}
    elif kind != "none":
        what = f"way to scale rotations ({header.architecture}.rope.scaling.type)"
        raise ValueError(f"{header.path}: {unknown_name(what, kind, ('none', 'linear'))}")
    if _ROTATIONS in header.tensors and header.is_here:
        about["rope_scaling"] = _llama3(header, float(about.get("rope_theta", 10_000.0)))
    return about


def _llama3(header: Header, base: float) -> Record:
    """Llama 3's way to scale rotations, known by the divisors that its converter wrote.

    The divisors follow from four numbers, of which three are the same in every Llama 3. Raises ValueError for others.
    """
    tensor = header.tensors[_ROTATIONS]
    divisors = _floats(header, tensor)
    scaling = {
        "rope_type": "llama3",
        "factor": max(divisors),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    own = list(_divisors(scaling, base, len(divisors)))
    if not all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(divisors, own)):
        raise ValueError(
            f"{header.path} scales its rotations ({_ROTATIONS}) in another way than Llama 3, which is not known here: "
            "give the model as its authors published it"
        )
    return scaling


def _divisors(scaling: Record, base: float, count: int) -> Iterator[float]:
    """By what each rotation's frequency is divided: 1 for quick ones, `factor` for slow ones, smooth between them."""
    low, high, length = (
        scaling[f"{key}"] for key in ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    for i in range(count):
        turns = length / (2 * math.pi * base ** (i / count))
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        yield 1 / ((1 - smooth) / scaling["factor"] + smooth)


def _floats(header: Header, tensor: Tensor) -> list[float]:
    """The numbers of a small tensor. Raises ValueError where they are not plain, or are no divisors."""
    if tensor.kind != "F32" or len(tensor.shape) != 1:
        raise ValueError(f"{header.path} holds {tensor.name} as {tensor.kind}, not as one row of F32")
    with header.path.open("rb") as file:
        file.seek(tensor.start)
        found = list(struct.unpack(f"<{tensor.shape[0]}f", file.read(tensor.size)))
    if not all(math.isfinite(number) and number > 0 for number in found):
        raise ValueError(f"{header.path} is no whole GGUF file: {tensor.name} holds what divides no frequency")
    return found


def parameters(header: Header, about: Record) -> dict[str, Parameter]:
    """The model's parameter of each of the file's tensors, in the file's order.

    Raises ValueError where tensors are missing, are of no parameter, or have another shape than the settings say.
    """
    known = dict(_known(family(header), about))
    there = {name: tensor for name, tensor in header.tensors.items() if name != _ROTATIONS}
    wrong = [
        f"{name} {there[name].shape}, not {known[name].shape}"
        for name in there
        if name in known and there[name].shape != known[name].shape
    ]
    lists = (
        ("are missing", [name for name in known if name not in there]),
        ("are of no parameter", [name for name in there if name not in known]),
        ("have another shape", wrong),
    )
    said = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' * (len(names) > 3)})" for what, names in lists if names
    ]
    if said:
        raise ValueError(f"{header.path} does not hold the model that it says: of its tensors {'; '.join(said)}")
    return {name: known[name] for name in there}


def _known(own: Family, about: Record) -> Iterator[tuple[str, Parameter]]:
    """What a family's model has: name in the file, and parameter."""
    norm: Change = "less one" if own.norms_add_one else ""
    hidden, mlp, vocabulary = about["hidden_size"], about["intermediate_size"], about["vocab_size"]
    queries, shared, width = about["num_attention_heads"], about["num_key_value_heads"], about["head_dim"]
    rotated: Change = "rotations" if own.rotated else ""
    yield EMBEDDINGS, Parameter("model.embed_tokens.weight", (vocabulary, hidden))
    yield "output_norm.weight", Parameter("model.norm.weight", (hidden,), norm)
    if not about["tie_word_embeddings"]:
        yield _HEAD, Parameter("lm_head.weight", (vocabulary, hidden))
    heads = {"q": queries, "k": shared, "v": shared}
    after = ("post_attention_norm", "post_attention_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm")
    norms = [("attn_norm", "input_layernorm")]
    # Where norms stand on both sides of a part, the one before the MLP has another name.
    norms += [("ffn_norm", "pre_feedforward_layernorm"), *after] if own.sandwich else [("ffn_norm", after[0][1])]
    for i in range(about["num_hidden_layers"]):
        short, long = f"blk.{i}.", f"model.layers.{i}."
        for name, of in norms:
            yield f"{short}{name}.weight", Parameter(f"{long}{of}.weight", (hidden,), norm)
        for name, count in heads.items():
            change: Change = "" if name == "v" else rotated
            rows, to = count * width, f"{long}self_attn.{name}_proj"
            yield f"{short}attn_{name}.weight", Parameter(f"{to}.weight", (rows, hidden), change, count)
            if own.biases:
                yield f"{short}attn_{name}.bias", Parameter(f"{to}.bias", (rows,), change, count)
            if own.head_norms and name != "v":
                yield (
                    f"{short}attn_{name}_norm.weight",
                    Parameter(f"{long}self_attn.{name}_norm.weight", (width,), norm),
                )
        yield f"{short}attn_output.weight", Parameter(f"{long}self_attn.o_proj.weight", (hidden, queries * width))
        yield f"{short}ffn_gate.weight", Parameter(f"{long}mlp.gate_proj.weight", (mlp, hidden))
        yield f"{short}ffn_up.weight", Parameter(f"{long}mlp.up_proj.weight", (mlp, hidden))
        yield f"{short}ffn_down.weight", Parameter(f"{long}mlp.down_proj.weight", (hidden, mlp))
