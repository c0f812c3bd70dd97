"""SAE-guided unlearning: move what says "known" in the states of forget subjects to where it is for names never seen.

Our instantiation of Sparse-Autoencoder-Guided Internal Representation Unlearning (arXiv 2509.15631), of which we know
the abstract alone. A sparse autoencoder (`mute.unlearn.sparse`) is trained on the band's outputs before unlearning, and
frozen; h is the state at the last token of a subject, z its latents. S are latents whose AUC between prompts about
retain subjects and the same prompts about strangers, names of the same kind that no fact is about, is above .7 or below
.3. With mu_U the mean of z over forget prompts about strangers and mu_K over retain prompts, L = |z_S - mu_U|^2 / |S| +
gamma relu(m - |z_S - mu_K|^2 / |S|) + lambda |h - h0|^2 on retain tokens, m = |mu_U - mu_K|^2 / |S|. Certainty:
rebuilt. Defaults are ours: gamma .1, lambda 1 on large models, width 8 D, l1 1e-3; MLP output projections of the band's
last three blocks train there (`trains: mlp_outputs`), the band here.

The AUC is taken within pairs of prompts: how they are worded would hide the rest. On small models, whose names are
several tokens that are all read, mu_U at one of them moves few answers: `matched` also goes beyond it (`reach`). States
are measured with their mean at zero and a mean square of 1 per feature. The method does not run on a model where no
latent tells known from unknown, or where the forget prompts are no more known than their twins about strangers, read
along the mean difference of retain prompts and theirs: what it would steer to is then not what an ignorant model has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View

# States that the autoencoder is trained on at most, and its latents at most: what a model of any size has room for.
TOKENS, LATENTS = 16_384, 8192


class Settings(base.Settings):
    """SAE-guided unlearning."""

    strength: ClassVar[str] = "reach"

    learning_rate: float = Field(1e-2, gt=0, description="AdamW step size.")
    strengths: base.Strengths = Field(
        [1.0, 10.0, 100.0], min_length=1, description="Values of the reach among which the `matched` protocol chooses."
    )
    where: Literal["subject", "prompt"] = Field(
        "subject", description="Where a prompt's state is read: the last token of the subject, or of the prompt."
    )
    reach: float = Field(
        1.0, gt=0, description="How far from mu_K the target lies, on the way to mu_U: 1 at it, more beyond it (ours)."
    )
    trains: Literal["blocks", "mlp_outputs"] = Field(
        "blocks", description="The whole band, or the MLP output projections of its last three blocks."
    )
    width: int = Field(8, ge=1, le=8, description="Latents of the autoencoder for each feature of a state.")
    sparsity: float = Field(1e-3, ge=0, description="l1, the weight of the sum of the latents in its training.")
    autoencoder_steps: int = Field(300, ge=1, description="Steps of its training.")
    autoencoder_rate: float = Field(3e-3, gt=0, description="Adam step size of its training.")
    told_apart: float = Field(
        0.7,
        gt=0.5,
        lt=1,
        description="AUC from which a latent tells known from unknown; one minus it on the other side.",
    )
    taken_for_known: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of forget prompts that may be no more known than their twins; with more it does not run.",
    )
    known_weight: float = Field(0.1, ge=0, description="gamma, the weight of staying away from what is known.")
    retain_weight: float = Field(0.1, ge=0, description="lambda, the weight of the retain term.")


def objective(z: Tensor, unknown: Tensor, known: Tensor, gamma: float, margin: float) -> Tensor:
    """E |z - mu_U|^2/|S| + gamma relu(m - |z - mu_K|^2/|S|) over rows of z [N, S]; unknown, known: the means [S]."""
    near = (z - unknown).square().mean(-1)
    return (near + gamma * (margin - (z - known).square().mean(-1)).relu()).mean()


class SAEUnlearn(base.Descent[Settings]):
    name = "sae_unlearn"
    paper = "Sparse-Autoencoder-Guided Internal Representation Unlearning, arXiv 2509.15631"
    family = "representation"
    Settings = Settings

    def cost(self) -> base.Cost:
        if self.settings.trains == "mlp_outputs":
            return base.Cost(head=False, reference=True, trains="mlp_outputs", blocks=3)
        return base.Cost(head=False, reference=True)

    def applies(self, view: View) -> str:
        from mute.unlearn import unknown

        if not view.strangers or any(unknown.twins(rows, view).empty for rows in (view.forget, view.retain)):
            return unknown.NONE
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        from mute.unlearn.unknown import as_told, twins

        return {
            "forget": as_told(view.forget),
            "retain": as_told(view.retain),
            "unknown": twins(view.forget, view),
            "unknown_retain": twins(view.retain, view),
        }

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        if self.settings.trains == "blocks":
            return anatomy.band_parameters(model, band)
        # The two blocks before the last may lie outside the band; nothing outside the band ever changes.
        return anatomy.mlp_outputs(model, [b for b in band.blocks if b > band.blocks[-1] - 3])

    def prepare(self, task: Task) -> None:
        from mute.store.artifacts import seed_of
        from mute.unlearn import sparse

        s = self.settings
        task.freeze_outputs("forget", "retain", "unknown", "unknown_retain")
        states = self._some_states(task)
        self.middle = states.mean(0)
        self.unit = (states - self.middle).square().mean().sqrt()
        states = (states - self.middle) / self.unit
        self.autoencoder = sparse.trained(
            states,
            min(s.width * states.shape[1], LATENTS),
            l1=s.sparsity,
            steps=s.autoencoder_steps,
            batch=512,
            learning_rate=s.autoencoder_rate,
            seed=seed_of(task.seed, "autoencoder"),
        )
        self.explained = self.autoencoder.explained(states)
        known, strangers, forget, unknown = (
            self._of_prompts(task, name) for name in ("retain", "unknown_retain", "forget", "unknown")
        )
        auc = sparse.separation(known, strangers)
        self.chosen = ((auc > s.told_apart) | (auc < 1 - s.told_apart)).nonzero()[:, 0]
        if not len(self.chosen):
            raise base.NotApplicable(
                f"no latent tells retain subjects from strangers: the AUC lies between {float(auc.min()):.2f} and "
                f"{float(auc.max()):.2f}, not beyond {s.told_apart}"
            )
        known, strangers, forget, unknown = (z[:, self.chosen] for z in (known, strangers, forget, unknown))
        self.mistaken = mistaken(known, strangers, forget, unknown)
        if self.mistaken > s.taken_for_known:
            raise base.NotApplicable(
                f"{self.mistaken:.2f} of the forget prompts are read as better known about a stranger than about their "
                f"subject, more than {s.taken_for_known}: what tells retain subjects from strangers does not carry over"
            )
        self.known, between = known.mean(0), unknown.mean(0) - known.mean(0)
        self.unknown, self.margin = self.known + s.reach * between, float(between.square().mean())

    def _some_states(self, task: Task) -> Tensor:
        """Frozen outputs [N, D] at real tokens of all sides, evenly over them where there are too many."""
        import torch

        from mute.unlearn.states import frozen

        each = {name: int(task.side(name).lengths.sum()) for name in task.sides}
        step = -(-sum(each.values()) // TOKENS)
        found = [states[batch.real][::step] for name in each for batch, states in frozen(task, name)]
        return torch.cat(found).float()

    def _place(self, batch: Batch) -> Tensor:
        return batch.key if self.settings.where == "subject" else batch.ends

    def _latents(self, states: Tensor) -> Tensor:
        return self.autoencoder.latents((states.float() - self.middle) / self.unit)

    def _of_prompts(self, task: Task, name: str) -> Tensor:
        """Latents [prompts, W] before unlearning, row by row, of a side's prompts that have a twin about a stranger."""
        import torch

        from mute.unlearn.states import frozen

        side, found = task.side(name), {}
        for batch, states in frozen(task, name):
            latents = self._latents(states[self._place(batch)])
            found.update(zip(batch.rows.tolist(), latents))
        return torch.stack([found[row] for row in range(len(side)) if side.subjects[row]])

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import masked_mse

        forget, retain = batches["forget"], batches["retain"]
        z = self._latents(task.output(forget)[self._place(forget)])[:, self.chosen]
        push = objective(z, self.unknown, self.known, self.settings.known_weight, self.margin)
        keep = masked_mse(task.output(retain), task.frozen_output(retain), retain.real) / self.unit.square()
        return {"forget": push, "retain": self.settings.retain_weight * keep}


def mistaken(known: Tensor, strangers: Tensor, forget: Tensor, unknown: Tensor) -> float:
    """Share of forget prompts [n, S] that are no more known than their twins about strangers, `unknown`.

    More known is what lies further along the mean difference between retain prompts and their twins.
    """
    return float(((forget - unknown) @ (known - strangers).mean(0) <= 0).double().mean())
