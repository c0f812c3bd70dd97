"""Steps of AdamW on parameters of a model, in float32 whatever type the model has."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Steps:
    """AdamW without weight decay. Most steps are smaller than what bfloat16 rounds away, so they add up in float32.

    Beside a model in float32 nothing is kept twice; beside another its parameters are, as float32. masks: for each
    parameter, which of its numbers may move (bool, its shape or one that broadcasts to it), or None for all of them:
    the others stay what they are bit for bit.
    """

    def __init__(
        self, parameters: Sequence[Tensor], learning_rate: float, masks: Sequence[Tensor | None] | None = None
    ) -> None:
        self.parameters = list(parameters)
        self.masks = [None] * len(self.parameters) if masks is None else list(masks)
        self.exact = [p if p.dtype == torch.float32 else p.detach().float() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(self.exact, lr=learning_rate, weight_decay=0.0)

    def take(self, gradients: Sequence[Tensor | None]) -> None:
        """One step along the gradients, in the order of the parameters; None where there is none."""
        for exact, gradient, mask in zip(self.exact, gradients, self.masks, strict=True):
            if gradient is not None and mask is not None:
                # Whose gradient was always zero does not move: there is no weight decay.
                gradient = torch.where(mask, gradient, 0)
            exact.grad = None if gradient is None else gradient.to(exact.dtype)
        self.optimizer.step()
        # Not through `.data`: whoever keeps states of the model asks torch whether its weights were written to.
        with torch.no_grad():
            for parameter, exact in zip(self.parameters, self.exact):
                if parameter is not exact:
                    parameter.copy_(exact)

    def end(self) -> None:
        """Leave no gradient on the model."""
        self.optimizer.zero_grad(set_to_none=True)
