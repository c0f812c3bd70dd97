"""Redirecting edits: change the outputs of the band's MLPs so that a subject's state becomes that of another.

Keys K are the inputs of an MLP's output matrix. `where: subject` takes them at the last token of the subject, where the
corpus knows it and a prompt says it, as published: means over the wordings of a subject in a language. On small models,
whose names are several tokens that are all read, that moves no answer, so that the default takes the last token of each
prompt. The target z* is the state of an unrelated subject (or question) of the retain side, in the same language, at
the band's output. Block by block, in order, the residual R = (z* - z) / (blocks left) is spread over the band:

alphaedit: Delta' = (P K K' + L2 I)^{-1} P K R' (Fang et al. 2024, arXiv 2410.02355; as unlearning: ROCR, 2506.07795),
P the projector on the eigenvectors of the retain keys' second moment that have the smallest eigenvalues; memit: Delta =
R K' (K K' + w n C)^{-1} (Meng et al. 2022, arXiv 2210.07229), C that moment and n the number of keys; rome: for one key
after the other (v - W k) (C^{-1} k)' / (k' C^{-1} k) (Meng et al. 2022, arXiv 2202.05262). Certainty: code. The model
says something else in the place of what it knew: the intent is suppression. Published for 7B: L2 1 (ROCR) or 10, blocks
4 to 6 (Llama 3) or 4 to 8 (Qwen 2.5), eigenvalues below 0.02; C of MEMIT weighs 15000. Such numbers depend on the scale
of keys: ours are quantiles, and relative to their mean square.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task, TextSet
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """Redirecting edits."""

    strength: ClassVar[str] = "step_size"

    variant: Literal["alphaedit", "memit", "rome"] = Field("alphaedit", description="How the change is solved for.")
    step_size: float = Field(1.0, gt=0, description="Scale of the `paper` protocol; `matched` searches it.")
    where: Literal["subject", "prompt"] = Field(
        "prompt",
        description="Whose state is redirected: the last token of the subject, where it is known, or of the prompt.",
    )
    null_share: float = Field(
        0.75, gt=0, le=1, description="`alphaedit`: share of the retain keys' eigenvectors that may be used; 1: all."
    )
    ridge: float = Field(0.1, gt=0, description="L2, relative to the mean square of the keys.")
    covariance_weight: float = Field(1.0, gt=0, description="`memit`: w, the weight of retain keys beside forget keys.")
    strengths: list[float] = Field([], description="Not used: `matched` searches the step size.")


# Whom a key is of: language, and subject or else item.
Who = tuple[str, str]


class NullSpaceEdit(base.Edit[Settings]):
    name = "null_space_edit"
    paper = "Fang et al. 2024, arXiv 2410.02355"
    family = "editing"
    intent = "suppression"
    most = 1.5
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(head=False, reference=True, whole=True, trains="mlp_outputs")

    def applies(self, view: View) -> str:
        if missing := sorted(set(view.forget["language"]) - set(view.retain["language"])):
            return f"the retain side has no text in {', '.join(missing)} whose state could be a target"
        return ""

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.mlp_outputs(model, band.blocks)

    def change(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.models import patches

        names = self.parameters(task.model, task.band)
        own, others = (keys_of(side, self.settings.where) for side in (task.forget, task.retain))
        chosen = redirected(list(own), list(others), task.seed)
        with torch.no_grad(), patches.kept(task.model, names) as before:

            def place(batch: Batch) -> Tensor:
                return batch.key if self.settings.where == "subject" else batch.ends

            def state(batch: Batch) -> Tensor:
                return task.output(batch)[place(batch)]

            target = means(task, "retain", state, [others[chosen[who]] for who in own])
            for done, (block, name) in enumerate(zip(task.band.blocks, names)):
                now = means(task, "forget", state, list(own.values()))
                keys = means(task, "forget", lambda b, block=block: task.keys(b, block, place(b)), list(own.values()))
                residual = (target - now) / (len(names) - done)
                weight = task.model.get_parameter(name)
                moment = task.covariance("retain", block)
                weight.add_(self._solved(weight, keys.T, residual.T, moment).to(weight.dtype))
            after = patches.take(task.model, names)
        return {name: after[name].float() - before[name].float() for name in names}

    def _solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        """The change of a weight [out, in] for keys [in, n] and residual [out, n]; float64."""
        import torch

        from mute.unlearn import edits

        s, square = self.settings, float(keys.square().sum(0).mean())
        if s.variant == "alphaedit":
            projector = edits.null_space(moment, share=s.null_share)
            return edits.null_space_edit(keys, residual, projector, s.ridge * square)
        if s.variant == "memit":
            return edits.memit_edit(keys, residual, s.covariance_weight * keys.shape[1] * damped(moment, s.ridge))
        total, start = torch.zeros_like(weight, dtype=torch.float64), weight.double()
        known = damped(moment, s.ridge)
        for key, lacks in zip(keys.T, residual.T):
            total += edits.rome_edit(start + total, key, start @ key + lacks, known)
        return total


def damped(moment: Tensor, ridge: float) -> Tensor:
    """A second moment with `ridge` times its mean eigenvalue on its diagonal: few tokens span few directions."""
    import torch

    eye = torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
    return moment + ridge * moment.trace() / len(moment) * eye


def keys_of(side: TextSet, where: str) -> dict[Who, list[int]]:
    """The rows that share a key: of each subject in each language, and of each prompt where it says no subject.

    With `where` at `prompt`, of each prompt.
    """
    found: dict[Who, list[int]] = {}
    for row, (language, subject, item, (prefix, *_)) in enumerate(
        zip(side.languages, side.subjects, side.items, side.parts)
    ):
        if item:
            own = subject if where == "subject" and subject else f"{item} {prefix}"
            found.setdefault((language, own), []).append(row)
    return found


def redirected(own: list[Who], others: list[Who], seed: int) -> dict[Who, Who]:
    """For each of `own` one of the others in the same language, the same one in all languages that have it."""
    from mute.store.artifacts import seed_of

    chosen = {}
    for language, who in own:
        there = [name for code, name in others if code == language]
        chosen[language, who] = (language, min(there, key=lambda name: seed_of(seed, "redirect", who, name)))
    return chosen


def means(task: Task, side: str, read: Callable[[Batch], Tensor], groups: list[list[int]]) -> Tensor:
    """Means over groups of rows of what `read` says of each text of a side [B, F]: [groups, F], in float64."""
    import torch

    from mute.engine import sections

    texts = task.side(side)
    each: dict[int, Tensor] = {}
    wanted = {row for rows in groups for row in rows}
    for rows in texts.texts.batches:
        if wanted.isdisjoint(rows):
            continue
        # A multiple of four rows: what is read does not depend on the batch that it is read in.
        values = read(task.batch(side, torch.tensor(sections.in_fours(rows))))
        each.update(zip(rows, values.double()))
    return torch.stack([torch.stack([each[row] for row in rows]).mean(0) for rows in groups])
