"""Losses as functions of tensors alone, so that they can be compared with published values.

B sequences. logprob: summed log-probability (nats) of each sequence's answer [B]; tokens: how many tokens it has [B].
"""

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
