"""Hostile GGUF files: each is refused when the study is planned, or before anything of it is written."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import gguf_made
from cases import Place, refused
from model_cases import OPENED, planned

from mute.models.gguf import folder as gguf
from mute.models.gguf import header
from mute.store import artifacts

# Where numbers of bytes begin.
WHOLE = "is no whole GGUF file:"
_MADE: list[bytes] = []


def made(place: Place) -> Path:
    """A small file, to be spoilt."""
    path = place.folder / "model.gguf"
    if not _MADE:
        words = place.fixture("tokenizer")
        gguf_made.write(path, gguf_made.model("llama", len(words)), words)
        _MADE.append(path.read_bytes())
    path.write_bytes(_MADE[0])
    return path


def _plan(given: str, spoil: Callable[[Path], object], *words: str, until: str = "") -> None:
    @refused("models", given, *words, until=until)
    def perform(place: Place) -> None:
        path = made(place)
        planned(spoil(path) or path)  # ty: ignore[invalid-argument-type]


def replaced(old: bytes, new: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new)) and None


def cut(part: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)]) and None


def typed(number: int) -> Callable[[Path], object]:
    """The quantisation of the last norm, by its number."""

    def spoil(path: Path) -> None:
        content, name = path.read_bytes(), b"output_norm.weight"
        at = content.index(name) + len(name) + 12
        path.write_bytes(content[:at] + struct.pack("<I", number) + content[at + 4 :])

    return spoil


def _two(path: Path) -> Path:
    shutil.copy(path, path.with_name("other.gguf"))
    return path.parent


_LONG = struct.pack("<Q", 2**60)
_plan(
    "a GGUF file that was cut",
    cut(0.7),
    "model.gguf is no whole GGUF file",
    "it was cut, or not fetched whole",
    until=WHOLE,
)
_plan("a GGUF file that was cut in its vocabulary", cut(0.01), "is no whole GGUF file", "it was cut", until=WHOLE)
_plan("an empty GGUF file", cut(0), "model.gguf is no GGUF file: it is empty")
_plan("a pickle named .gguf", lambda path: path.write_bytes(b"\x80\x04K\x00.") and None, "is no GGUF file: it begins")
_plan(
    "a GGUF file with a text of 2^60 bytes",
    replaced(struct.pack("<Q", 20) + b"general.architecture", _LONG + b"general.architecture"),
    "a text of 1,152,921,504,606,846,976 bytes",
    until=WHOLE,
)
_plan("a GGUF file of an unknown quantisation", typed(99), "unknown quantisation", "'type 99'; allowed: BF16, F16, F32")
_plan(
    "a GGUF file of an unknown family",
    replaced(struct.pack("<Q", 5) + b"llama", struct.pack("<Q", 5) + b"mamba"),
    "unknown architecture (general.architecture) 'mamba'; allowed: gemma, gemma2, gemma3, llama, qwen2, qwen3.",
    "Did you mean 'llama'?",
)
_plan("a GGUF file without a tokenizer", replaced(b"ggml.tokens", b"ggml.tokenz"), "has no tokenizer")
_plan(
    "a GGUF file that lacks a tensor", replaced(b"blk.1.attn_q.w", b"blk.1.attn_z.w"), "1 are missing", "no parameter"
)
_plan("a folder of two GGUF files", _two, "holds 2 GGUF files (model.gguf, other.gguf): give one")
_plan(
    "a GGUF file that is not there",
    lambda path: path.with_name("modell.gguf"),
    "there is no file",
    "Did you mean 'model.gguf'?",
)


@refused(
    "models",
    "a GGUF file that is not what SHA256SUMS beside it says",
    "is damaged",
    "SHA256SUMS",
    when=OPENED,
    until="its sha256 is",
)
def _checksum(place: Place) -> None:
    path = made(place)
    (path.parent / "SHA256SUMS").write_text(f"{artifacts.sha256(path)}  {path.name}\n")
    content = bytearray(path.read_bytes())
    content[header.read(path).tensors["blk.1.ffn_up.weight"].start] ^= 1
    path.write_bytes(content)
    gguf.opened(path, place.folder / "cache")


@refused(
    "models", "a GGUF file of numbers that are none", "is damaged", "holds numbers that are not finite", when=OPENED
)
def _nan(place: Place) -> None:
    path = made(place)
    content = bytearray(path.read_bytes())
    start = header.read(path).tensors["blk.1.ffn_up.weight"].start
    content[start : start + 4] = struct.pack("<f", float("nan"))
    path.write_bytes(content)
    gguf.opened(path, place.folder / "cache")
