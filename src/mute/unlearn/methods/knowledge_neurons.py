"""Knowledge neurons: find the MLP neurons that an answer hangs on, and take what they write away.

Dai et al. 2021 (arXiv 2104.08696), Wu et al. 2023 (DEPN, arXiv 2310.20138): the attribution of neuron j to an answer is
w_j times the integral over a from 0 to 1 of dP/dw_j at a w, w the activations at the token that predicts the answer's
first token, P its probability. All activations are scaled together, as all published codes do, so that attributions
sum to P(w) - P(0); papers write one neuron at a time, which does not. A neuron is kept for a text where it has at least
`threshold` of the text's largest attribution, for a fact where it is kept in `agreement` of its texts; the `neurons`
that have most over all facts have their output columns set to zero. Certainty: code. Published for 7B: left sum of 160
points (DEPN) or right sum of 20 (Dai et al.), threshold 0.1, agreement 0.5, 20 to 200 neurons, columns to zero
(`step_size` 1) or halved (0.5).

Ours: in a band of several blocks the activations of all of them are scaled together; `languages: common` keeps only
neurons on which the texts of each source language agree.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Knowledge neurons."""

    strength: ClassVar[str] = "step_size"

    step_size: float = Field(
        1.0, gt=0, le=1, description="Share of the columns that is taken away (`paper`); `matched` searches it."
    )
    points: int = Field(20, ge=1, description="Points of the sum that stands for the integral.")
    rule: Literal["left", "right"] = Field("left", description="Where in its interval each point lies.")
    threshold: float = Field(0.1, ge=0, le=1, description="Least share of a text's largest attribution.")
    agreement: float = Field(0.5, ge=0, le=1, description="Least share of a fact's texts that keep a neuron.")
    neurons: int = Field(40, ge=1, description="The most neurons that are taken away, over all blocks of the band.")
    languages: Literal["joint", "common"] = Field(
        "joint", description="Whether a fact's texts agree over all source languages, or in each of them."
    )
    chosen: Literal["attributed", "random"] = Field(
        "attributed", description="Whether neurons are those found, or as many random ones, the control."
    )
    strengths: list[float] = Field([], description="Not used: `matched` searches the step size.")


class KnowledgeNeurons(base.Edit[Settings]):
    name = "knowledge_neurons"
    paper = "Dai et al. 2021, arXiv 2104.08696"
    family = "editing"
    # Authors claim that it falls. A column can be taken away once, and where a band's MLPs write little of an answer
    # that changes little.
    expects = "open"
    most = 1.0
    Settings = Settings

    def cost(self) -> base.Cost:
        # Of the two sides the forget side alone is read.
        return base.Cost(whole=True, trains="mlp_outputs", passes=(self.settings.points + 1) / 2)

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.mlp_outputs(model, band.blocks)

    def change(self, task: Task) -> dict[str, Tensor]:
        import torch

        names = self.parameters(task.model, task.band)
        weights = [task.model.get_parameter(name).detach() for name in names]
        sizes = [weight.shape[1] for weight in weights]
        taken = torch.zeros(sum(sizes), device=weights[0].device)
        taken[self.neurons(task)] = 1
        # Without a minus sign on nothing: what is not taken away stays bit for bit what it is.
        return {n: torch.where(own > 0, -w.float(), 0.0) for n, w, own in zip(names, weights, taken.split(sizes))}

    def neurons(self, task: Task) -> Tensor:
        """Numbers of the neurons of the band that are taken away, those with most first."""
        import torch

        from mute.store.artifacts import seed_of

        found = self.attributions(task)
        total = torch.zeros(found.shape[1], dtype=found.dtype, device=found.device)
        facts: dict[str, dict[str, list[int]]] = {}
        for row, (item, language) in enumerate(zip(task.forget.items, task.forget.languages)):
            spoken = language if self.settings.languages == "common" else ""
            facts.setdefault(item, {}).setdefault(spoken, []).append(row)
        for groups in facts.values():
            kept = [agreed(found[rows], self.settings.threshold, self.settings.agreement) for rows in groups.values()]
            everywhere = torch.stack(kept).all(0)
            total += found[[row for rows in groups.values() for row in rows]].mean(0) * everywhere
        best = total.argsort(descending=True, stable=True)
        best = best[total[best] > 0][: self.settings.neurons]
        if self.settings.chosen == "random":
            generator = torch.Generator().manual_seed(seed_of(task.seed, "knowledge neurons", "random"))
            return torch.randperm(len(total), generator=generator)[: len(best)].to(best.device)
        return best

    def attributions(self, task: Task) -> Tensor:
        """Of each forget text those of all neurons of the band, block after block [texts, blocks x D_ff]; float64."""
        import torch

        from mute.unlearn import redirect

        side, found = task.forget, None
        for rows in redirect.pieces(task, "forget"):
            batch = task.batch("forget", rows)
            with torch.no_grad():
                each = [task.keys(batch, block, batch.ends) for block in task.band.blocks]
            sizes = [one.shape[1] for one in each]

            def gradient(scaled: Tensor, batch: Batch = batch, sizes: list[int] = sizes) -> Tensor:
                scaled = scaled.detach().requires_grad_(True)
                with torch.enable_grad(), activated(task, batch, scaled.split(sizes, dim=1)):
                    return torch.autograd.grad(first_probability(task, batch).sum(), scaled)[0]

            values = attribution(gradient, torch.cat(each, 1), self.settings.points, self.settings.rule)
            if found is None:
                found = values.new_zeros(len(side), values.shape[1], dtype=torch.float64)
            found[rows] = values.double()
        assert found is not None
        return found


def attribution(
    gradient: Callable[[Tensor], Tensor], activation: Tensor, points: int, rule: Literal["left", "right"]
) -> Tensor:
    """Each activation times the mean of its gradient on the way from zero to all of them [..., D_ff]."""
    first = 0 if rule == "left" else 1
    parts = [gradient(activation * ((number + first) / points)) for number in range(points)]
    return activation * sum(parts[1:], start=parts[0]) / points


def agreed(attributions: Tensor, threshold: float, agreement: float) -> Tensor:
    """Which neurons [D_ff] at least a share of the texts [texts, D_ff] keep: with some share of a text's largest."""
    largest = attributions.max(1, keepdim=True).values
    kept = (attributions >= threshold * largest) & (largest > 0)
    return kept.double().mean(0) >= agreement


def first_probability(task: Task, batch: Batch) -> Tensor:
    """Probability of the first token of each answer [B]."""
    import torch

    first = torch.ones_like(batch.owner, dtype=torch.bool)
    first[1:] = batch.owner[1:] != batch.owner[:-1]
    return task.token_logprobs(batch)[first].exp()


@contextmanager
def activated(task: Task, batch: Batch, values: Sequence[Tensor]) -> Generator[None]:
    """The model with other inputs [B, D_ff] of the MLP outputs of the band's blocks, at each prompt's last token."""
    from mute.engine import moments

    where = batch.ends[..., None]
    with ExitStack() as stack:
        for block, own in zip(task.band.blocks, values):

            def put(module: Any, args: Any, own: Tensor = own) -> Any:
                return (args[0].masked_scatter(where, own.to(args[0].dtype)), *args[1:])

            stack.callback(moments.projection(task.model, block).register_forward_pre_hook(put).remove)
        yield
