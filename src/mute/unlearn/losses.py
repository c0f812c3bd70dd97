"""Losses as functions of tensors alone, so that they can be compared with published values.

B sequences, N answer tokens, V vocabulary. logprob: summed log-probability (nats) of each sequence's answer [B];
tokens: how many tokens it has [B].
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def nll(logprob: Tensor, tokens: Tensor) -> Tensor:
    """Negative log-likelihood, mean over all answer tokens of the batch."""
    return -logprob.sum() / tokens.sum()


def simnpo(logprob: Tensor, tokens: Tensor, beta: float, gamma: float, *, gamma_inside: bool = False) -> Tensor:
    """SimNPO: -(2/beta) E log sigmoid(-(beta/|y|) log pi(y|x) - gamma).

    With `gamma_inside`, gamma is multiplied by beta, as where the margin is added to the mean log-probability.
    """
    margin = beta * gamma if gamma_inside else gamma
    return -(2 / beta) * logsigmoid(-beta * logprob / tokens - margin).mean()


def npo(logprob: Tensor, reference: Tensor, beta: float) -> Tensor:
    """NPO: -(2/beta) E log sigmoid(-beta (log pi(y|x) - log pi_ref(y|x))).

    reference [B]: as logprob, of the model before unlearning.
    """
    return -(2 / beta) * logsigmoid(-beta * (logprob - reference)).mean()


def masked_mse(states: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the D features of tokens in `mask` [B, T]: states, target [B, T, D] (or [D])."""
    each = (states - target).square().mean(-1)
    return (each * mask).sum() / mask.sum()


def steering_direction(size: int, seed: int) -> Tensor:
    """A fixed random direction of length 1: uniform on [0, 1)^D, normalised, as in the reference code of RMU."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(size, generator=generator)
    return u / u.norm()


# The likeliest that a token may be where 1 - p is read: in float32 a sure one has none.
SURE = 1 - 1e-6


def complement(logprob: Tensor) -> Tensor:
    """log(1 - p) of log p, with p at most 1 - 1e-6."""
    return torch.log1p(-logprob.exp().clamp(max=SURE))


def catnip(logprob: Tensor, beta: float, ref_grad: Literal["stop", "flow"] = "stop") -> Tensor:
    """CATNIP: -(2/beta) E log sigmoid(-beta [log p - log(1 - p)]), mean over answer tokens: logprob [N], nats.

    Each token's reference is that anything else is said. With `stop` it is a number, and a token's log p weighs
    2 p^beta / (p^beta + (1 - p)^beta); with `flow` it has a gradient too, and the weight is that over 1 - p.
    """
    other = complement(logprob)
    return -(2 / beta) * logsigmoid(-beta * (logprob - (other.detach() if ref_grad == "stop" else other))).mean()


def ihl(logits: Tensor, labels: Tensor) -> Tensor:
    """Inverted hinge loss of LoKU: 1 + p_true - max of the others' p, in [0, 2]; mean over answer tokens.

    logits: [N, V] that predict the tokens labels [N].
    """
    p = logits.softmax(-1)
    true = p.gather(1, labels[:, None])
    return (1 + true[:, 0] - p.scatter(1, labels[:, None], -1.0).max(1).values).mean()
