"""What a model directory must be before it is opened: its files, and what its config.json may say. Imports no torch."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mute.models import anatomy
from mute.names import is_folder, shown
from mute.store import artifacts
from mute.store.records import Record

# Keys of config.json that hold the number of decoder blocks: BLOOM's is the second.
_BLOCKS = ("num_hidden_layers", "n_layer")
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# Files that say what the model is, but for its weights.
_PARTS = ("*.json", "*.model", "*.txt", "*.jinja")
# One of them holds a tokenizer's words; without any, transformers makes up a tokenizer that knows none.
_WORDS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
TOKENIZER = "tokenizer_config.json"
# Keys with which a file asks for code that is not transformers' own, and what they may say all the same.
_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")
_ATTENTION = (None, "eager", "sdpa")
# Sizes of a model, at least 1 and no more than any model has; its labels, of which transformers makes a list.
_SIZES = (
    *("hidden_size", "n_embed", "vocab_size", "intermediate_size"),
    *("num_attention_heads", "n_head", "num_key_value_heads", "head_dim", "num_labels"),
)
_LARGEST, _MOST_LABELS, MOST_BLOCKS = 10_000_000, 100_000, 512


def files(folder: Path) -> list[Path]:
    """Files of a model directory that its model depends on; no code, and nothing that runs code when it is opened."""
    parts = {path for pattern in _PARTS for path in folder.glob(pattern) if path.name != artifacts.RECORD}
    return sorted({*parts, *weights(folder)})


def read_config(folder: Path) -> Record:
    """The config.json of a directory. Raises ValueError if there is none, or none that can be read."""
    if not is_folder(folder):
        raise ValueError(f"there is no directory {str(folder)!r}")
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} is no directory of a model: it has no {CONFIG}")
    return artifacts.read_mapping(path)


def tokenizer_class(folder: Path) -> str | None:
    """The class that a directory's tokenizer asks for. Raises ValueError where there is none, or it asks for code."""
    if not any((folder / name).is_file() for name in _WORDS):
        raise ValueError(f"{folder} has no tokenizer ({', '.join(_WORDS)})")
    about = artifacts.read_mapping(folder / TOKENIZER) if (folder / TOKENIZER).is_file() else {}
    _check_code(about, TOKENIZER, str(folder))
    return about.get("tokenizer_class")


def first_line(error: BaseException) -> str:
    """An error of a library, short: its type, if that says more, and the first line."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, OSError | ValueError) and text else f"{type(error).__name__}: {text}"


def weights(folder: Path) -> list[Path]:
    """The files of a directory's weights. Raises ValueError where some are missing, or none are safetensors."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        try:
            index = artifacts.read_json(folder / INDEX)
            names = sorted({Path(name).as_posix() for name in index["weight_map"].values()})
            if not names:
                raise ValueError("it names no file")
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise ValueError(f"{folder / INDEX} cannot be read, so it is not known where its tensors are") from None
        missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{folder} lacks {len(missing)} of {len(names)} files of weights: {missing[0]}")
        return [folder / name for name in names]
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickles:
        raise ValueError(
            f"{folder} has its weights as {pickles[0]}, and opening a pickle may run any code: only safetensors are "
            "opened. Convert it where you trust it, with model.save_pretrained(folder)"
        )
    raise ValueError(f"{folder} has no weights ({WEIGHTS}, or shards and {INDEX})")


def blocks(about: Record, where: str) -> int:
    """The number of decoder blocks that a config.json states, of a family that is known.

    Raises ValueError for an unknown family, one that asks to run code of its own, and one that states no blocks.
    """
    check_config(about, where)
    given = {key: about[key] for key in _BLOCKS if key in about}
    found = next((value for value in given.values() if type(value) is int), None)
    if found is None:
        said = f", only {given}" if given else ""
        raise ValueError(f"{CONFIG} of {where} says no number of blocks ({' or '.join(_BLOCKS)}){said}")
    if not 1 <= found <= MOST_BLOCKS:
        raise ValueError(f"{CONFIG} of {where} says {found} blocks; a model has 1 to {MOST_BLOCKS}")
    return found


def check_config(about: Record, where: str) -> None:
    """Raise ValueError for a config.json that asks for code, is of an unknown family, or says what cannot be."""
    _check_code(about, CONFIG, where)
    if about.get("model_type") not in list(anatomy.ANATOMIES):
        raise ValueError(f"{where}: {anatomy.unknown_family(about.get('model_type'))}")
    if about.get("quantization_config"):
        raise ValueError(
            f"{CONFIG} of {where} says that its weights are quantized (quantization_config), and what is not a plain "
            "number cannot be trained: give the model as it was before"
        )
    for key, value in _inside(about):
        # Some families have no number where they take another key's.
        most = _MOST_LABELS if key == "num_labels" else _LARGEST
        if key in _SIZES and value is not None and not (type(value) is int and 1 <= value <= most):
            raise ValueError(f"{CONFIG} of {where} says {key}: {shown(value)}; it must be a number from 1 to {most}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{CONFIG} of {where} says {key}: {value}; it must be finite")


def _check_code(about: Record, file: str, where: str) -> None:
    """Raise ValueError for settings that ask to run code which is not transformers' own."""
    for key, value in _inside(about):
        if key in _CODE and value:
            raise ValueError(
                f"{file} of {where} asks to run code of its own ({key}), and code from a model is never run. If "
                f"transformers knows the model without it, take {key} out of a copy"
            )
        if key.endswith(("attn_implementation", "experts_implementation")) and value not in _ATTENTION:
            raise ValueError(
                f"{file} of {where} asks for code that computes its layers ({key}: {value!r}), which may come from "
                "anywhere; allowed: eager, sdpa. Take it out of a copy"
            )


def _inside(about: Any) -> Iterator[tuple[str, Any]]:
    """Keys and values of settings, those of their parts too."""
    for key, value in about.items():
        yield key, value
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from _inside(inner)
