"""Sizes of models, and what running them takes: numbers of parameters and floating-point operations.

B batch, T tokens, D hidden, L blocks, V vocabulary. A multiplication and an addition are two operations (FLOPs). What
is not a matrix product (norms, activations, softmax) is left out, as torch's own counter leaves it out.
"""

from dataclasses import dataclass, replace

from mute.config.sections import ModelSection
from mute.hub import copies, gguf_files
from mute.models import pretrained
from mute.names import at_home, is_folder
from mute.store.artifacts import read_json
from mute.store.records import Record


@dataclass(frozen=True)
class Shape:
    """What of a decoder decides its costs.

    mlp: hidden size of the MLP, of three matrices where it is `gated`, else of two. kv: features of the keys, as of the
    values. tied: whether the head is the embedding.
    """

    blocks: int
    hidden: int
    vocabulary: int
    kv: int
    mlp: int
    gated: bool = True
    tied: bool = False

    @property
    def attention(self) -> int:
        """Parameters of a block's attention projections."""
        return 2 * self.hidden * (self.hidden + self.kv)

    @property
    def block(self) -> int:
        """Parameters of a block's matrices."""
        return self.attention + (3 if self.gated else 2) * self.hidden * self.mlp

    @property
    def parameters(self) -> int:
        """Parameters of the whole model, but for norms and biases."""
        return self.blocks * self.block + (1 if self.tied else 2) * self.vocabulary * self.hidden

    def forward(self, tokens: float, length: float) -> float:
        """FLOPs of one block on `tokens` tokens in sequences of `length`."""
        return tokens * (2 * self.block + 4 * length * self.hidden)

    def head(self, reads: float) -> float:
        """FLOPs of the logits at `reads` positions."""
        return 2 * reads * self.hidden * self.vocabulary


# Published models whose configuration may not be at hand when a study is planned.
KNOWN = {
    "meta-llama/Llama-3.1-8B": Shape(32, 4096, 128256, 1024, 14336),
    "meta-llama/Llama-3.1-8B-Instruct": Shape(32, 4096, 128256, 1024, 14336),
    "Qwen/Qwen2.5-7B": Shape(28, 3584, 152064, 512, 18944),
    "Qwen/Qwen2.5-7B-Instruct": Shape(28, 3584, 152064, 512, 18944),
    "bigscience/bloom-7b1": Shape(30, 4096, 250880, 4096, 16384, gated=False, tied=True),
    # Of `make weights`.
    "./data/weights/gemma-3-270m": Shape(18, 640, 262144, 256, 2048, tied=True),
    "./data/weights/smollm2-135m": Shape(30, 576, 49152, 192, 1536, tied=True),
}
# What a model is taken for of which nothing is known.
GUESS = KNOWN["meta-llama/Llama-3.1-8B"]
_GUESSED = "a guess: nothing is known of it before it is fetched, so that it is taken for one of 8 billion parameters"


def embedded(model: ModelSection) -> Shape:
    """The shape of a model that the study trains; see `models.embedded`."""
    d, bloom = model.hidden, model.family == "bloom"
    kv = d if bloom else d // model.heads * max(1, model.heads // 2)
    mlp = 4 * d if bloom else round(d / 3) * 8
    return Shape(model.blocks, d, model.vocabulary, kv, mlp, gated=not bloom, tied=bloom)


def of_config(config: Record) -> Shape:
    """The shape that a model's config.json says. Raises KeyError where it lacks a size."""
    # Models that see, too, keep their language model's configuration inside.
    config = {**config, **config.get("text_config", {})}

    def first(*names: str) -> int:
        found = [config[name] for name in names if config.get(name) is not None]
        if not found:
            raise KeyError(names[0])
        return int(found[0])

    d = first("hidden_size", "n_embed", "d_model")
    heads = first("num_attention_heads", "n_head")
    gated = config.get("model_type") not in ("bloom", "gpt_neox", "gpt2", "opt")
    shared = int(config.get("num_key_value_heads") or heads)
    size = int(config.get("head_dim") or d // heads)
    return Shape(
        blocks=first("num_hidden_layers", "n_layer"),
        hidden=d,
        vocabulary=first("vocab_size"),
        kv=shared * size,
        mlp=int(config.get("intermediate_size") or config.get("n_inner") or 4 * d),
        gated=gated,
        tied=bool(config.get("tie_word_embeddings", config.get("model_type") in ("bloom", "gemma", "gpt2"))),
    )


def of(model: ModelSection) -> tuple[Shape, str]:
    """The shape of a configured model, and how it is known."""
    name = model.pretrained
    if name is None:
        return embedded(model), "the configuration"
    folder = at_home(name)
    if name in KNOWN and not is_folder(folder):
        shape, said = KNOWN[name], "a table of known models"
    else:
        try:
            if (file := gguf_files.named(name)) is None:
                found = read_json(folder / "config.json") if is_folder(folder) else copies.look_up(name, model.revision)
            else:
                found = pretrained.look_up(model)
            shape, said = of_config(found), "its config.json" if file is None else "its GGUF file"
        except (ImportError, OSError, ValueError, KeyError, TypeError, ArithmeticError):
            # Not at hand, and nothing to stop a plan for: the job that opens it says what is wrong.
            shape, said = GUESS, _GUESSED
    # Cells name blocks by the configuration's number of them.
    return (replace(shape, blocks=model.blocks) if "blocks" in model.model_fields_set else shape), said
