"""Steps of AdamW on parameters of a model, in float32 whatever type the model has."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Steps:
    """AdamW without weight decay. Most steps are smaller than what bfloat16 rounds away, so they add up in float32.

    Beside a model in float32 nothing is kept twice; beside another its parameters are, as float32.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float) -> None:
        self.parameters = list(parameters)
        self.exact = [p if p.dtype == torch.float32 else p.detach().float() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(self.exact, lr=learning_rate, weight_decay=0.0)

    def take(self, gradients: Sequence[Tensor | None]) -> None:
        """One step along the gradients, in the order of the parameters; None where there is none."""
        for exact, gradient in zip(self.exact, gradients, strict=True):
            exact.grad = None if gradient is None else gradient.to(exact.dtype)
        self.optimizer.step()
        for parameter, exact in zip(self.parameters, self.exact):
            if parameter is not exact:
                parameter.data.copy_(exact)

    def end(self) -> None:
        """Leave no gradient on the model."""
        self.optimizer.zero_grad(set_to_none=True)
