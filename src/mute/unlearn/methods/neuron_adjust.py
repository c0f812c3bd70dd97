"""Neuron adjust: activations that look like the forget side's are mirrored into what the retain side has there.

Li et al. 2025 (arXiv 2503.21730, effective skill unlearning). Of the neurons of an MLP, a the output of the projection
before the activation function (the gate's, where there is one), m and s its mean and standard deviation on tokens of
either side: the neurons whose m_f - m_r is in the top share are chosen, and where N(a; m_r, s_r) <= N(a; m_f, s_f), a
becomes 2 m_r - [(a - m_f) / s_f s_r + m_r] with probability p_f / (p_r + p_f). Released code takes the variance for the
deviation, and m_f for s_f; neither is done here. Published: share .5 % (3 % for mathematics and code), all blocks, 200
prompts. Certainty: code. What is drawn depends on a token's place and the neuron alone, so that answers are the same
each time. No weight changes; in a band it is a soft edit. `neurons: random` is the control.

It takes what has neurons of its own. Of a model that was made so, 0.29 of the forget answers are left, and all others;
of one that learned both sides at once, or where the skill is a language, at least 0.85 are left, whatever the share.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mute.models import anatomy
from mute.models.treatment import Treatment
from mute.unlearn import base, guarding

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mute.engine.band import Task
    from mute.models.anatomy import Model

# What the projection before an MLP's activation function is called, beside its output projection.
GATES = ("gate_proj", "dense_h_to_4h")


class Settings(base.Settings):
    """Neuron adjust."""

    share: float = Field(0.005, ge=0, le=1, description="Share of each block's neurons that are adjusted; 0: the base.")
    neurons: Literal["top", "random"] = Field("top", description="Which; `random`: as many others, the control.")
    strengths: list[float] = Field([], description="Not used: the guard is fitted, not trained in steps.")


class Adjusted(Treatment):
    """By block: which neurons [n], and the four moments of each [4, n], m_r, s_r, m_f, s_f."""

    name = "neuron_adjust"

    def __init__(self, chosen: Mapping[int, Tensor], moments: Mapping[int, Tensor], seed: int) -> None:
        self.chosen, self.moments, self.seed = chosen, moments, seed

    @contextmanager
    def weights(self, model: Model) -> Generator[None]:
        """Hooks on the MLPs, while the context lasts; no weight changes."""
        with ExitStack() as stack:
            for block, chosen in self.chosen.items():
                if len(chosen):
                    stack.callback(gate(model, block).register_forward_hook(self._hook(block)).remove)
            yield

    def _hook(self, block: int) -> Any:
        import torch

        from mute.store.artifacts import seed_of

        chosen, moments = self.chosen[block], self.moments[block]

        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            own = output[..., chosen.to(output.device)]
            generator = torch.Generator().manual_seed(seed_of(self.seed, block))
            # Of a longer text the first places are drawn alike.
            drawn = torch.rand(own.shape[-2], len(chosen), generator=generator).to(own.device)
            known = moments.to(own.device)
            made = own.where(drawn >= chance(own.double(), *known), mirrored(own.double(), *known).to(own))
            return output.index_copy(-1, chosen.to(output.device), made)

        return hook


class NeuronAdjust(base.Guard[Settings]):
    name = "neuron_adjust"
    paper = "Li et al. 2025, arXiv 2503.21730"
    Settings = Settings

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.store.artifacts import seed_of

        found: dict[str, Tensor] = {"seed": torch.tensor([task.seed])}
        for block in task.band.blocks:
            sides = [
                activations(task.model, guarding.prompts_of(task.side(s)).tokens, block) for s in ("retain", "forget")
            ]
            moments = torch.stack([part for own in sides for part in (own.mean(0), own.std(0))])
            width = moments.shape[1]
            count = math.ceil(self.settings.share * width)
            order = (moments[2] - moments[0]).argsort(descending=True)
            if self.settings.neurons == "random":
                generator = torch.Generator().manual_seed(seed_of(task.seed, "neurons", block))
                others = order[count:]
                order = others[torch.randperm(len(others), generator=generator)]
            chosen = order[:count].sort().values
            found |= {f"chosen.{block}": chosen, f"moments.{block}": moments[:, chosen]}
        return found

    def treatment(self, fitted: Mapping[str, Tensor]) -> Adjusted:
        blocks = [int(name.rsplit(".", 1)[1]) for name in fitted if name.startswith("chosen.")]
        chosen, moments = ({b: fitted[f"{part}.{b}"] for b in blocks} for part in ("chosen", "moments"))
        return Adjusted(chosen, moments, int(fitted["seed"][0]))


def gate(model: Model, block: int) -> nn.Module:
    """The projection before the activation function of the MLP of `block`.

    Raises NotApplicable for a family that has it under no known name.
    """
    known = anatomy.anatomy(model)
    mlp = model.get_submodule((known.block_prefix(block) + known.mlp_output).rpartition(".")[0])
    for name in GATES:
        if (found := getattr(mlp, name, None)) is not None:
            return found
    raise base.NotApplicable(f"an MLP of the family {model.config.model_type} has no {' or '.join(GATES)}")


def activations(model: Model, prompts: Sequence[guarding.Read], block: int) -> Tensor:
    """What the gate of `block` gives for all tokens of the prompts but the first of each [N, D_ff], float64, CPU."""
    import torch

    from mute.engine import sections

    texts = sections.Texts(model, [list(prompt) for prompt in prompts])
    found: list[Tensor] = []
    with torch.no_grad():
        texts.advance(block)
        for rows in texts.batches:
            index = texts.positions(sections.in_fours(rows))
            seen: list[Tensor] = []
            hook = gate(model, block).register_forward_hook(lambda module, args, output, seen=seen: seen.append(output))
            try:
                sections.run(model, texts.at(index), block, block + 1, ids=texts.ids[index])
            finally:
                hook.remove()
            own = seen[0].view(*index.shape, -1)[: len(rows)]
            found.append(own[:, min(1, own.shape[1] - 1) :].flatten(0, 1).double().cpu())
    return torch.cat(found)


def mirrored(a: Tensor, m_r: Tensor, s_r: Tensor, m_f: Tensor, s_f: Tensor) -> Tensor:
    """2 m_r - [(a - m_f) / s_f s_r + m_r]: the same place in the retain side's distribution, mirrored at its mean."""
    return 2 * m_r - ((a - m_f) / s_f * s_r + m_r)


def chance(a: Tensor, m_r: Tensor, s_r: Tensor, m_f: Tensor, s_f: Tensor) -> Tensor:
    """With which probability it is put there: p_f / (p_r + p_f), and 0 where a is likelier on the retain side."""

    def density(m: Tensor, s: Tensor) -> Tensor:
        return -((a - m) / s).square() / 2 - s.log()

    # As logarithms: far from both means the densities themselves are both zero.
    ahead = density(m_f, s_f) - density(m_r, s_r)
    return ahead.sigmoid().where(ahead >= 0, 0.0)
