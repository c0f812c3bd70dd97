"""What a model directory must be before it is opened: its files, and what its config.json may say. Imports no torch."""

from pathlib import Path
from typing import Any

from mute import artifacts
from mute.models import anatomy
from mute.names import is_folder

# Keys of config.json that hold the number of decoder blocks: BLOOM's is the second.
_BLOCKS = ("num_hidden_layers", "n_layer")
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# Files that say what the model is, but for its weights.
_PARTS = ("*.json", "*.model", "*.txt", "*.jinja")


def files(folder: Path) -> list[Path]:
    """Files of a model directory that its model depends on; no code, and nothing that runs code when it is opened."""
    parts = {path for pattern in _PARTS for path in folder.glob(pattern) if path.name != artifacts.RECORD}
    return sorted({*parts, *weights(folder)})


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a directory. Raises ValueError if there is none, or none that can be read."""
    if not is_folder(folder):
        raise ValueError(f"there is no directory {str(folder)!r}")
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder} is no directory of a model: it has no {CONFIG}")
    try:
        about = artifacts.read_json(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(about, dict):
        raise ValueError(f"{path} is no mapping of settings")
    return about


def weights(folder: Path) -> list[Path]:
    """The files of a directory's weights. Raises ValueError where some are missing, or none are safetensors."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        try:
            names = sorted(set(artifacts.read_json(folder / INDEX)["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
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


def blocks(about: dict[str, Any], where: str) -> int:
    """The number of decoder blocks that a config.json states, of a family that is known.

    Raises ValueError for an unknown family, one that asks to run code of its own, and one that states no blocks.
    """
    check_config(about, where)
    found = next((about[key] for key in _BLOCKS if isinstance(about.get(key), int)), None)
    if found is None:
        raise ValueError(f"{CONFIG} of {where} says no number of blocks ({' or '.join(_BLOCKS)})")
    return found


def check_config(about: dict[str, Any], where: str) -> None:
    """Raise ValueError for a config.json that asks to run code of its own, or is of a family that is not known."""
    if about.get("auto_map"):
        raise ValueError(
            f"{CONFIG} of {where} asks to run code of its own (auto_map), and code from a model is never run. If "
            "transformers knows the model without it, take auto_map out of a copy"
        )
    if about.get("model_type") not in anatomy.ANATOMIES:
        raise ValueError(f"{where}: {anatomy.unknown_family(about.get('model_type'))}")
