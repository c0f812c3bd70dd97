"""Weights of a GGUF file as safetensors: de-quantised a few rows at a time, so that no model is too large to be opened.

A file of safetensors is a length, a JSON header and the tensors' bytes one after the other, so it can be written as it
comes; the library's own writer wants all tensors of a file at once. What is written is read back by the library.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from mute.models.gguf.families import Parameter
from mute.models.gguf.header import Header, Tensor, imported
from mute.store import artifacts
from mute.store.records import Record

if TYPE_CHECKING:
    import numpy as np

# The types that the engine computes in: as safetensors calls them, and their bytes.
TYPES = {"float32": ("F32", 4), "bfloat16": ("BF16", 2), "float16": ("F16", 2)}
# A file that has so many bytes takes no other tensor; a file is what is kept when a job is killed.
SHARD = 2**29
# Numbers that are de-quantised at once; some ten times as many bytes stand in memory meanwhile.
ROWS = 2**21

Report: TypeAlias = Callable[[int], None]
Parameters: TypeAlias = dict[str, Parameter]


def shards(parameters: Parameters, dtype: str) -> list[list[str]]:
    """Names of the file's tensors by the file of weights that they go to, in order; no file is empty."""
    files: list[list[str]] = []
    room = 0
    for name, parameter in parameters.items():
        if room <= 0:
            files.append([])
            room = SHARD
        files[-1].append(name)
        room -= prod(parameter.shape) * TYPES[dtype][1]
    return files


def size(parameters: Parameters, names: list[str], dtype: str) -> int:
    """Bytes of a file of weights that holds these tensors."""
    return len(_head(parameters, names, dtype)) + sum(prod(parameters[n].shape) for n in names) * TYPES[dtype][1]


def write(path: Path, header: Header, parameters: Parameters, names: list[str], dtype: str, report: Report) -> str:
    """Write one file of weights, whole or not at all; returns its sha256.

    report: told of bytes as they are written. Raises ValueError for numbers that are not finite: the file was damaged.
    """
    seen = hashlib.sha256()
    with artifacts.atomic(path) as temporary, header.path.open("rb") as source, temporary.open("wb") as target:
        pieces = (piece for name in names for piece in _content(header, source, name, parameters[name], dtype))
        for piece in itertools.chain([_head(parameters, names, dtype)], pieces):
            target.write(piece)
            seen.update(piece)
            report(len(piece))
    return seen.hexdigest()


def _head(parameters: Parameters, names: list[str], dtype: str) -> bytes:
    """The length and the JSON with which a file of safetensors begins."""
    kind, width = TYPES[dtype]
    about: Record = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        begin, end = end, end + prod(parameters[name].shape) * width
        about[parameters[name].name] = {"dtype": kind, "shape": parameters[name].shape, "data_offsets": [begin, end]}
    text = json.dumps(about, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _content(header: Header, source: BinaryIO, name: str, parameter: Parameter, dtype: str) -> Iterator[bytes]:
    """The bytes of a parameter, some rows after the other."""
    import torch

    tensor = header.tensors[name]
    wanted = getattr(torch, dtype)
    for packed in _rows(header, source, tensor, parameter):
        values = _numbers(packed, tensor)
        if parameter.change == "less one":
            values = values - 1
        # Of its own: torch takes no memory that may not be written to.
        numbers = torch.from_numpy(values.copy() if not values.flags.writeable else values).to(wanted)
        if not numbers.isfinite().all():
            raise ValueError(f"{header.path} is damaged, or not for {dtype}: {name} holds numbers that are not finite")
        yield numbers.view(torch.uint8).numpy().tobytes()


def _rows(header: Header, source: BinaryIO, tensor: Tensor, parameter: Parameter) -> Iterator["np.ndarray"]:
    """The bytes of a tensor as they lie in the file, [rows, bytes of a row], some rows after the other.

    Rows of projections with rotations are put in transformers' order first, all at once: they are the smaller ones.
    """
    import numpy as np

    rows = prod(tensor.shape[:-1])
    width = tensor.size // rows
    at_once = rows if parameter.change == "rotations" else max(1, ROWS // tensor.shape[-1])
    source.seek(tensor.start)
    for begin in range(0, rows, at_once):
        count = min(at_once, rows - begin)
        read = source.read(count * width)
        if len(read) != count * width:
            raise ValueError(f"{header.path} was cut while it was read: {tensor.name} ends before it should")
        packed = np.frombuffer(read, dtype=np.uint8).reshape(count, width)
        if parameter.change == "rotations":
            # Of each head: pairs of rows become two halves.
            pairs = packed.reshape(parameter.heads, -1, 2, width)
            packed = pairs.swapaxes(1, 2).reshape(count, width)
            for part in np.array_split(packed, -(-packed.shape[0] * tensor.shape[-1] // ROWS)):
                yield np.ascontiguousarray(part)
        else:
            yield packed


def _numbers(packed: "np.ndarray", tensor: Tensor) -> "np.ndarray":
    """De-quantised rows, in float32."""
    library = imported()
    return library.quants.dequantize(packed, library.GGMLQuantizationType[tensor.kind]).reshape(-1)
