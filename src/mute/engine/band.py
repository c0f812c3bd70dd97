"""A band of blocks and the texts that its losses read, with everything below the band computed once."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mute.engine import sections
from mute.models import anatomy
from mute.models.tokenizer import Encoder


@dataclass(frozen=True)
class Band:
    """The blocks that may change, or (`full`) every parameter of the model.

    blocks: sorted, 0-based. Losses may read the model from the input of the first block on; all below is frozen.
    """

    blocks: tuple[int, ...]
    full: bool = False

    @property
    def start(self) -> int:
        return self.blocks[0]

    @property
    def stop(self) -> int:
        """The block after the band's last: the band's output is its input."""
        return self.blocks[-1] + 1

    @classmethod
    def named(cls, name: str, depth: int) -> "Band":
        """The band of a cell's name: block indices joined by '-', `all` blocks, or the `full` model."""
        if name in ("all", "full"):
            return cls(tuple(range(depth)), full=name == "full")
        blocks = tuple(sorted(int(part) for part in name.split("-")))
        if blocks[-1] >= depth:
            raise ValueError(f"band {name} is outside a model of {depth} blocks (0 to {depth - 1})")
        return cls(blocks)

    def parameters(self, model: Any) -> list[str]:
        """Names of the parameters that may change."""
        if self.full:
            return [name for name, _ in model.named_parameters()]
        return anatomy.block_parameters(model, self.blocks)


@dataclass
class Batch:
    """Some of a text set's sequences. ids, real: [B, T]; hidden: [B, T, D] at the band's input.

    real marks tokens that are neither padding nor the beginning of the sequence; answer [B, T] marks the tokens that
    are answers, so position t is predicted from t - 1.
    """

    rows: Tensor
    ids: Tensor
    real: Tensor
    answer: Tensor
    hidden: Tensor


class TextSet:
    """Texts of one side of a loss (forget or retain), with their states at the band's input."""

    def __init__(self, model: Any, rows: pd.DataFrame, encoder: Encoder) -> None:
        if rows.empty:
            raise ValueError("a loss has no texts to read: check forget set, sources and retain coverage")
        asked = list(zip(rows["prefix"], rows["answer"], rows["suffix"]))
        prompts = [encoder.prompt(p) for p, _, _ in asked]
        answers = [encoder.answer(p, a) for p, a, _ in asked]
        suffixes = [encoder.plain(s) + encoder.end for _, _, s in asked]
        self.texts = sections.Texts(model, [p + a + s for p, a, s in zip(prompts, answers, suffixes)])
        self.first = torch.tensor([len(p) for p in prompts])
        self.last = self.first + torch.tensor([len(a) for a in answers])
        self.frozen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.first)

    def batch(self, rows: Tensor) -> Batch:
        hidden, real = self.texts.gather(rows)
        ids, _ = self.texts.gather(rows, self.texts.ids)
        place = torch.arange(ids.shape[1])
        answer = (place >= self.first[rows, None]) & (place < self.last[rows, None])
        return Batch(rows, ids, real & (place > 0), answer, hidden)


class Task:
    """What an algorithm works on: a model, a band, and the two text sets at the band's input."""

    def __init__(self, model: Any, band: Band, forget: TextSet, retain: TextSet, seed: int) -> None:
        self.model, self.band, self.forget, self.retain, self.seed = model, band, forget, retain, seed

    def side(self, name: str) -> TextSet:
        return self.forget if name == "forget" else self.retain

    def start(self, batch: Batch) -> Tensor:
        """The band's input [B, T, D]; where the embeddings train too, computed from the tokens."""
        return sections.embed(self.model, batch.ids) if self.band.full else batch.hidden

    def output(self, batch: Batch) -> Tensor:
        """The band's output [B, T, D]: no block above the band is run."""
        return sections.run(self.model, self.start(batch), self.band.start, self.band.stop)

    def frozen_output(self, side: TextSet, batch: Batch) -> Tensor:
        """The band's output [B, T, D] as it was before unlearning; computed once for the whole text set."""
        if side.frozen is None:
            raise RuntimeError("frozen outputs are computed before training: call freeze_outputs first")
        return side.texts.gather(batch.rows, side.frozen)[0]

    def freeze_outputs(self, *names: str) -> None:
        """Remember the band's outputs on the named sides, from the model as it is now."""
        for name in names:
            side = self.side(name)
            side.frozen = side.texts.through(self.band.start, self.band.stop)

    def answer_logprobs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (nats) of the answers: their sum [B] and number of tokens [B] for each sequence.

        The head reads only the positions that predict an answer token.
        """
        hidden = sections.run(self.model, self.start(batch), self.band.start, sections.depth(self.model))
        row, place = batch.answer.nonzero(as_tuple=True)
        logits = sections.read_out(self.model, hidden[row, place - 1])
        each = -torch.nn.functional.cross_entropy(logits, batch.ids[row, place], reduction="none")
        total = torch.zeros(len(batch.rows), dtype=each.dtype).index_add(0, row, each)
        return total, batch.answer.sum(1)
