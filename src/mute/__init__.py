"""MUTE: multilingual unlearning of language models. The names of its library are those of `mute.api` (docs/library.md).

They are looked up when they are used: importing `mute` imports no torch.
"""

import importlib
from typing import Any

__all__ = [
    "choose_band",
    "export_model",
    "forget",
    "guarded",
    "load_patch",
    "measure",
    "open_guarded",
    "open_model",
    "parallel_facts",
    "patched",
    "save_patch",
    "score_layers",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        # By its name, so that no job's code seems to depend on the library.
        return getattr(importlib.import_module("mute.api"), name)
    raise AttributeError(f"module 'mute' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
