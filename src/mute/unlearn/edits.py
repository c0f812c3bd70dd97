"""Closed-form edits and gradient arithmetic as functions of tensors alone, to be compared with published values.

A weight maps keys to values: W [out, in], keys K [in, n], one a column. C [in, in] is a second moment of keys. Solves
are in float64, whatever is given.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

# What keeps a quotient of squared gradients finite, as in LoKU's code.
SMALL = 1e-5


def negation(base: Tensor, tuned: Tensor) -> Tensor:
    """What negating a task vector adds at scale 1: theta_0 - theta_ft (Ilharco et al. 2022, 2212.04089)."""
    return base - tuned


def row_importance(forget: Tensor, retain: Tensor) -> Tensor:
    """FILA's weight of each row of W [out]: sqrt(sum_j F_f/(F_r + 1e-5)) of mean squared gradients [out, in]."""
    return (forget / (retain + SMALL)).sum(1).sqrt()


def fila(weight: Tensor, importance: Tensor, rank: int, scale: float) -> tuple[Tensor, Tensor]:
    """FILA's start of a low-rank update: A [rank, in] and B [out, rank] of which the weight W - s B A is left beside.

    The best rank-r part of diag(w) W = U S V', with S <- S/s: A = sqrt(S) V', B = diag(1/(w + 1e-5)) U sqrt(S)
    (LoKU, 2408.06621). By an exact decomposition: the same again, with no seed.
    """
    w = importance.double()
    u, s, v = torch.linalg.svd(w[:, None] * weight.double(), full_matrices=False)
    root = (s[:rank] / scale).sqrt()
    a, b = root[:, None] * v[:rank], (u[:, :rank] * root) / (w + SMALL)[:, None]
    # Steps are taken in float32 or better, whatever type the weight has.
    exact = torch.promote_types(weight.dtype, torch.float32)
    return a.to(exact), b.to(exact)


Gradients = Sequence[Tensor | None]


def dot(one: Gradients, other: Gradients) -> Tensor:
    """Inner product of two gradients over all parameters; one that is None is zero. Float64."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    return torch.stack([(a.double() * b.double()).sum() for a, b in pairs]).sum() if pairs else torch.tensor(0.0)


def combined(first: float | Tensor, one: Gradients, second: float | Tensor, other: Gradients) -> list[Tensor | None]:
    """first * one + second * other, parameter by parameter; None where both are."""

    def add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        parts = [
            (factor * tensor).to(tensor.dtype) for factor, tensor in ((first, a), (second, b)) if tensor is not None
        ]
        return sum(parts[1:], start=parts[0]) if parts else None

    return [add(a, b) for a, b in zip(one, other, strict=True)]


def blur(
    forget: Gradients,
    retain: Gradients,
    gamma: float,
    variant: Literal["retain_upper", "forget_upper", "rmu", "pen"] = "retain_upper",
) -> list[Tensor | None]:
    """BLUR's direction to descend along, of the gradients of two losses that are both minimised (2506.08164).

    retain_upper: g_r - c g_f + gamma g_f, c = <g_r, g_f> / |g_f|^2; g_r where g_f is zero. forget_upper: the same with
    the roles exchanged. rmu: g_f + gamma (g_r - c g_f). pen: g_f + gamma g_r.
    """
    if variant == "pen":
        return combined(1.0, forget, gamma, retain)
    lower, upper = (retain, forget) if variant == "forget_upper" else (forget, retain)
    size = float(dot(lower, lower))
    c = float(dot(upper, lower)) / size if size > 0 else 0.0
    if variant == "rmu":
        return combined(1 - gamma * c, forget, gamma, retain)
    return combined(gamma - c, lower, 1.0, upper)


def null_space(moment: Tensor, threshold: float = math.inf, *, share: float = 1.0) -> Tensor:
    """Projector [in, in] on the eigenvectors of a second moment with small eigenvalues; float64.

    Those below `threshold`, and no more than the smallest `share` of all.
    """
    values, vectors = torch.linalg.eigh(moment.double())
    kept = vectors[:, : round(share * len(values))][:, values[: round(share * len(values))] < threshold]
    return kept @ kept.T


def null_space_edit(
    keys: Tensor, residual: Tensor, projector: Tensor, ridge: float, earlier: Tensor | None = None
) -> Tensor:
    """AlphaEdit's change of W [out, in], Delta' = (P (K K' + C_prev) + L2 I)^{-1} P K R' (2410.02355); float64.

    residual: R [out, n], what W K lacks. projector: P, of `null_space`. earlier: C_prev, K K' of edits before.
    """
    k, p = keys.double(), projector.double()
    known = k @ k.T if earlier is None else k @ k.T + earlier.double()
    system = p @ known + ridge * torch.eye(len(k), dtype=torch.float64, device=k.device)
    return torch.linalg.solve(system, p @ k @ residual.double().T).T


def memit_edit(keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
    """MEMIT's change of W [out, in], R K' (K K' + C)^{-1} (2210.07229); float64. moment: C, weight and all."""
    k = keys.double()
    return torch.linalg.solve(k @ k.T + moment.double(), k @ residual.double().T).T


def rome_edit(weight: Tensor, key: Tensor, value: Tensor, moment: Tensor) -> Tensor:
    """ROME's rank-one change of W [out, in], (v - W k) (C^{-1} k)' / (k' C^{-1} k) (2202.05262); float64.

    key [in] and the value [out] that it is to give, exactly.
    """
    k = key.double()
    through = torch.linalg.solve(moment.double(), k)
    return torch.outer(value.double() - weight.double() @ k, through) / (k @ through)
