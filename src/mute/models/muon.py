"""Muon: steps along the orthogonalised momentum of matrices (Jordan et al. 2024), in float32.

torch's own orthogonalises in bfloat16: on processors without it a step takes twenty times as long, and its result
depends on the processor. This one takes matrices of one shape together.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# Coefficients of the quintic Newton-Schulz iteration, and how often it is taken.
FIRST, THIRD, FIFTH = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
# What keeps a matrix of zeros from being divided by zero.
TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; the size of a step is that of AdamW's (0.2 times the larger side's root)."""

    def __init__(self, matrices: Iterable[Tensor], learning_rate: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # ty: ignore[incompatible-method-override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in alike.items():
                gradient = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
                # One buffer for all that stand together, kept with the first of them.
                state = self.state[matrices[0]]
                momentum = state.setdefault("momentum", torch.zeros_like(gradient))
                momentum.lerp_(gradient, 1 - group["momentum"])
                updates = orthogonalised(gradient.lerp_(momentum, group["momentum"]))
                size = 0.2 * max(shape) ** 0.5
                torch._foreach_add_(matrices, list(updates.unbind()), alpha=-group["lr"] * size)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Nearly U V^T for each U S V^T of [K, M, N]: singular values between about 0.7 and 1.2.

    The iteration X <- (a + b G + c G^2) X with G = X X^T goes on in G alone, which is small: its polynomials commute,
    so that G itself is multiplied by the square of each, and X at the end by the product of all.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=TINY)
    gram = x @ x.mT
    product: Tensor | None = None
    for iteration in range(ITERATIONS):
        polynomial = torch.baddbmm(gram, gram, gram, beta=THIRD, alpha=FIFTH)
        polynomial.diagonal(dim1=1, dim2=2).add_(FIRST)
        product = polynomial if product is None else polynomial @ product
        if iteration + 1 < ITERATIONS:
            gram = polynomial @ gram @ polynomial
    assert product is not None
    return product @ x
