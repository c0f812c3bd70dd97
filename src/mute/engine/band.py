"""The texts that the losses of a band read, with everything below the band computed once."""

import copy
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mute.bands import Band
from mute.engine import sections
from mute.models.tokenizer import Encoder


@dataclass
class Batch:
    """Some sequences of the text set `side`. ids, real: [B, T]; hidden: [B, T, D] at the band's input.

    real marks tokens that are neither padding nor the beginning of the sequence; answer [B, T] marks the tokens that
    are answers, so position t is predicted from t - 1. rows [B] stays on the CPU, all else is on the model's device.
    """

    side: "TextSet"
    rows: Tensor
    ids: Tensor
    real: Tensor
    answer: Tensor
    hidden: Tensor | None


class TextSet:
    """Texts of one side of a loss (forget or retain), with their states at the band's input.

    frozen, logprobs: what `Task.freeze_outputs` and `Task.freeze_logprobs` remembered of the model before unlearning.
    """

    def __init__(self, model: Any, rows: pd.DataFrame, encoder: Encoder) -> None:
        if rows.empty:
            raise ValueError("a loss has no texts to read: check forget set, sources and retain coverage")
        asked = list(zip(rows["prefix"], rows["answer"], rows["suffix"]))
        prompts = [encoder.prompt(p) for p, _, _ in asked]
        answers = [encoder.answer(p, a) for p, a, _ in asked]
        suffixes = [encoder.after(s) + encoder.end for _, _, s in asked]
        self.texts = sections.Texts(model, [p + a + s for p, a, s in zip(prompts, answers, suffixes)])
        self.lengths = self.texts.lengths
        self.first = torch.tensor([len(p) for p in prompts])
        self.last = self.first + torch.tensor([len(a) for a in answers])
        self.languages = rows["language"].tolist()
        self.padding = encoder.tokenizer.pad_token_id or 0
        self.frozen: Tensor | None = None
        self.logprobs: Tensor | None = None

    def __len__(self) -> int:
        return len(self.first)

    def padded(self) -> "TextSet":
        """The same texts with every sequence padded to the longest, for losses that read padding too."""
        width = int(self.lengths.max())
        made = copy.copy(self)
        whole = [s + [self.padding] * (width - len(s)) for s in self.texts.sequences]
        made.texts, made.frozen, made.logprobs = sections.Texts(self.texts.model, whole), None, None
        made.texts.advance(self.texts.block)
        return made

    def batch(self, rows: Tensor, *, states: bool = True) -> Batch:
        """The sequences `rows` padded on the right to the longest of them; `states` says whether with their states."""
        ids, _ = self.texts.gather(rows, self.texts.ids)
        hidden = self.texts.gather(rows)[0] if states else None
        place = torch.arange(ids.shape[1])
        real = (place > 0) & (place < self.lengths[rows, None])
        answer = (place >= self.first[rows, None]) & (place < self.last[rows, None])
        return Batch(self, rows, ids, real.to(ids.device), answer.to(ids.device), hidden)


class Task:
    """What an algorithm works on: a model, a band, and the two text sets at the band's input.

    `reference.WholeModel` is the same with nothing saved: every algorithm runs on either.
    """

    def __init__(self, model: Any, band: Band, forget: TextSet, retain: TextSet, seed: int) -> None:
        self.model, self.band, self.forget, self.retain, self.seed = model, band, forget, retain, seed

    def pad(self) -> None:
        """Let losses read padding as the model reads it. Else what stands at padding is nothing that may be read."""
        self.forget, self.retain = self.forget.padded(), self.retain.padded()

    def side(self, name: str) -> TextSet:
        return self.forget if name == "forget" else self.retain

    def batch(self, side: str, rows: Tensor) -> Batch:
        return self.side(side).batch(rows)

    def train(self, names: list[str]) -> None:
        """Ask for gradients of the parameters `names`: of no others does a step pay for one."""
        parameters = dict(self.model.named_parameters())
        for name in names:
            parameters[name].requires_grad_(True)

    def gradients(self, loss: Tensor, names: list[str]) -> list[Tensor | None]:
        """Gradients of `loss` with respect to the parameters `names`; None where it does not depend on one."""
        parameters = dict(self.model.named_parameters())
        return list(torch.autograd.grad(loss, [parameters[name] for name in names], allow_unused=True))

    def start(self, batch: Batch) -> Tensor:
        """The band's input [B, T, D]; where the embeddings train too, computed from the tokens."""
        if self.band.full or batch.hidden is None:
            return sections.embed(self.model, batch.ids)
        return batch.hidden

    def output(self, batch: Batch) -> Tensor:
        """The band's output [B, T, D]: no block above the band is run."""
        return sections.run(self.model, self.start(batch), self.band.start, self.band.stop)

    def freeze_outputs(self, *names: str) -> None:
        """Remember the band's outputs on the named sides, from the model as it is now."""
        for name in names:
            side = self.side(name)
            side.frozen = side.texts.through(self.band.start, self.band.stop)

    def frozen_output(self, batch: Batch) -> Tensor:
        """The band's output [B, T, D] as it was before unlearning; computed once for the whole text set."""
        if batch.side.frozen is None:
            raise RuntimeError("frozen outputs are computed before training: call freeze_outputs first")
        return batch.side.texts.gather(batch.rows, batch.side.frozen)[0]

    def frozen_norm(self, name: str) -> Tensor:
        """Mean norm of a side's frozen outputs over all tokens but padding and the first of each sequence."""
        side, norms = self.side(name), []
        for rows in map(torch.tensor, side.texts.batches):
            batch = side.batch(rows, states=False)
            norms.append(self.frozen_output(batch)[batch.real].norm(dim=-1))
        return torch.cat(norms).mean()

    @torch.no_grad()
    def freeze_logprobs(self, *names: str) -> None:
        """Remember the answers' log-probabilities on the named sides: one number a sequence, not a second model."""
        for name in names:
            side = self.side(name)
            side.logprobs = torch.empty(len(side))
            for rows in map(torch.tensor, map(sections.in_fours, side.texts.batches)):
                side.logprobs[rows] = self.answer_logprobs(self.batch(name, rows))[0].cpu()

    def frozen_logprobs(self, batch: Batch) -> Tensor:
        """Log-probabilities of the answers [B] as they were before unlearning."""
        if batch.side.logprobs is None:
            raise RuntimeError("frozen log-probabilities are computed before training: call freeze_logprobs first")
        return batch.side.logprobs[batch.rows].to(batch.ids.device)

    def answer_logprobs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (nats) of the answers: their sum [B] and number of tokens [B] for each sequence.

        The head reads only the positions that predict an answer token.
        """
        hidden = sections.run(self.model, self.start(batch), self.band.start, sections.depth(self.model))
        row, place = batch.answer.nonzero(as_tuple=True)
        return summed(sections.read_out(self.model, hidden[row, place - 1]), batch)


def summed(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sum of log-probabilities and number of answer tokens [B], from logits [N, V] at the N answers' predictors."""
    row, place = batch.answer.nonzero(as_tuple=True)
    each = -torch.nn.functional.cross_entropy(logits, batch.ids[row, place], reduction="none")
    total = torch.zeros(len(batch.rows), dtype=each.dtype, device=each.device).index_add(0, row, each)
    return total, batch.answer.sum(1)
