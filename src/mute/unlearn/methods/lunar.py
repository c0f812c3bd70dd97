"""LUNAR: redirect the states of forget prompts to where those of questions about nobody are, by one fit per block.

Shen et al. 2025 (arXiv 2502.07218): r is the mean state of prompts that the model cannot answer minus that of forget
prompts, at their last tokens and the target block's output. The output projection of the block's MLP is fitted anew, W'
of least |W'K - O|^2 + L |W'|^2, to give W k + c r for the keys k of forget prompts and W k, as before, for those of
retain text: W' = O K' (K K' + L)^-1. Certainty: code (training), text (closed form). Published for 7B: block 22 of 32
(Llama 3), c 2, fitted by AdamW, learning rate 0.01, 20 epochs of batches of 64. The model answers as if it had never
heard of the subject: the intent is suppression.

Prompts that cannot be answered are the forget prompts with another name in the subject's place, of the same kind and
one that no fact is about; r is then what the subject makes of a prompt, and not what topics or wordings do. It is a
mean over the prompts of a language, or with `direction: shared` of all. In a band of several blocks each, in order,
takes its share of what is lacking at the band's output. Ours: retain keys weigh as many tokens as there are forget
prompts; L is relative to the mean square of the keys, and holds W' near W (`toward: weight`; AdamW starts there, too)
in the place of zero, for what neither side shows would lose its weights; c is 5, as small models need more of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """LUNAR."""

    strength: ClassVar[str] = "step_size"

    step_size: float = Field(1.0, gt=0, description="Scale of the `paper` protocol; `matched` searches it.")
    coefficient: float = Field(5.0, gt=0, description="c, how far along r forget states go.")
    direction: Literal["by_language", "shared"] = Field(
        "by_language", description="Whether r is of each language its own, or of all source languages together."
    )
    ridge: float = Field(0.01, gt=0, description="L, relative to the mean square of the forget keys.")
    toward: Literal["weight", "zero"] = Field(
        "weight", description="Where the ridge draws the fitted matrix to: what it was (ours), or zero (published)."
    )
    retain_weight: float = Field(1.0, gt=0, description="Weight of all retain tokens beside all forget prompts.")
    strengths: list[float] = Field([], description="Not used: `matched` searches the step size.")


def fitted(
    weight: Tensor,
    keys: Tensor,
    redirection: Tensor,
    retained: Tensor,
    ridge: float,
    toward: Literal["weight", "zero"] = "zero",
) -> Tensor:
    """W' [out, in] of least |W'K - (W K + R)|^2 + |W'K0 - W K0|^2 + L |W'|^2, or L |W' - W|^2; float64.

    keys: K [in, n]. redirection: R [out, n]. retained: K0 K0' [in, in] of the keys whose values stay.
    """
    import torch

    w, k = weight.double(), keys.double()
    system = k @ k.T + retained.double() + ridge * torch.eye(len(k), dtype=torch.float64, device=k.device)
    wanted = redirection.double() @ k.T
    if toward == "zero":
        wanted = wanted - ridge * w
    return w + torch.linalg.solve(system, wanted.T).T


class LUNAR(base.Edit[Settings]):
    name = "lunar"
    paper = "Shen et al. 2025, arXiv 2502.07218"
    family = "editing"
    intent = "suppression"
    most = 1.5
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=3, head=False, reference=True, whole=True, trains="mlp_outputs")

    def applies(self, view: View) -> str:
        from mute.unlearn import unknown

        asked = set(unknown.twins(view.forget, view)["language"]) if view.strangers else set()
        if missing := sorted(set(view.forget["language"]) - asked):
            return f"{unknown.NONE} in {', '.join(missing)}" if asked else unknown.NONE
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        from mute.unlearn.unknown import twins

        return {"forget": view.forget, "retain": view.retain, "unknown": twins(view.forget, view)}

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.mlp_outputs(model, band.blocks)

    def change(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.models import patches
        from mute.unlearn.methods.null_space_edit import keys_of, means

        names = self.parameters(task.model, task.band)
        own = keys_of(task.forget, "prompt")
        groups, languages = list(own.values()), [language for language, _ in own]

        def state(batch: Batch) -> Tensor:
            return task.output(batch)[batch.ends]

        with torch.no_grad(), patches.kept(task.model, names) as before:
            start = means(task, "forget", state, groups)
            target = start + self.settings.coefficient * self._direction(task, start, languages, state)
            for done, (block, name) in enumerate(zip(task.band.blocks, names)):
                now = means(task, "forget", state, groups) if done else start
                keys = means(task, "forget", lambda b, block=block: task.keys(b, block, b.ends), groups)
                weight = task.model.get_parameter(name)
                weight.copy_(self._fitted(weight, keys.T, (target - now).T / (len(names) - done), task, block))
            after = patches.take(task.model, names)
        return {name: after[name].float() - before[name].float() for name in names}

    def _direction(self, task: Task, start: Tensor, languages: list[str], state: Callable[[Batch], Tensor]) -> Tensor:
        """r [prompts, D] of each forget prompt, whose states are `start`."""
        import torch

        from mute.unlearn.methods.null_space_edit import keys_of, means

        unknown = keys_of(task.side("unknown"), "prompt")
        there = means(task, "unknown", state, list(unknown.values()))
        if self.settings.direction == "shared":
            return (there.mean(0) - start.mean(0)).expand_as(start)
        codes = [language for language, _ in unknown]
        by_language = {
            language: there[torch.tensor([code == language for code in codes])].mean(0)
            - start[torch.tensor([code == language for code in languages])].mean(0)
            for language in set(languages)
        }
        return torch.stack([by_language[language] for language in languages])

    def _fitted(self, weight: Tensor, keys: Tensor, redirection: Tensor, task: Task, block: int) -> Tensor:
        s = self.settings
        retained = s.retain_weight * keys.shape[1] * task.covariance("retain", block)
        ridge = s.ridge * float(keys.square().sum(0).mean())
        return fitted(weight, keys, redirection, retained, ridge, s.toward).to(weight.dtype)
