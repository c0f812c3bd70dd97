"""How alike the states of parallel items are across languages: CKA, LRDS, SADS, retrieval and offsets of one block.

Shapes: K languages, N items, D hidden. States are float tensors [K, N, D]; row i of every language is the same item,
that is, the same meaning. Everything is computed in float64 on the device of the input and returned as plain floats.
CKA keeps the K Gram matrices, K·N²·8 bytes, in memory.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# What is left of identical rows after centring in float64 is rounding, about 1e-16 of the original; two float32 rows
# that differ in their last bit stay far above this.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class CkaNull:
    """Mean CKA when items are not aligned: `mean` and 95th percentile `q95` over `draws`, one value per shuffle."""

    mean: float
    q95: float
    draws: tuple[float, ...]


def cka_matrix(states: Tensor, unbiased: bool = False) -> Tensor:
    """Linear CKA of every pair of languages of states [K, N, D]: a symmetric [K, K] float64 matrix, 1 on the diagonal.

    Biased (Kornblith et al. 2019): in [0, 1]; unrelated data of rank r give about r/(r+N), not 0.
    Unbiased: the same ratio of the estimator HSIC_1 (Song et al. 2012); unrelated data give about 0, so it may be
    negative.

    Raises ValueError if K < 2 or N < 2 (unbiased: N < 4), a value is not finite, or the items of a language do not
    vary.
    """
    grams = _unit_gram(_checked(states, unbiased), unbiased).flatten(1)  # [K, N*N]
    return grams @ grams.T


def mean_cka(states: Tensor, unbiased: bool = False) -> float:
    """Mean of `cka_matrix` over the unordered pairs of languages (MUTE, arXiv 2602.22562, Appendix A.1)."""
    return _mean_off_diagonal(cka_matrix(states, unbiased))


def cka_null(states: Tensor, seed: int, draws: int = 20, unbiased: bool = False) -> CkaNull:
    """The row-permutation null of `mean_cka`: what states [K, N, D] give when no item meets its translation.

    Each draw shuffles the rows of every language but the first, independently, so that within each pair the second
    language's rows stand in uniformly random order relative to the first's. Reproducible from `seed` on any device.

    Raises ValueError like `mean_cka`, and for draws < 1.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    grams = _unit_gram(_checked(states, unbiased), unbiased)
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(draws):
        shuffled = [grams[0]]
        for gram in grams[1:]:
            order = torch.randperm(gram.shape[0], generator=generator).to(gram.device)
            # Shuffling rows of the data shuffles rows and columns of the centred Gram matrix; no need to centre again.
            shuffled.append(gram[order][:, order])
        flat = torch.stack(shuffled).flatten(1)  # [K, N*N]
        values.append(_mean_off_diagonal(flat @ flat.T))
    sample = torch.tensor(values, dtype=torch.float64)
    return CkaNull(mean=float(sample.mean()), q95=float(sample.quantile(0.95)), draws=tuple(values))


def lrds(states: Tensor, remove_mean: bool = False) -> float:
    """How much languages form regions of their own: the linguistic regions development score, in [-2, 2].

    E[cos | same language, different meaning] - E[cos | different language, different meaning] over states [K, N, D]
    that the caller has averaged over tokens (MUTE, Appendix A.2, after Zeng et al. 2024). With `remove_mean` the mean
    over all languages and items is subtracted first: a direction shared by all states raises both terms towards 1.

    Raises ValueError for K < 2, N < 2, values that are not finite, and zero vectors, which have no direction.
    """
    unit = _unit_rows(_checked(states), remove_mean)
    _, different = _mean_cosines(unit)
    return float(different.diagonal().mean()) - _mean_off_diagonal(different)


def lrds_matrix(states: Tensor) -> Tensor:
    """LRDS of every pair of languages of states [K, N, D]: a symmetric [K, K] float64 matrix, 0 on the diagonal.

    Entry ab is `lrds` of languages a and b alone; the mean over pairs is `lrds` of all. Errors as in `lrds`.
    """
    _, different = _mean_cosines(_unit_rows(_checked(states), False))
    same = different.diagonal()
    return (same[:, None] + same) / 2 - different


