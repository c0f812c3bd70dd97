"""The plain path: what published codes do for every step, and what the engine must equal.

The whole model runs forwards from the tokens, every parameter gets a gradient, the head reads every position, and what
the model was before unlearning is asked of a second model that is kept alive. Tests hold the engine against it, and
benchmarks measure both.
"""

import copy
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mute.engine import moments
from mute.engine.band import Batch, Task, each, summed
from mute.models import anatomy
from mute.models.anatomy import Model


class WholeModel(Task):
    """A task on which nothing is cached, truncated or left out. Padding needs no mask: attention is causal."""

    frozen_model: Any = None
    frozen_states: Any = None

    def batch(self, side: str, rows: Tensor) -> Batch:
        return self.side(side).batch(rows, states=False)

    def train(self, names: list[str]) -> None:
        self.model.requires_grad_(True)

    def gradients(self, loss: Tensor, names: list[str], create_graph: bool = False) -> list[Tensor | None]:
        parameters = dict(self.model.named_parameters())
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, create_graph=create_graph)
        every = dict(zip(parameters, found))
        return [every[name] for name in names]

    @contextmanager
    def shifted(self, batch: Batch, shift: Tensor, output: Tensor | None = None) -> Generator[None]:
        reading: list[bool] = []

        def note(module: Any, args: Any, kwargs: Any) -> None:
            reading[:] = [kwargs["input_ids"] is batch.ids]

        def add(module: Any, args: Any, output: Any) -> Any:
            if not reading[0]:
                return None
            return (output[0] + shift, *output[1:]) if isinstance(output, tuple) else output + shift

        hooks = [
            self.model.register_forward_pre_hook(note, with_kwargs=True),
            anatomy.blocks(self.model)[self.band.stop - 1].register_forward_hook(add),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def output(self, batch: Batch) -> Tensor:
        return self._output(self.model, batch)

    def freeze_outputs(self, *names: str) -> None:
        self._keep_a_model()

    @torch.no_grad()
    def frozen_output(self, batch: Batch) -> Tensor:
        return self._output(self.frozen_model, batch)

    def freeze_logprobs(self, *names: str) -> None:
        self._keep_a_model()

    @torch.no_grad()
    def frozen_logprobs(self, batch: Batch) -> Tensor:
        return summed(self._logits(self.frozen_model, batch), batch)[0]

    def answer_logits(self, batch: Batch) -> Tensor:
        return self._logits(self.model, batch)

    def freeze_token_logprobs(self, *names: str) -> None:
        self._keep_a_model()

    @torch.no_grad()
    def frozen_token_logprobs(self, batch: Batch) -> Tensor:
        return each(self._logits(self.frozen_model, batch), batch)

    def freeze_states(self, *names: str) -> None:
        # Not the model before unlearning, where they are asked of what has become of it.
        self.frozen_states = copy.deepcopy(self.model).requires_grad_(False)

    @torch.no_grad()
    def frozen_logits(self, batch: Batch) -> Tensor:
        return self._logits(self.frozen_states, batch)

    def final_states(self, batch: Batch) -> Tensor:
        """What the final norm is given at the N answers' predictors [N, D]."""
        kept: list[Tensor] = []
        hook = anatomy.final_norm(self.model).register_forward_pre_hook(lambda module, args: kept.append(args[0]))
        try:
            self.model(input_ids=batch.ids, use_cache=False)
        finally:
            hook.remove()
        return batch.predictors(kept[0])

    def keys(self, batch: Batch, block: int, where: Tensor | None = None) -> Tensor:
        with moments.inputs(self.model, block) as seen:
            self.model(input_ids=batch.ids, use_cache=False)
        return seen[0][batch.real if where is None else where]

    @torch.no_grad()
    def covariance(self, side: str, block: int) -> Tensor:
        if (side, block) not in self._covariances:
            self._covariances[side, block] = moments.second(self._all_keys(side, block))
        return self._covariances[side, block]

    def _keep_a_model(self) -> None:
        if self.frozen_model is None:
            self.frozen_model = copy.deepcopy(self.model).requires_grad_(False)

    def _logits(self, model: Model, batch: Batch) -> Tensor:
        return batch.predictors(model(input_ids=batch.ids, use_cache=False).logits.float())

    def _output(self, model: Model, batch: Batch) -> Tensor:
        """The band's output, while all of the model runs."""
        kept: list[Tensor] = []

        def keep(module: Any, args: Any, output: Any) -> None:
            # A block gives a tensor in some families and a tuple in others.
            kept.append(output[0] if isinstance(output, tuple) else output)

        hook = anatomy.blocks(model)[self.band.stop - 1].register_forward_hook(keep)
        try:
            model(input_ids=batch.ids, use_cache=False)
        finally:
            hook.remove()
        return kept[0]
