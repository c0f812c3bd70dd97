"""Models beside the base: some of its blocks with low-rank updates, read beside it where it predicts.

An assistant is the embeddings, blocks 0 to `stop` - 1, the final norm and the head of the base, with low-rank updates,
which are all that is kept of it. N predictions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mute.models.treatment import Treatment

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model

_A, _B = ".a", ".b"
# Factors are kept with their scale in the one and not in the other.
ALPHA_OVER_RANK = 2.0


def trained(
    task: Task, blocks: Sequence[int], rank: int, rate: float, losses: Iterable[Callable[[], Tensor]]
) -> dict[str, Tensor]:
    """Low-rank updates of all linear layers of `blocks`, after a step of AdamW on each loss; the model stays as it is.

    Returns by name of a weight and `.a` [rank, in], `.b` [out, rank]: W + B A is what has been trained.
    """
    from mute.engine import low_rank
    from mute.engine.steps import Steps
    from mute.store.artifacts import seed_of

    model = task.model
    names = low_rank.linear_weights(model, blocks)
    rank = min(rank, *(min(model.get_parameter(name).shape) for name in names))
    starts = low_rank.zero_start(model, names, rank, seed_of(task.seed, "beside"))
    with low_rank.attached(model, starts, ALPHA_OVER_RANK) as known:
        own = list(known)
        task.train(own)
        steps = Steps([model.get_parameter(name) for name in own], rate)
        for loss in losses:
            steps.take(task.gradients(loss(), own))
        steps.end()
        kept = {name: model.get_parameter(name).detach().clone().float() for name in own}
    found = {f"{weight}.{name.rsplit('.', 1)[1]}": kept[name] for name, weight in known.items()}
    return {name: ALPHA_OVER_RANK * own if name.endswith(_B) else own for name, own in found.items()}


def answer_logits(model: Model, batch: Batch, stop: int) -> Tensor:
    """Logits [N, V] by which a model of the first `stop` blocks predicts a batch's answer tokens."""
    from mute.engine import sections

    hidden = sections.run(model, sections.embed(model, batch.ids), 0, stop, ids=batch.ids)
    return sections.read_out(model, batch.predictors(hidden))


class Beside(Treatment):
    """A treatment that reads an assistant. fitted: the updates of `trained`; stop: how many blocks it has."""

    def __init__(self, fitted: Mapping[str, Tensor], stop: int) -> None:
        self.fitted, self.stop = fitted, stop
        self.model: Model | None = None

    def asked(self, model: Model, prompts: Sequence[Sequence[int]]) -> None:
        self.model = model

    def beside(self, reads: Sequence[Sequence[int]]) -> Tensor:
        """Logits [N, V] of the assistant after what has been read."""
        import torch

        from mute.engine import sections
        from mute.models import patches

        if self.model is None:
            raise RuntimeError(f"{self.name} has not been told which model it guards: install it first")
        model, (long, places) = self.model, maximal(reads)
        with patches.applied(model, self.merged(model)), torch.no_grad():
            texts = sections.Texts(model, long)
            ends = [torch.empty(0)] * len(reads)
            wanted: dict[int, list[int]] = {}
            for number, (row, _) in enumerate(places):
                wanted.setdefault(row, []).append(number)
            for rows in texts.batches:
                index = texts.positions(sections.in_fours(rows))
                hidden = sections.run(model, texts.at(index), 0, self.stop, ids=texts.ids[index])
                for row, own in zip(rows, hidden):
                    for number in wanted[row]:
                        ends[number] = own[places[number][1]]
            return sections.read_out(model, torch.stack(ends))

    def merged(self, model: Model) -> dict[str, Tensor]:
        """The weights that are updated, W + B A."""
        made = {}
        for name in (own.removesuffix(_A) for own in self.fitted if own.endswith(_A)):
            weight = model.get_parameter(name).detach()
            update = self.fitted[name + _B].to(weight.device) @ self.fitted[name + _A].to(weight.device)
            made[name] = weight + update.to(weight.dtype)
        return made


def maximal(reads: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """The sequences that begin no other, and for each that was given: one that it begins, and its own last place."""
    order = sorted(range(len(reads)), key=lambda row: list(reads[row]))
    long: list[list[int]] = []
    places: list[tuple[int, int]] = [(0, 0)] * len(reads)
    for row in reversed(order):
        own = list(reads[row])
        # In this order what begins with it comes right before it.
        if not long or long[-1][: len(own)] != own:
            long.append(own)
        places[row] = len(long) - 1, len(own) - 1
    return long, places
