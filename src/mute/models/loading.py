"""Opens and saves models as ordinary directories: safetensors only, no code from the directory."""

from pathlib import Path
from typing import Any

from mute import artifacts


def load(folder: Path | str) -> Any:
    """The causal language model in `folder`, in evaluation mode, with no gradients asked for."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(str(folder), trust_remote_code=False, use_safetensors=True)
    model.config.use_cache = False
    return model.eval().requires_grad_(False)


def save(model: Any, tokenizer: Any, folder: Path | str, record: dict[str, Any]) -> None:
    """Write model and tokenizer to `folder` and seal it with `record`."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = Path(folder)
    (folder / artifacts.RECORD).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    artifacts.seal(folder, record)