def lrds_resampled(states: Tensor, counts: Tensor) -> Tensor:
    """`lrds` of states [K, N, D] in every resample of their items, all languages of an item together: float64 [R].

    counts: how often each item is in each resample [R, N]. Two copies of an item have one meaning, and are no pair of
    different ones. A resample of one item alone gives NaN. Errors as in `lrds`.
    """
    unit = _unit_rows(_checked(states), False)
    counts = counts.to(unit)
    k, squares = len(unit), counts.square()
    pairs = counts.sum(1).square() - squares.sum(1)  # ordered pairs of different items [R]
    pairs = pairs.masked_fill(pairs == 0, math.nan)
    total, squared = torch.zeros(len(counts), unit.shape[2], dtype=unit.dtype, device=unit.device), 0.0
    for own in unit:
        part = counts @ own  # [R, D], one language at a time
        total += part
        squared = squared + part.square().sum(-1)
    same = (squared - k * squares.sum(1)) / k
    # Over ordered pairs of different languages: the square of a sum less the sum of squares.
    matched = unit.sum(0).square().sum(-1) - k
    across = (total.square().sum(-1) - squared - squares @ matched) / (k * (k - 1))
    return (same - across) / pairs


def retrieval(states: Tensor, remove_mean: bool = False) -> Tensor:
    """How often items of states [K, N, D] find their translation: a symmetric [K, K] float64 matrix, 1 on the diagonal.

    Entry ab is the share of items of a whose nearest neighbour in b, by cosine, is the same item, and of b in a: the
    mean of both directions. An item that two are equally near to has not found its own. `remove_mean` subtracts the
    mean of each language first. 1/N by chance. Raises ValueError like `lrds`.
    """
    states = _checked(states)
    if remove_mean:
        # Of a state that equals its language's mean only rounding is left, whose direction means nothing.
        mean = states.mean(1, keepdim=True)
        moved = states - mean
        floor = _ROUNDING * torch.maximum(states.norm(dim=-1), mean.norm(dim=-1))
        lost = moved.norm(dim=-1) <= floor
        if bool(lost.any()):
            language, item = lost.nonzero()[0].tolist()
            raise ValueError(f"the state of language {language}, item {item} is the mean of its language: no direction")
        states = moved
    unit = _unit_rows(states, False)
    k, n, _ = unit.shape
    found = torch.ones(k, k, dtype=unit.dtype, device=unit.device)
    for a in range(k):
        for b in range(a + 1, k):
            cosines = unit[a] @ unit[b].T
            own = cosines.diagonal()
            others = cosines.masked_fill(torch.eye(n, dtype=torch.bool, device=unit.device), -math.inf)
            hits = (own > others.amax(1)).double().mean() + (own > others.amax(0)).double().mean()
            found[a, b] = found[b, a] = hits / 2
    return found


def offsets(states: Tensor) -> tuple[Tensor, Tensor]:
    """How far apart the means of two languages of states [K, N, D] lie: two symmetric [K, K] float64 matrices.

    ‖mean_a - mean_b‖ divided by the mean norm of the states of both, and by their spread, the root of the mean squared
    distance from their own language's mean. Raises ValueError for K < 2, N < 2 and values that are not finite.
    """
    states = _checked(states)
    means = states.mean(1)
    apart = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    size = states.norm(dim=-1).mean(1)
    spread = (states - means[:, None]).square().sum(-1).mean(1)
    return apart / ((size[:, None] + size) / 2), apart / ((spread[:, None] + spread) / 2).sqrt()


def sads(states: Tensor, remove_mean: bool = False) -> float:
    """How far meanings agree across languages: the semantic alignment development score, in [-2, 2].

    E[cos | different language, same meaning] - E[cos | different language, different meaning] over states [K, N, D]
    (Zeng et al. 2024, "Converging to a Lingua Franca"). `remove_mean` and errors as in `lrds`.
    """
    unit = _unit_rows(_checked(states), remove_mean)
    same, different = _mean_cosines(unit)
    return _mean_off_diagonal(same) - _mean_off_diagonal(different)


