"""Teaches a pretrained model the corpus: LoRA on every linear layer of its blocks, merged into its weights.

The paper's knowledge injection: rank 8, AdamW at 5e-5 along a cosine after a warm-up of a tenth, batches of 16, two
passes over all domains and languages. It does not say which tokens its loss reads: ours are the answers, as in
unlearning and evaluation, and all tokens of texts that have no prompt.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import torch

from mute.models.anatomy import Model
from mute.models.pretrain import Sequence, backward, check_finite, padded
from mute.store.artifacts import seed_of

# What one pass holds in memory at most; the gradients of a step's passes add up.
TOKENS_PER_PASS = 4096


def adapt(
    model: Model,
    texts: list[Sequence],
    *,
    rank: int,
    alpha: float,
    dropout: float,
    learning_rate: float,
    warmup: float,
    batch_size: int,
    epochs: float,
    prompt_weight: float,
    seed: int,
    recompute: bool = False,
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> tuple[Model, list[float]]:
    """The adapted model, a model of the same class and type, and the loss (nats per weighted token) of each step.

    The update is kept in float32 whatever the model's type, and rounded to it when it is merged. The same seed gives
    the same model. recompute: whether each block's inside is computed again for gradients, and not kept. Raises
    ValueError where there is nothing to read, or a loss or gradient is not finite.
    """
    if not texts:
        raise ValueError("the corpus has no texts in the model's languages: there is nothing to adapt it to")
    torch.manual_seed(seed_of(seed, "lora"))
    tuned = _with_update(model, rank, alpha, dropout)
    parameters = [p for p in tuned.parameters() if p.requires_grad]
    # Python's own draws, the same on every machine.
    batches = _batches(len(texts), batch_size, epochs, seed_of(seed, "batches"))
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(len(batches), warmup))
    losses = []
    tuned.train()
    if recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for step, rows in enumerate(batches):
        total = _backward(model, [texts[row] for row in rows], prompt_weight)
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        lower = "the adaptation's learning_rate, or set engine.dtype to float32"
        check_finite(total, norm, losses, len(batches), learning_rate, lower)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        losses.append(total)
        report(step + 1, len(batches), total)
    if recompute:
        model.gradient_checkpointing_disable()
    return tuned.merge_and_unload().eval().requires_grad_(False), losses


def _with_update(model: Model, rank: int, alpha: float, dropout: float) -> Any:
    """The model with an update of its own beside every linear layer of its blocks; nothing else is trained."""
    from peft import LoraConfig, get_peft_model

    chosen = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # ty: ignore[invalid-argument-type]
        lora_dropout=dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, chosen)


def _batches(texts: int, size: int, epochs: float, seed: int) -> list[list[int]]:
    """Rows of each step: every text once a pass, in an order of its own; a part of a pass is cut off."""
    rng, order = random.Random(seed), []
    total = max(1, round(texts * epochs))
    while len(order) < total:
        rows = list(range(texts))
        rng.shuffle(rows)
        order += rows
    return [order[i : min(i + size, total)] for i in range(0, total, size)]


def cosine(steps: int, warmup: float) -> Callable[[int], float]:
    """Share of the learning rate by step: up over the first share `warmup`, then down half a cosine towards zero."""
    rising = math.ceil(steps * warmup)

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return share


def _backward(model: Model, rows: list[Sequence], prompt_weight: float) -> float:
    """Add the gradients of a step's loss, in passes that fit, and return the loss."""
    return backward(model, [padded(piece, prompt_weight, every=1) for piece in _passes(rows)])


def _passes(rows: list[Sequence]) -> list[list[Sequence]]:
    """Rows by length, cut where padded ones would hold more than TOKENS_PER_PASS tokens."""
    found: list[list[Sequence]] = []
    for row in sorted(rows, key=lambda row: len(row[0])):
        if not found or (len(found[-1]) + 1) * len(row[0]) > TOKENS_PER_PASS:
            found.append([])
        found[-1].append(row)
    return found
