"""What a GGUF file says of itself: its settings, and where its tensors lie. Imports no torch, runs nothing.

The format is little-endian: magic, version, two counts; then settings by key; then the tensors' names, shapes, types
and offsets; then, aligned, their content. Every count and every length is held against the size of the file before it
is used, so that a file that was cut or damaged is one clear error and never a wait or a crash.
"""

import mmap
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

from mute.names import shown, unknown_name

MAGIC, VERSIONS = b"GGUF", (2, 3)
# Types of settings by their numbers: as `struct` writes them, and what is read otherwise.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32
_MOST_DIMENSIONS = 4
# Tensors whose numbers are plain.
PLAIN = ("F32", "F16", "BF16")

Value: TypeAlias = int | float | bool | str | list[Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file. shape: as torch has it, rows first; kind: its quantisation; start: of its first byte."""

    name: str
    shape: tuple[int, ...]
    kind: str
    start: int
    size: int


@dataclass(frozen=True)
class Header:
    """A file's settings, with lists as they are, and its tensors by name."""

    path: Path
    settings: dict[str, Value]
    tensors: dict[str, Tensor]
    # Whether the file is here, or its beginning alone.
    is_here: bool = True

    @cached_property
    def architecture(self) -> str:
        """What its model is called in GGUF files, such as `llama`. Raises ValueError where it does not say."""
        found = self.settings.get("general.architecture")
        if not isinstance(found, str):
            raise ValueError(f"{self.path} does not say what its model is (general.architecture)")
        return found

    def of_model(self, key: str) -> Value | None:
        """A setting of the model's architecture; None where the file does not have it."""
        return self.settings.get(f"{self.architecture}.{key}")

    @property
    def kinds(self) -> dict[str, int]:
        """How many tensors there are of each quantisation."""
        kinds = [tensor.kind for tensor in self.tensors.values()]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def read(path: Path) -> Header:
    """The header of a GGUF file, checked against the file's size.

    Raises ValueError that names the file for what is no GGUF file, was cut or damaged, or holds a quantisation that is
    not known here; OSError for a file that cannot be read.
    """
    size = path.stat().st_size
    if not size:
        raise ValueError(f"{path} is no GGUF file: it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reader(path, data, size).header()


def of_beginning(path: Path, data: bytes, size: int) -> Header:
    """The header of a file of which the first bytes are known; size: of all. Raises ValueError as `read`.

    And where they are too few.
    """
    try:
        return replace(_Reader(path, data, size).header(), is_here=False)
    except (struct.error, IndexError):
        raise ValueError(f"the header of {path} is longer than its first {len(data):,} bytes") from None


class _Reader:
    """A place in a file, from which one value after the other is read."""

    def __init__(self, path: Path, data: mmap.mmap | bytes, size: int) -> None:
        self.path, self.data, self.size, self.place = path, data, size, 0

    def header(self) -> Header:
        magic = self.data[:4]
        if magic != MAGIC:
            raise ValueError(f"{self.path} is no GGUF file: it begins with {shown(magic)}, not with {MAGIC!r}")
        self.place = 4
        version = self._number("I")
        if version not in VERSIONS:
            why = "it is big-endian" if version & 0xFFFF == 0 else f"it is of version {version}"
            raise ValueError(f"{self.path} is a GGUF file that is not read here: {why}; allowed: {VERSIONS}")
        tensors, settings = self._number("Q"), self._number("Q")
        values: dict[str, Value] = {}
        for _ in range(settings):
            key = self._string()
            if key in values:
                raise self._damaged(f"its setting {shown(key)} stands there twice")
            values[key] = self._value(self._number("I"), key)
        return Header(self.path, values, self._tensors(tensors, values))

    def _tensors(self, count: int, settings: dict[str, Value]) -> dict[str, Tensor]:
        alignment = settings.get("general.alignment", _ALIGNMENT)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise self._damaged(f"its general.alignment is {shown(alignment)}, and must be a power of two")
        found = [self._entry() for _ in range(count)]
        begin = -(-self.place // alignment) * alignment
        tensors: dict[str, Tensor] = {}
        for name, shape, kind, offset, size in found:
            if name in tensors:
                raise self._damaged(f"its tensor {shown(name)} stands there twice")
            if offset % alignment:
                raise self._damaged(f"the content of its tensor {shown(name)} begins at {offset}, unaligned")
            tensors[name] = Tensor(name, shape, kind, begin + offset, size)
        self._check_places(sorted(tensors.values(), key=lambda tensor: tensor.start))
        return tensors

    def _check_places(self, tensors: list[Tensor]) -> None:
        """Raise ValueError where a tensor's content lies beyond the end of the file, or in that of another."""
        end = 0
        for tensor in tensors:
            if tensor.start < end:
                raise self._damaged(f"the content of its tensor {shown(tensor.name)} lies inside that of another")
            end = tensor.start + tensor.size
        if end > self.size:
            raise self._cut(f"its tensors end at byte {end:,}")

    def _entry(self) -> tuple[str, tuple[int, ...], str, int, int]:
        """Name, shape, kind, offset and size in bytes of the next tensor."""
        name, dimensions = self._string(), self._number("I")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise self._damaged(f"its tensor {shown(name)} has {dimensions} dimensions")
        # The format has the fastest dimension first, torch has it last.
        shape = tuple(reversed(self._numbers("Q", dimensions)))
        number, offset = self._number("I"), self._number("Q")
        kind, block, size = _kinds().get(number, (f"type {number}", 0, 0))
        if not block:
            what = f"quantisation of tensor {shown(name)} in {self.path}"
            raise ValueError(unknown_name(what, kind, (kind for kind, block, _ in _kinds().values() if block)))
        if shape[-1] % block or 0 in shape:
            raise self._damaged(f"its tensor {shown(name)} has rows of {shape[-1]}, and {kind} has blocks of {block}")
        return name, shape, kind, offset, prod(shape) // block * size

    def _value(self, type: int, key: str) -> Value:
        if type in _SCALARS:
            return self._number(_SCALARS[type])
        if type == _STRING:
            return self._string()
        if type != _ARRAY:
            raise self._damaged(f"its setting {shown(key)} has the unknown type {type}")
        type, count = self._number("I"), self._number("Q")
        if type in _SCALARS:
            return list(self._numbers(_SCALARS[type], count))
        if type != _STRING:
            raise self._damaged(f"its setting {shown(key)} is a list of the type {type}, which is not read here")
        if count > (self.size - self.place) // 8:
            raise self._cut(f"its setting {shown(key)} has {count:,} words")
        return self._strings(count)

    def _strings(self, count: int) -> list[Any]:
        """A vocabulary has 262,144 of them: all that the loop needs is at hand, and nothing is copied twice."""
        data, length_at, place, found = self.data, struct.Struct("<Q").unpack_from, self.place, []
        for _ in range(count):
            if place + 8 > self.size:
                raise self._cut("a list of words goes on")
            begin = place + 8
            place = begin + length_at(data, place)[0]
            if place > self.size:
                raise self._cut("a list of words goes on")
            found.append(data[begin:place])
        if place > len(data):
            raise IndexError(place)
        self.place = place
        try:
            return [word.decode() for word in found]
        except UnicodeDecodeError:
            raise self._damaged("a word of its lists is not UTF-8 text") from None

    def _string(self) -> str:
        length = self._number("Q")
        if length > self.size - self.place:
            raise self._cut(f"a text of {length:,} bytes stands at byte {self.place:,}")
        if self.place + length > len(self.data):
            raise IndexError(self.place)
        text = self.data[self.place : self.place + length]
        self.place += length
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise self._damaged(f"a text at byte {self.place - length:,} is not UTF-8") from None

    def _number(self, format: str) -> Any:
        return self._numbers(format, 1)[0]

    def _numbers(self, format: str, count: int) -> tuple[Any, ...]:
        size = struct.calcsize(format) * count
        if size > self.size - self.place:
            raise self._cut(f"{count:,} numbers stand at byte {self.place:,}")
        found = struct.unpack_from(f"<{count}{format}", self.data, self.place)
        self.place += size
        return found

    def _cut(self, why: str) -> ValueError:
        return self._damaged(f"{why}, and the file ends at byte {self.size:,}: it was cut, or not fetched whole")

    def _damaged(self, why: str) -> ValueError:
        return ValueError(f"{self.path} is no whole GGUF file: {why}")


_KINDS: dict[int, tuple[str, int, int]] = {}


def _kinds() -> dict[int, tuple[str, int, int]]:
    """Quantisations by their numbers: name, numbers in a block, bytes of a block; a block of 0 is not de-quantised."""
    if not _KINDS:
        library = imported()
        for kind, (block, size) in library.GGML_QUANT_SIZES.items():
            is_known = kind.name in PLAIN or kind in library.quants._type_traits
            _KINDS[int(kind)] = (kind.name, block if is_known else 0, size)
    return _KINDS


def imported() -> Any:
    """The library `gguf`, which knows the quantisations. Raises ValueError where it is not installed."""
    try:
        import gguf
        import gguf.quants
    except ImportError:
        raise ValueError("a GGUF file is opened with the library gguf, which is not here: pip install gguf") from None
    return gguf