def _checked(states: Tensor, unbiased: bool = False) -> Tensor:
    """The input as float64, or a ValueError that says what is wrong with it."""
    if states.ndim != 3:
        raise ValueError(f"expected a tensor [K, N, D], got shape {list(states.shape)}")
    if len(states) < 2:
        raise ValueError(f"comparing languages needs at least 2 of them, got {len(states)}")
    needed = 4 if unbiased else 2
    if states.shape[-2] < needed:
        kind = "the unbiased estimate" if unbiased else "comparing meanings"
        raise ValueError(f"{kind} needs at least {needed} items, got {states.shape[-2]}")
    states = states.detach().double()
    if not bool(states.isfinite().all()):
        raise ValueError("states hold values that are not finite (NaN or infinite)")
    return states


def _unit_gram(x: Tensor, unbiased: bool) -> Tensor:
    """Centred linear Gram matrices [..., N, N] of x [..., N, D], scaled to Frobenius norm 1: CKA is their product sum.

    Unbiased, the centring is U-centring (Székely and Rizzo 2014): the product sum of two U-centred Grams is
    N(N-3)·HSIC_1. It keeps the rounding error of identical rows small where the three terms of HSIC_1 would cancel.
    """
    n = x.shape[-2]
    scale = x.flatten(-2).norm(dim=-1)
    x = x - x.mean(-2, keepdim=True)
    if bool((x.flatten(-2).norm(dim=-1) <= _ROUNDING * scale).any()):
        raise ValueError("CKA is not defined where all items of a language have the same state")
    gram = x @ x.mT
    if unbiased:
        whole = gram.flatten(-2).norm(dim=-1)
        diagonal = torch.eye(n, dtype=torch.bool, device=x.device)
        gram = gram.masked_fill(diagonal, 0.0)
        rows = gram.sum(-1, keepdim=True) / (n - 2)
        total = gram.sum((-2, -1), keepdim=True) / ((n - 1) * (n - 2))
        gram = (gram - rows - rows.mT + total).masked_fill(diagonal, 0.0)
        if bool((gram.flatten(-2).norm(dim=-1) <= _ROUNDING * whole).any()):
            raise ValueError("unbiased CKA is not defined where all items of a language are equally far apart")
    return gram / gram.flatten(-2).norm(dim=-1)[..., None, None]


def _unit_rows(states: Tensor, remove_mean: bool) -> Tensor:
    """States [K, N, D] scaled to length 1, after subtracting the mean over languages and items if asked for."""
    length = states.norm(dim=-1, keepdim=True)
    floor = torch.zeros_like(length)
    if remove_mean:
        # A state that equals the mean leaves only rounding, whose direction means nothing.
        mean = states.mean((0, 1))
        floor = _ROUNDING * torch.maximum(length, mean.norm())
        states = states - mean
        length = states.norm(dim=-1, keepdim=True)
    if bool((length <= floor).any()):
        language, item = (length <= floor)[..., 0].nonzero()[0].tolist()
        after = " once the mean is removed" if remove_mean else ""
        raise ValueError(f"the state of language {language}, item {item} is a zero vector{after}: it has no direction")
    return states / length


def _mean_cosines(unit: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cosine [K, K] by pair of languages of unit [K, N, D]: over (same meaning, different meaning).

    The sum over all N² pairs of items is a product of sums, S_a·S_b; taking off the N matched pairs leaves the N(N-1)
    pairs of different meaning. On the diagonal (one language) the matched pairs are the N items with themselves.
    """
    n = unit.shape[1]
    sums = unit.sum(1)  # [K, D]
    flat = unit.flatten(1)  # [K, N*D]
    matched = flat @ flat.T
    return matched / n, (sums @ sums.T - matched) / (n * (n - 1))


def _mean_off_diagonal(matrix: Tensor) -> float:
    """Mean over unordered pairs of a symmetric [K, K] matrix."""
    k = len(matrix)
    return float(matrix.triu(diagonal=1).sum()) / (k * (k - 1) / 2)
