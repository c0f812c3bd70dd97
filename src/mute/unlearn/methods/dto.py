"""DTO: push down the tokens on which the end of a forget text depends, and hold all others of it where they were.

Our instantiation of Direct Token Optimization (arXiv 2510.00125), rebuilt from abstract and reviews. A token of the
prompt scores how much the loss of the text's last part, a share rho of its tokens up to the end of the answer, changes
on average when another token stands in its place. Targets M are the share k of them with the largest score, up or down,
and the answer's own tokens, of which the paper's rule is not known to us: L = mean over M of log p + lambda mean over
all others of KL(pi_0 || pi), and a target's NLL counts up to 2 ln V. No retain data is read. Certainty: rebuilt.
Defaults are ours: k 0.2, rho 0.3, lambda 1, three other tokens, drawn from the language's forget texts; for 7B a
learning rate of 1e-5.

Scores take so many runs of the base on each forget text as its prompt has tokens, times `replacements`, once before the
first strength: with many texts this is most of the work. `targets: random` is the control: as many tokens, drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from mute.engine.band import Batch, Task, TextSet

# Tokens of one batch that is only read.
READ = 8192


class Settings(base.Settings):
    """DTO."""

    share: float = Field(0.2, gt=0, le=1, description="Share k of the scored tokens that become targets.")
    rho: float = Field(0.3, gt=0, lt=1, description="Share of a text, at its end, whose loss is the score's measure.")
    replacements: int = Field(3, ge=1, description="Other tokens that are put in each scored token's place.")
    keep_weight: float = Field(1.0, ge=0, description="Weight lambda of what holds all other tokens.")
    answers: bool = Field(True, description="Whether the answer's own tokens are targets too.")
    targets: Literal["scored", "random"] = Field(
        "scored", description="Which tokens are targets: those with the largest scores or, as a control, any."
    )


class DTO(base.Descent[Settings]):
    name = "dto"
    paper = "Direct Token Optimization 2025, arXiv 2510.00125"
    family = "divergence"
    Settings = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        # Which tokens are targets, by text set and seed: they are those of the base at every strength.
        self.known: dict[tuple[TextSet, int], list[list[int]]] = {}

    def at(self, strength: float) -> Self:
        made = super().at(strength)
        made.known = self.known
        return made

    def cost(self) -> base.Cost:
        # Logits are read at every token. Scores are fitted to the 640 forget texts of the default world.
        scored = 1.6 * self.settings.replacements if self.settings.targets == "scored" else 0.0
        return base.Cost(sides=1, reference=True, passes=1.5 + scored)

    def prepare(self, task: Task) -> None:
        import torch

        from mute.engine import frozen

        side = task.forget
        if (side, task.seed) not in self.known:
            pools = {language: spoken(side, language) for language in set(side.languages)}
            self.known[side, task.seed] = [
                self._chosen(task, row, pools[language]) for row, language in enumerate(side.languages)
            ]
        self.chosen = self.known[side, task.seed]
        # Where norm and head train too, what the base says is read by what they were.
        self.head = frozen.head(task.model) if task.band.full else task.model
        lengths = (side.last - 1).tolist()
        kept: list[Tensor] = [torch.empty(0)] * len(side)
        with torch.no_grad():
            for rows in map(torch.tensor, side.texts.batches):
                states = task.final_states(whole(task.batch("forget", rows)))
                for row, own in zip(rows.tolist(), states.split([lengths[row] for row in rows.tolist()])):
                    kept[row] = own.clone()
        self.states = kept

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        import torch

        from mute.engine import sections

        batch = whole(batches["forget"])
        rows = batch.rows.tolist()
        with torch.no_grad():
            frozen = sections.read_out(self.head, torch.cat([self.states[row] for row in rows]))
        marks = torch.zeros_like(batch.answer)
        for number, row in enumerate(rows):
            marks[number, self.chosen[row]] = True
        logits = task.answer_logits(batch)
        return {"forget": dto(logits, frozen, batch.labels, marks[batch.answer], self.settings.keep_weight)}

    def _chosen(self, task: Task, row: int, pool: list[int]) -> list[int]:
        """Places of the targets of a forget text; pool: tokens that may stand in others' places."""
        import torch

        from mute.store.artifacts import seed_of

        s, side = self.settings, task.forget
        first, last = int(side.first[row]), int(side.last[row])
        end = max(1, round(s.rho * (last - 1)))
        # What is scored: tokens of the prompt before the part whose loss is measured; the first one is not predicted.
        places = range(1, min(first, last - end))
        found = list(range(first, last)) if s.answers or not places else []
        if not places:
            return found
        generator = torch.Generator().manual_seed(seed_of(task.seed, "targets", row))
        if s.targets == "random":
            order = torch.randperm(len(places), generator=generator)
        else:
            ids = torch.tensor(side.texts.sequences[row][:last])
            own = ids[1 : places.stop]
            others = drawn(own, pool, s.replacements, generator)
            scores = deltas(lambda tokens: self._ends(task, ids, tokens, end), own, others)
            order = scores.abs().argsort(descending=True, stable=True)
        most = max(1, round(s.share * len(places)))
        return sorted([*found, *(places[place] for place in order[:most].tolist())])

    @staticmethod
    def _ends(task: Task, ids: Tensor, tokens: Tensor, end: int) -> Tensor:
        """Mean loss [M] of the last `end` tokens of `ids` [T] with each of `tokens` [M, P] after its first one."""
        import torch
        from torch.nn.functional import cross_entropy

        from mute.engine import sections

        model, found = task.model, []
        with torch.no_grad():
            for own in tokens.split(max(1, READ // len(ids))):
                every = ids.repeat(len(own), 1)
                every[:, 1 : 1 + own.shape[1]] = own
                every = every.to(model.device)
                states = sections.run(model, sections.embed(model, every), 0, sections.depth(model), ids=every)
                logits = sections.read_out(model, states[:, -end - 1 : -1])
                found.append(cross_entropy(logits.flatten(0, 1), every[:, -end:].flatten(), reduction="none"))
        return torch.cat([each.view(-1, end).mean(1).cpu() for each in found])


def whole(batch: Batch) -> Batch:
    """The batch with every token up to the end of the answer to be predicted, but for the first."""
    from dataclasses import replace

    import torch

    place = torch.arange(batch.ids.shape[1])
    read = (place > 0) & (place < batch.side.last[batch.rows, None])
    return replace(batch, answer=read.to(batch.ids.device))


def spoken(side: TextSet, language: str) -> list[int]:
    """Tokens that stand in a side's texts of a language, but for the first and last of each, in order."""
    own = [sequence for sequence, code in zip(side.texts.sequences, side.languages) if code == language]
    return sorted({token for sequence in own for token in sequence[1:-1]})


def drawn(tokens: Tensor, among: list[int], count: int, generator: Generator) -> Tensor:
    """For each of the tokens [P] so many others [P, count], drawn from `among`."""
    import torch

    pool = torch.tensor(among)
    chosen = pool[torch.randint(len(pool), (len(tokens), count), generator=generator)]
    # Where the token itself was drawn, the next one of the pool stands for it.
    following = pool[(torch.searchsorted(pool, tokens) + 1) % len(pool)]
    return torch.where(chosen == tokens[:, None], following[:, None], chosen)


def deltas(loss: Callable[[Tensor], Tensor], tokens: Tensor, others: Tensor) -> Tensor:
    """Mean change of a loss when others [P, K] stand in the place of each of the tokens [P]; loss: [M, P] to [M]."""
    import torch

    count, each = others.shape
    variants = tokens.repeat(count * each, 1)
    variants[torch.arange(count * each), torch.arange(count).repeat_interleave(each)] = others.flatten()
    found = loss(torch.cat([tokens[None], variants]))
    return found[1:].view(count, each).mean(1) - found[0]


def dto(logits: Tensor, frozen: Tensor, labels: Tensor, targets: Tensor, weight: float) -> Tensor:
    """Mean of the targets' log p, at least -2 ln V, and weight times mean KL from the base at all other tokens.

    logits, frozen [N, V]; labels, targets [N].
    """
    import math

    from mute.unlearn.distances import kl

    most = 2 * math.log(logits.shape[-1])
    each = logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]
    pushed = each[targets].clamp(min=-most).mean()
    if weight == 0 or bool(targets.all()):
        return pushed
    return pushed + weight * kl(frozen[~targets], logits[~targets]).mean()
