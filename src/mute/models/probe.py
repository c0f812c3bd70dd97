"""A linear probe: the logistic regression that tells two sets of vectors apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def separate(positive: Tensor, negative: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Weight [D] and bias of the logistic regression that tells two sets of vectors [N, D] apart, sides weighed alike.

    Minimises the mean over sides of the mean log-loss, plus ridge |w|^2 in units of the features' spread.
    """
    import torch

    both = torch.cat([positive, negative]).double()
    centre, spread = both.mean(0), both.std().clamp(min=1e-12)
    sides = [((side.double() - centre) / spread, sign) for side, sign in ((positive, 1.0), (negative, -1.0))]
    found = torch.zeros(both.shape[1] + 1, dtype=torch.float64, device=both.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        margins = (sign * (side @ found[:-1] + found[-1]) for side, sign in sides)
        value = sum(torch.nn.functional.softplus(-margin).mean() for margin in margins) / 2
        value = value + ridge * found[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weight = found[:-1].detach() / spread
    return weight, found[-1].detach() - weight @ centre
