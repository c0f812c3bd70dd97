"""What methods share that train a part of a band's weights alone: chosen once, from gradients of the base model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(wrapper.Settings):
    """What every method with a mask can be told."""

    mask: Literal["chosen", "random"] = Field(
        "chosen", description="Which weights train: the chosen ones, or as many of each matrix at random, the control."
    )
    mask_language: str = Field("", description="Source language whose texts the mask is chosen by; '': all texts.")


OfMask = TypeVar("OfMask", bound=Settings)


class Masked(wrapper.Wrapper[OfMask]):
    """A descent around another that moves chosen weights alone; all others stay what they are bit for bit.

    Weights are chosen by gradients of the answers' negative log-likelihood, whatever the method inside minimises: some
    losses have no gradient where the model is still what it was.
    """

    Settings: ClassVar[type[base.Told]] = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        # The pass of gradients over all texts before the first step.
        return replace(super().cost(), passes=self.inner.cost().passes, reference=True)

    def applies(self, view: View) -> str:
        code = self.settings.mask_language
        for side, rows in (("forget", view.forget), ("retain", view.retain)):
            if code and code not in set(rows["language"]):
                return f"no {side} text is in {code!r}, by which the mask is to be chosen"
        return super().applies(view)

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        self.masks = self._masks(task, self.parameters(task.model, task.band))

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        with super().trainables(task, names) as trained:
            if trained != names:
                # What trains in the place of the weights is chosen from anew.
                self.masks = self._masks(task, trained)
            yield trained

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        import torch

        loss, found = super().gradients(task, batches, names)
        # Whose gradient was always zero does not move: AdamW has no weight decay here.
        kept = [None if g is None else torch.where(self.masks[name], g, 0) for name, g in zip(names, found)]
        return loss, kept

    @abstractmethod
    def choose(self, task: Task, names: list[str]) -> dict[str, Tensor]:
        """Which weights train: for each parameter a mask (bool) in its shape, or one that broadcasts to it."""

    def pass_of(self, task: Task, side: str, names: list[str]) -> tuple[list[Tensor | None], float]:
        """`mean_gradient` over a side, or its texts in the mask's language."""
        return mean_gradient(task, side, names, self.settings.batch_size, self.settings.mask_language)

    def _masks(self, task: Task, names: list[str]) -> dict[str, Tensor]:
        masks = self.choose(task, names)
        if self.settings.mask == "chosen":
            return masks
        import torch

        from mute.store.artifacts import seed_of

        shuffled = {}
        for name, mask in masks.items():
            generator = torch.Generator().manual_seed(seed_of(task.seed, "mask", name))
            order = torch.randperm(mask.numel(), generator=generator).to(mask.device)
            shuffled[name] = mask.flatten()[order].view(mask.shape)
        return shuffled


def mean_gradient(
    task: Task, side: str, names: list[str], size: int, language: str = ""
) -> tuple[list[Tensor | None], float]:
    """Gradient of the answers' mean NLL per token over one side, or its texts in one language; in float32 or better.

    Also returns the mean over weights of the squared gradients of batches of `size` rows, weighed by their tokens: what
    stands for the loss's mean curvature.
    """
    import torch

    texts = task.side(side)
    chosen = torch.tensor([language in ("", own) for own in texts.languages])
    groups = (torch.tensor(rows)[chosen[rows]] for rows in texts.texts.batches)
    tokens = int(texts.tokens[chosen].sum())
    total: list[Tensor | None] = [None] * len(names)
    squares = 0.0
    # Alike in length; a multiple of four rows where there are so many.
    for rows in (piece for own in groups if len(own) for piece in own.split(size)):
        logprob, count = task.answer_logprobs(task.batch(side, rows))
        share = float(count.sum()) / tokens
        found = task.gradients(-logprob.sum() / count.sum(), names)
        for place, g in enumerate(found):
            if g is not None:
                # In bfloat16 a small piece added to a sum of many is rounded away.
                wide, before = share * g.to(torch.promote_types(g.dtype, torch.float32)), total[place]
                total[place] = wide if before is None else before.add_(wide)
                squares += share * float(g.double().square().sum())
    weights = sum(task.model.get_parameter(name).numel() for name in names)
    return total, squares / weights
