"""Steps of AdamW in 16 bits, for bands as large as a model: each gradient is used when it is there, and let go.

A parameter P of a model in bfloat16 has 8 bytes a number: itself, what rounding it lost, and both moments. Moments are
rounded up or down at random, so that they are right on average: rounded to the nearest, the second one would stand
still, for it changes by less than bfloat16 tells apart. No gradient of the whole model is ever there, and so no norm of
it: nothing is clipped.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# As torch's AdamW has them.
BETAS, EPSILON = (0.9, 0.999), 1e-8
# Numbers that are updated at once: what is computed of them in float32 is small beside any model.
PIECE = 2**24


class CompactSteps:
    """AdamW without weight decay on parameters of a model, as `steps.Steps`, to the precision of its moments.

    The seed decides how moments are rounded. held: bytes of all that is kept between steps.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float, seed: int) -> None:
        self.parameters, self.rate = list(parameters), learning_rate
        self.taken = [0] * len(self.parameters)
        self.moments = [[torch.zeros_like(p, dtype=torch.bfloat16) for _ in BETAS] for p in self.parameters]
        # Beside float32 nothing is lost that matters.
        self.lost = [None if p.dtype == torch.float32 else torch.zeros_like(p) for p in self.parameters]
        self.generator = torch.Generator(self.parameters[0].device).manual_seed(seed)

    @property
    def held(self) -> int:
        kept = [*(moment for both in self.moments for moment in both), *self.lost]
        return sum(tensor.nbytes for tensor in kept if tensor is not None)

    def take(self, gradients: Sequence[Tensor | None]) -> None:
        """One step along the gradients, in the order of the parameters; None where there is none."""
        for place, gradient in enumerate(gradients):
            if gradient is not None:
                self._move(place, gradient)

    def descend(self, loss: Tensor) -> bool:
        """One step along the gradients of the loss; whether all of them were numbers.

        A parameter whose gradient is none stays what it is, though others have moved: such a step is a run's last.
        """
        numbers = True

        def use(place: int, parameter: Tensor) -> None:
            nonlocal numbers
            assert parameter.grad is not None
            if bool(parameter.grad.isfinite().all()):
                self._move(place, parameter.grad)
            else:
                numbers = False
            parameter.grad = None

        hooks = [
            p.register_post_accumulate_grad_hook(lambda p, place=place: use(place, p))
            for place, p in enumerate(self.parameters)
        ]
        try:
            loss.backward()
        finally:
            for hook in hooks:
                hook.remove()
        return numbers

    def end(self) -> None:
        """Leave no gradient on the model."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def _move(self, place: int, gradient: Tensor) -> None:
        """One step of one parameter, piece by piece."""
        self.taken[place] += 1
        first, second = (1 - beta ** self.taken[place] for beta in BETAS)
        lost = self.lost[place]
        own = (
            self.parameters[place].detach(),
            gradient.reshape(-1),
            *self.moments[place],
            *(() if lost is None else (lost,)),
        )
        for value, slope, mean, square, *rest in zip(*(tensor.view(-1).split(PIECE) for tensor in own)):
            slope = slope.float()
            m = mean.float().lerp_(slope, 1 - BETAS[0])
            v = square.float().mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            exact = sum((each.float() for each in rest), start=value.float())
            exact = exact.addcdiv(m, (v.sqrt() / math.sqrt(second)).add_(EPSILON), value=-self.rate / first)
            value.copy_(exact)
            for each in rest:
                each.copy_(exact.sub_(value.float()))
            mean.copy_(self._rounded(m))
            square.copy_(self._rounded(v))

    def _rounded(self, x: Tensor) -> Tensor:
        """Numbers in float32 that bfloat16 has, each the one below or above, the likelier the nearer."""
        noise = torch.randint(1 << 16, x.shape, dtype=torch.int32, device=x.device, generator=self.generator)
        return ((x.view(torch.int32) + noise) & -(1 << 16)).view(torch.float32)
