"""LAT: unlearn while an added state inside the model, found anew for each batch, brings the forget answers back.

Sheshadri et al. 2024, latent adversarial training (arXiv 2407.15549): delta [B, T, D] is added to the band's output on
the prompts of forget texts. Inner: K steps of AdamW on delta lower the forget answers' negative log-likelihood, each
followed by the projection of every token's delta on ||delta_t|| <= eps. Outer: one step of the loss inside, with delta
in place, so that the band learns to withstand it. Certainty: code. Published for 7B: eps 2 (hazardous knowledge, block
7), 1.5 (block 12) or 6 (jailbreaks, several blocks), K 16, inner learning rate 5e-2, outer 5e-5, 100 steps.

Ours: the whole block's output and not its MLP's, so that it is the same on every family; eps relative to the mean norm
of the band's output on forget text before unlearning; the inner rate relative to eps (published: a step of AdamW is .5
to 1.6 eps long); the first token is left alone. The published part that pushes away from a refusal is left out: texts
beside forget and retain would stay without an attack, so that a method inside which reads such is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(wrapper.Settings):
    """LAT."""

    eps: float = Field(
        0.3, ge=0, description="Longest delta of a token, relative to the mean norm of the band's output; 0: no attack."
    )
    attack_steps: int = Field(8, ge=0, description="Steps K of the attack on each batch.")
    attack_rate: float = Field(
        0.5, gt=0, description="AdamW step size of the attack: how long one step on a token is, relative to eps."
    )
    attack: Literal["trained", "random"] = Field(
        "trained", description="How delta is found; random: drawn, of the length eps everywhere, the control."
    )


class LAT(wrapper.Wrapper[Settings]):
    name = "lat"
    paper = "Sheshadri et al. 2024, arXiv 2407.15549"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        from dataclasses import replace

        own = self.inner.cost()
        steps = self.settings.attack_steps if self.settings.eps and self.settings.attack == "trained" else 0
        # An attack reads forget texts alone, from the band's output on, and needs no gradient of weights.
        passes = own.passes + (0.6 * steps + 0.3) / own.sides
        return replace(own, head=own.head or steps > 0, reference=True, passes=passes)

    def applies(self, view: View) -> str:
        read = self.inner.reads(view)
        if set(read) != {"forget", "retain"} or read["forget"] is not view.forget:
            return "the method inside reads other texts than the forget answers that the attack would bring back"
        return self.inner.applies(view)

    def prepare(self, task: Task) -> None:
        self.inner.prepare(task)
        task.freeze_outputs("forget")
        self.radius = self.settings.eps * float(task.frozen_norm("forget"))
        self.attacked = 0

    def loss(self, task: Task, batches: Mapping[str, Batch]) -> Tensor:
        """That of the method inside: nothing is added to what it retains."""
        return self.inner.loss(task, batches)

    def gradients(
        self, task: Task, batches: Mapping[str, Batch], names: list[str]
    ) -> tuple[Tensor, list[Tensor | None]]:
        forget = batches["forget"]
        delta, _ = self.adversary(task, forget)
        with task.shifted(forget, delta):
            return self.inner.gradients(task, batches, names)

    def adversary(self, task: Task, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """The delta [B, T, D] of a batch, in the model's type, and the answers' loss (nats a token) before each step.

        At each call another one is drawn, where it is random.
        """
        import torch

        from mute.engine.steps import Steps
        from mute.store.artifacts import seed_of
        from mute.unlearn.losses import nll

        settings, mask = self.settings, prompts(batch)[..., None]
        with torch.no_grad():
            output = task.output(batch)
        self.attacked += 1
        if settings.attack == "random":
            generator = torch.Generator().manual_seed(seed_of(task.seed, "delta", self.attacked))
            drawn = torch.randn(output.shape, generator=generator).to(output.device)
            return (mask * self.radius * drawn / drawn.norm(dim=-1, keepdim=True)).to(output.dtype), []
        delta = torch.zeros(output.shape, device=output.device, requires_grad=True)
        taken = Steps([delta], settings.attack_rate * max(self.radius, 1e-30) / output.shape[-1] ** 0.5)
        losses: list[Tensor] = []
        for _ in range(settings.attack_steps if settings.eps else 0):
            with task.shifted(batch, (mask * delta).to(output.dtype), output):
                loss = nll(*task.answer_logprobs(batch))
            taken.take(torch.autograd.grad(loss, [delta]))
            with torch.no_grad():
                delta.copy_(projected(delta, self.radius))
            losses.append(loss.detach())
        return (mask * delta).detach().to(output.dtype), losses


def prompts(batch: Batch) -> Tensor:
    """The tokens of the prompts [B, T], but for the first of each sequence."""
    import torch

    places = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    return batch.real & (places < batch.side.first[batch.rows].to(places.device)[:, None])


def projected(attack: Tensor, radius: float) -> Tensor:
    """The nearest attack [..., D] of which none is longer than `radius`."""
    lengths = attack.norm(dim=-1, keepdim=True)
    return attack * (radius / lengths.clamp(min=max(radius, 1e-30)))
