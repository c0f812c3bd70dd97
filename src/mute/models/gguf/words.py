"""The tokenizer of a GGUF file: whether it has one that can be opened, and its conversion by transformers."""

from typing import TYPE_CHECKING, Any

from mute.models.gguf.header import Header
from mute.names import shown, unknown_name
from mute.store.records import Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENS, _MODEL, _PRE = "tokenizer.ggml.tokens", "tokenizer.ggml.model", "tokenizer.ggml.pre"
# Byte-level BPE, and SentencePiece's BPE: what the families that are opened have.
_MODELS = ("gpt2", "llama")
# Ways to cut a text into words beside those of transformers' table, which leaves GPT-2's to them: it is the same.
# SmolLM cuts digits apart first, but its vocabulary has no entry of two of them, nor of a space and one.
_AS_GPT2 = ("default", "gpt-2", "smollm")
_SPECIAL = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}


def check(header: Header, entries: int) -> None:
    """Raise ValueError for a file without a tokenizer, or with one that cannot be opened or gives other tokens.

    entries: how many embeddings its model has.
    """
    model, tokens = header.settings.get(_MODEL), header.settings.get(TOKENS)
    if model is None or not isinstance(tokens, list) or not tokens:
        lacks = [name for name in (_MODEL, TOKENS) if not header.settings.get(name)]
        raise ValueError(f"{header.path} has no tokenizer ({', '.join(lacks)})")
    if model not in _MODELS:
        raise ValueError(f"{header.path}: {unknown_name(f'tokenizer ({_MODEL})', model, _MODELS)}")
    if len(tokens) > entries:
        raise ValueError(f"{header.path} has {len(tokens)} tokens, but embeddings for {entries} alone")
    for key, length in (("scores", len(tokens)), ("token_type", len(tokens)), ("merges", None)):
        found = header.settings.get(f"tokenizer.ggml.{key}")
        if found is None:
            # SentencePiece's merges follow from its scores, or from its tokens' order.
            is_needed = key == ("merges" if model == "gpt2" else "scores")
        else:
            is_needed = not isinstance(found, list) or length not in (None, len(found))
        if is_needed:
            said = "none" if found is None else shown(found)
            raise ValueError(f"{header.path} has no whole tokenizer: of its {key} (tokenizer.ggml.{key}) it has {said}")
    for key in _SPECIAL.values():
        number = header.settings.get(f"tokenizer.ggml.{key}")
        if number is not None and not (type(number) is int and 0 <= number < len(tokens)):
            raise ValueError(f"{header.path} says tokenizer.ggml.{key}: {shown(number)}; it has {len(tokens)} tokens")


def convert(header: Header) -> "PreTrainedTokenizerFast":
    """The file's tokenizer, with the special tokens that it says, and those before and after a text.

    Raises ValueError for what cannot be converted, and for a way to cut texts that is not known: no other one will do.
    """
    from transformers import PreTrainedTokenizerFast

    mapping = _imported()
    grouped: dict[str, Record] = {
        group: {
            name: header.settings[f"tokenizer.{key}"]
            for key, name in names.items()
            if f"tokenizer.{key}" in header.settings
        }
        for group, names in mapping.GGUF_TOKENIZER_MAPPING.items()
    }
    words, about = grouped["tokenizer"], grouped["tokenizer_config"]
    pre = words.get("pre_tokenizer_type")
    known = {*mapping.GGUF_PRE_TOKENIZER_SPLITS, *_AS_GPT2}
    if words["tokenizer_type"] == "gpt2" and pre is not None and pre not in known:
        raise ValueError(f"{header.path}: {unknown_name(f'way to cut texts ({_PRE})', pre, known)}")
    if words["tokenizer_type"] == "llama":
        # Older files do not say; llama.cpp then puts one.
        about.setdefault("add_bos_token", True)
    for name, key in _SPECIAL.items():
        number = header.settings.get(f"tokenizer.ggml.{key}")
        about[name] = None if number is None else words["tokens"][number]
    try:
        core, more = mapping.convert_gguf_tokenizer(header.architecture, words)
        return PreTrainedTokenizerFast(tokenizer_object=core, **about, **more)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # What a foreign vocabulary breaks has many types, and below Python it is no Exception.
        said = (str(error).strip().splitlines() or [""])[0]
        raise ValueError(
            f"the tokenizer in {header.path} cannot be converted: {type(error).__name__}: {said}"
        ) from error


def _imported() -> Any:
    """The part of transformers that knows GGUF's tokenizers."""
    try:
        from transformers.integrations.gguf import gguf_tokenizer_mapping
    except ImportError:
        raise ValueError("this transformers cannot convert the tokenizer of a GGUF file: 5.23 and newer do") from None
    return gguf_tokenizer_mapping
