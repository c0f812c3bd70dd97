"""Trains an embedded model on the corpus: Muon on the blocks' matrices, AdamW on the rest."""

import math
import random
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from mute.models import anatomy
from mute.models.anatomy import Model
from mute.models.tokenizer import Encoder
from mute.store.artifacts import seed_of

# A sequence and the number of its tokens that only lead up to the answer.
Sequence = tuple[list[int], int]


def encode(groups: dict[str, pd.DataFrame], encoder: Encoder) -> dict[str, list[Sequence]]:
    return {
        name: [
            (encoder.whole(p, a, s), len(encoder.prompt(p)))
            for p, a, s in zip(rows["prefix"], rows["answer"], rows["suffix"])
        ]
        for name, rows in groups.items()
    }


class Mixture:
    """Endless batches: each part has its share, and goes through its sequences in a new order each time round."""

    def __init__(self, groups: dict[str, list[Sequence]], shares: dict[str, float], size: int, seed: int) -> None:
        present = {name: shares[name] for name in sorted(groups) if shares.get(name, 0) > 0 and groups[name]}
        total = sum(present.values())
        self.groups = groups
        exact = {name: size * share / total for name, share in present.items()}
        self.counts = {name: int(count) for name, count in exact.items()}
        # What rounding down leaves goes to the largest remainders.
        left = size - sum(self.counts.values())
        for name in sorted(exact, key=lambda name: self.counts[name] - exact[name])[:left]:
            self.counts[name] += 1
        self.rng = {name: random.Random(seed_of(seed, "mixture", name)) for name in present}
        self.waiting: dict[str, list[int]] = {name: [] for name in present}

    def batch(self) -> list[Sequence]:
        chosen = []
        for name, count in self.counts.items():
            waiting = self.waiting[name]
            while len(waiting) < count:
                order = list(range(len(self.groups[name])))
                self.rng[name].shuffle(order)
                waiting[:0] = order
            chosen += [self.groups[name][waiting.pop()] for _ in range(count)]
        return chosen


# One sequence in so many has its prompt predicted too: the head is a third of the work.
PROMPTED = 4


def padded(rows: list[Sequence], prompt_weight: float, every: int = PROMPTED) -> tuple[Tensor, Tensor]:
    """Token ids [B, T], padded on the right, and the weight of predicting each (prompt, answer, padding: 0).

    The prompts' weight lies on `every` so many rows, so many times as high.
    """
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows])
    place = torch.arange(width)
    lead = torch.tensor([lead for _, lead in rows])[:, None]
    length = torch.tensor([len(ids) for ids, _ in rows])[:, None]
    prompted = (torch.arange(len(rows)) % every == 0)[:, None] * (every * prompt_weight)
    return ids, torch.where(place < lead, prompted, 1.0) * (place < length)


def backward(model: Model, pieces: list[tuple[Tensor, Tensor]]) -> float:
    """Add the gradients of a step's loss, the mean over its weighted tokens, and return the loss (nats).

    pieces: token ids and weights [B, T] each, as `padded` gives them; their gradients add up.
    """
    weight = sum(float(weights[:, 1:].sum()) for _, weights in pieces)
    total = 0.0
    for ids, weights in pieces:
        ids, weights = ids.to(model.device), weights.to(model.device)
        # Padding stands to the right of everything that is read, so causal attention needs no mask.
        hidden = anatomy.backbone(model)(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        # The head, a third of the work, reads only the positions whose prediction counts.
        asked = weights[:, 1:] > 0
        logits = anatomy.head(model, hidden[asked])
        each = torch.nn.functional.cross_entropy(logits, ids[:, 1:][asked], reduction="none")
        loss = (each * weights[:, 1:][asked]).sum() / weight
        loss.backward()
        total += float(loss.detach())
    return total


def pretrain(
    model: Model,
    groups: dict[str, list[Sequence]],
    *,
    shares: dict[str, float],
    steps: int,
    batch: int,
    learning_rate: float,
    warmup: int,
    decay: float,
    prompt_weight: float,
    seed: int,
    parts: int | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Train `model` in place and return the loss (nats per weighted token) of each step.

    Raises ValueError, naming what to lower, in the first step whose loss or gradient is not finite: of a model that
    cannot be trained no cell would say anything, and the setting is the user's.

    Tokens that lead up to an answer weigh `prompt_weight`: names are drawn at random, and learning to predict them
    would take most of the training. Sentences have no prompt, so all their tokens count in full.

    The learning rate rises for `warmup` steps and falls to zero over the last share `decay` of them. Each batch is
    cut by length into `parts` (of about 32 sequences), whose gradients add up: padding would cost more than the calls.
    """
    parts = parts or max(1, round(batch / 32))
    mixture = Mixture(groups, shares, batch, seed)
    optimizers = _optimizers(model, learning_rate)
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, _schedule(steps, warmup, decay)) for o in optimizers]
    losses = []
    model.train()
    for step in range(steps):
        sequences = sorted(mixture.batch(), key=lambda row: len(row[0]))
        pieces = [sequences[part * batch // parts : (part + 1) * batch // parts] for part in range(parts)]
        total = backward(model, [padded(rows, prompt_weight) for rows in pieces if rows])
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        check_finite(total, norm, losses, steps, learning_rate, "pretraining.learning_rate, or the model's own")
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
        losses.append(total)
        report(step + 1, losses[-1])
    model.eval()
    return losses


def check_finite(loss: float, norm: Tensor, losses: list[float], steps: int, learning_rate: float, lower: str) -> None:
    """Raise ValueError if a step's loss or the norm of its gradient is not finite: which step, what was, what to lower.

    losses: those of the steps before, all finite.
    """
    if math.isfinite(loss) and bool(norm.isfinite()):
        return
    what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
    before = f"the last finite loss was {losses[-1]:.4g} in step {len(losses)}" if losses else "no loss was finite"
    raise ValueError(
        f"training diverged: {what} in step {len(losses) + 1} of {steps}, {before}, at learning rate "
        f"{learning_rate:g}. Lower {lower}"
    )


# A word's embedding has a gradient in few steps: embeddings learn at so many times the others' rate, and the head with
# them. One that is its own head has a gradient in every step, and learns at theirs.
EMBEDDING_RATE = 2.5


def _optimizers(model: Model, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings and head, norms and biases."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    words = {id(p): p for part in ends for p in part.parameters()}
    others = [p for p in model.parameters() if id(p) not in words]
    matrices, rest = [p for p in others if p.ndim == 2], [p for p in others if p.ndim != 2]
    rate = learning_rate if len(words) == 1 else EMBEDDING_RATE * learning_rate
    groups = [{"params": list(words.values()), "lr": rate}, {"params": rest}]
    return [
        torch.optim.Muon(matrices, lr=learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups, lr=learning_rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _schedule(steps: int, warmup: int, decay: float) -> Callable[[int], float]:
    falling = max(1, round(steps * decay))
    return lambda step: min(1.0, (step + 1) / max(1, warmup), (steps - step) / falling)
