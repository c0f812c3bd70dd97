"""MaxSim late interaction: how much of a prompt is found, token by token, in the most alike forget prompt.

ColBERT-XM (Louis et al. 2024, arXiv 2402.15059): score(x) = max over forget prompts d of MaxSim(x, d) / |x|, where
MaxSim(x, d) = sum_i max_j <x_i, d_j> of token vectors of length 1. Vectors are states at the input of a block, as they
are, or through a linear head that is trained in one language with the model frozen: softmax cross entropy of a forget
prompt's MaxSim with another forget prompt against those with all retain prompts of the batch. Punctuation is read in
no document. Certainty: recipe of code. Published: AdamW at 5e-6 for 200,000 steps, width 128; here a few hundred.

What a question shares with a forget prompt may be its wording alone. `against_retain` takes off the same score with the
retain prompts as documents, where the wording is the same: ours, the one form in which one threshold does for questions
in wordings that were learned from and in others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn.detectors import base, probe, reading

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model


class Settings(base.Settings):
    """MaxSim late interaction."""

    block: int | None = Field(None, ge=0, description=probe.BLOCK)
    head_steps: int = Field(0, ge=0, description="Steps of AdamW that train a linear head; 0: states as they are.")
    head_width: int = Field(128, ge=1, description="Width of the head.")
    head_rate: float = Field(1e-3, gt=0, description="Size of its steps.")
    head_batch: int = Field(16, ge=2, description="Prompts of each side in a step.")
    against_retain: bool = Field(
        False, description="Whether what a prompt has in common with retain prompts is taken off; ours."
    )
    language: str = Field("", description="The one language that the head is trained in; empty: the first source.")


class MaxSim(base.Detector[Settings]):
    name = "maxsim"
    paper = "Louis et al. 2024, arXiv 2402.15059"
    reads = "states"
    Settings = Settings

    def learn(self, seen: base.Seen) -> dict[str, Tensor]:
        import torch

        block, begin = reading.middle(seen.model, self.settings.block), reading.begins(seen.encoder)
        spoken = torch.tensor([says(own) for own in reading.letters(seen.encoder)])
        head = torch.eye(seen.model.config.hidden_size)
        if self.settings.head_steps:
            head = self._head(seen, block, begin)
        own, lengths = _documents(seen.model, seen.forget, head, spoken, (block, begin))
        fitted = {"documents": own, "lengths": lengths, "head": head, "where": torch.tensor([block, begin])}
        if self.settings.against_retain:
            own, lengths = _documents(seen.model, seen.retain, head, spoken, (block, begin))
            fitted |= {"retain.documents": own, "retain.lengths": lengths}
        return fitted

    def scores(self, fitted: Mapping[str, Tensor], model: Model, prompts: Sequence[Sequence[int]]) -> Tensor:
        import torch

        block, begin = fitted["where"].tolist()
        head = fitted["head"].cpu()
        queries = [units(own, head) for own in reading.states(model, prompts, block, begin)]

        def found(side: str) -> Tensor:
            documents, lengths = fitted[f"{side}documents"].cpu(), fitted[f"{side}lengths"].cpu()
            return torch.stack([all_maxsims(own, documents, lengths).max() / len(own) for own in queries]).double()

        return found("") - found("retain.") if self.settings.against_retain else found("")

    def _head(self, seen: base.Seen, block: int, begin: int) -> Tensor:
        """The head [width, D], trained on prompts of one language."""
        import torch

        from mute.engine.band import drawn_rows
        from mute.store.artifacts import seed_of
        from mute.unlearn.base import NotApplicable

        s = self.settings
        language = s.language or seen.forget.languages[0]
        sides = [[row for row, own in enumerate(p.languages) if own == language] for p in (seen.forget, seen.retain)]
        if len(sides[0]) < 2 or not sides[1]:
            raise NotApplicable(f"the detector's head needs two forget prompts and a retain prompt in {language}")
        forget, retain = seen.forget.only(sides[0]), seen.retain.only(sides[1])
        own, others = (reading.states(seen.model, side.tokens, block, begin) for side in (forget, retain))
        generator = torch.Generator().manual_seed(seed_of(seen.seed, "head"))
        width = seen.model.config.hidden_size
        head = torch.randn(s.head_width, width, generator=generator).div(width**0.5).requires_grad_()
        optimizer = torch.optim.AdamW([head], lr=s.head_rate, weight_decay=0.0)
        draws = [
            drawn_rows([torch.arange(len(side))], s.head_batch, seed_of(seen.seed, "head", name))
            for name, side in (("forget", forget), ("retain", retain))
        ]
        for _ in range(s.head_steps):
            rows, against = (next(drawn).tolist() for drawn in draws)
            wrong = [units(others[row], head) for row in against]
            terms = []
            for row in rows:
                asked, right = units(own[row], head), units(own[fellow(forget.items, row)], head)
                found = torch.stack([maxsim(asked, right), *(maxsim(asked, each) for each in wrong)])
                terms.append(found.logsumexp(0) - found[0])
            optimizer.zero_grad()
            torch.stack(terms).mean().backward()
            optimizer.step()
        return head.detach()


def _documents(
    model: Model, side: base.Prompts, head: Tensor, spoken: Tensor, where: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The vectors of a side's prompts [sum of S, width], one prompt after the other, and how many each has [M]."""
    import torch

    found = [
        units(own, head)[heard(tokens[-len(own) :], spoken)]
        for own, tokens in zip(reading.states(model, side.tokens, *where), side.tokens)
    ]
    return torch.cat(found), torch.tensor([len(own) for own in found])


def says(token: bytes) -> bool:
    """Whether a token writes more than punctuation and spaces; what is half a letter counts as one."""
    text = token.decode("utf-8", "replace")
    return any(letter.isalnum() or letter == "\ufffd" for letter in text)


def heard(tokens: Sequence[int], spoken: Tensor) -> Tensor:
    """Which tokens of a document are read [T]: those that say something, or all where none does."""
    import torch

    own = spoken[torch.as_tensor(list(tokens))]
    return own if bool(own.any()) else torch.ones_like(own)


def fellow(items: Sequence[str], row: int) -> int:
    """Another row that is about the same item; where there is none, the next row."""
    same = [other for other, item in enumerate(items) if item == items[row] and other != row]
    return same[0] if same else (row + 1) % len(items)


def units(states: Tensor, head: Tensor) -> Tensor:
    """Vectors of length 1 [T, width] of states [T, D] through a head [width, D]."""
    import torch

    return torch.nn.functional.normalize(states.to(head) @ head.T, dim=-1)


def maxsim(query: Tensor, document: Tensor) -> Tensor:
    """sum_i max_j <q_i, d_j> of vectors [T, D] and [S, D]; the order of either is nothing to it."""
    return (query @ document.T).max(dim=1).values.sum()


def all_maxsims(query: Tensor, documents: Tensor, lengths: Tensor) -> Tensor:
    """MaxSim of a query [T, D] with each of M documents [M], whose vectors stand one after the other [sum of S, D]."""
    import torch

    owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths).expand(len(query), -1)
    best = query.new_full((len(query), len(lengths)), -torch.inf)
    return best.scatter_reduce_(1, owner, query @ documents.T, "amax").sum(0)
