"""What a band of blocks is, what a list of languages is, and the columns that tell cells apart. Imports no torch.

Names are read and written here alone: of bands (`3`, `2-3`, `all`, `full`), of source languages (`en-es`), and of files
that bear the keys of a cell.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from mute.names import unknown_name

# What tells one cell from another, in the order of columns.
KEYS = ("model", "training_seed", "algorithm", "band", "sources", "retain", "forget_set", "protocol", "seed")

# Bands that are no list of blocks: every block, and every parameter.
ALL, FULL = WHOLE = ("all", "full")
# What a band may be called, in words.
ALLOWED = (*WHOLE, "a block such as 3", "blocks such as 2-3")
# `3` and `2-3`, as blocks are counted: without signs, spaces or leading zeros.
_BLOCKS = re.compile(r"(0|[1-9][0-9]{0,5})(-(0|[1-9][0-9]{0,5}))*")


@dataclass(frozen=True)
class Band:
    """The blocks that may change, or (`full`) every parameter of the model.

    blocks: ascending, 0-based. Losses may read the model from the input of the first block on; all below is frozen.
    every: whether it is called `all`, and not by its blocks; it changes nothing else.
    Raises ValueError if there is no block, or blocks do not ascend.
    """

    blocks: tuple[int, ...]
    full: bool = False
    every: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.blocks or self.blocks[0] < 0 or list(self.blocks) != sorted(set(self.blocks)):
            raise ValueError(f"a band is different blocks from below to above, at least one, not {self.blocks}")

    @property
    def start(self) -> int:
        return self.blocks[0]

    @property
    def stop(self) -> int:
        """The block after the band's last: the band's output is its input."""
        return self.blocks[-1] + 1

    @property
    def single(self) -> bool:
        """Whether it is one block alone, which can be bypassed."""
        return len(self.blocks) == 1

    @property
    def name(self) -> str:
        """What cells and tables call it."""
        return FULL if self.full else ALL if self.every else blocks_name(self.blocks)

    @classmethod
    def named(cls, name: str, depth: int) -> Self:
        """The band of a cell's name in a model of `depth` blocks: blocks joined by '-', `all` blocks, or `full`.

        Raises ValueError for a name that names no band, names a block twice, or a block that the model does not have.
        """
        if is_whole(name):
            return cls(tuple(range(depth)), full=name == FULL, every=name == ALL)
        blocks = named_blocks(name)
        if blocks is None:
            raise ValueError(unknown_name("band", name, ALLOWED))
        if max(blocks) >= depth:
            raise ValueError(f"band {name} is outside a model of {depth} blocks (0 to {depth - 1})")
        if len(set(blocks)) < len(blocks):
            raise ValueError(f"band {name} names a block twice")
        return cls(tuple(sorted(blocks)))

    def position(self, depth: int) -> float:
        """Relative depth of its middle: l / (L - 1) for block l of a model of L blocks; 0 in a model of one block."""
        return sum(self.blocks) / len(self.blocks) / max(depth - 1, 1)


def is_whole(name: str) -> bool:
    """Whether a band is `all` or `full`."""
    return name in WHOLE


def is_block(name: str) -> bool:
    """Whether a band is one block alone."""
    return len(named_blocks(name) or ()) == 1


def named_blocks(name: str) -> tuple[int, ...] | None:
    """The blocks that a name lists, as it lists them; None if it lists none (`all`, `full`, or no band at all)."""
    return tuple(map(int, name.split("-"))) if _BLOCKS.fullmatch(name) else None


def blocks_name(blocks: Iterable[int | str]) -> str:
    """The name of a list of blocks."""
    return "-".join(map(str, blocks))


def first_block(name: str) -> int:
    """The first block that a band changes, whatever the depth: 0 of `all`, of `full`, and of what is no band."""
    return min(named_blocks(name) or (0,))


def middle(name: str) -> float:
    """Mean index of the blocks that a name lists; infinite where it lists none."""
    blocks = named_blocks(name)
    return sum(blocks) / len(blocks) if blocks else math.inf


def span(name: str, depth: int) -> tuple[int, int, int]:
    """First block that a band changes, how many, and how many there are from the first on: what is run again."""
    blocks = named_blocks(name) or range(depth)
    return min(blocks), len(blocks), depth - min(blocks)


def from_below(name: str) -> tuple[bool, float, float, str]:
    """Key by which bands are sorted: by their middle, then their last block; then `all` and `full`."""
    return is_whole(name), middle(name), max(named_blocks(name) or (math.inf,)), name


class Languages(str):
    """Codes of languages in their order, joined by '-', as they stand in tables and in names of files.

    It is a text, equal to the same text in a table. What is written or digested gets `str(languages)`, a plain one.
    """

    __slots__ = ()

    @classmethod
    def of(cls, codes: Iterable[str]) -> Self:
        """The list of these codes. Raises ValueError for a code that could not be told apart in it."""
        listed = list(codes)
        for code in listed:
            if not code or "-" in code:
                raise ValueError(f"language code {code!r} is empty or holds '-', which joins codes")
        return cls("-".join(listed))

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(code for code in self.split("-") if code)

    @property
    def words(self) -> str:
        """As a sentence shows them."""
        return " ".join(self.codes)


def file_name(*values: object) -> str:
    """Keys of a cell as they stand in the name of a file, where `source+text` is `source-text`; to be read nowhere."""
    return ".".join(str(value).replace("+", "-") for value in values)
