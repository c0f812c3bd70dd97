"""Opens and saves models as ordinary directories: safetensors only, no code from the directory."""

import os
from pathlib import Path
from typing import Any

from mute import artifacts, clock
from mute.models import anatomy


def load(folder: Path | str, *, device: str = "cpu", dtype: str = "float32") -> Any:
    """The causal language model in `folder`, in evaluation mode, with no gradients asked for.

    device: `auto` is the best that torch finds here; dtype: the name of a torch type.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    with clock.phase("load"):
        model = AutoModelForCausalLM.from_pretrained(
            str(folder), trust_remote_code=False, use_safetensors=True, dtype=getattr(torch, dtype)
        )
        model.config.use_cache = False
        anatomy.fuse_activations(model)
        model = model.to(best_device() if device == "auto" else device).eval().requires_grad_(False)
    return model


def best_device() -> str:
    """cuda, mps or cpu: the first that this machine has. Jobs that run beside each other take different GPUs."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{os.getpid() % torch.cuda.device_count()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def save(model: Any, tokenizer: Any, folder: Path | str, record: dict[str, Any]) -> None:
    """Write model and tokenizer to `folder` and seal it with `record`."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = Path(folder)
    with clock.phase("write"):
        (folder / artifacts.RECORD).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
        artifacts.seal(folder, record)
