"""Methods that work on states, and ELM: golden values of their mathematics, identities, and their controls.

tests/golden/zoo_c.json says which formula, where a value comes from, and how it was confirmed a second time.
"""

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.corpus import languages, names_filter, strangers
from mute.engine.band import Task, TextSet
from mute.engine.reference import WholeModel
from mute.models import anatomy, patches
from mute.unlearn import base, losses, sparse, states, unknown
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods import adaptive_rmu, circuit_breakers, elm, kuda, lunar, sae_unlearn
from mute.unlearn.run import unlearn
from mute.unlearn.view import View

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/zoo_c.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
SETUP = GOLDEN["setup"]
DEPTH = 3
ONE = Band.named("1", DEPTH)
NAMES = ["adaptive_rmu", "circuit_breakers", "kuda", "lunar", "sae_unlearn", "elm"]


def value(name):
    return ENTRIES[name]["value"]


def close(ours, wanted, tolerance=1e-9) -> bool:
    found = ours.detach().numpy() if isinstance(ours, torch.Tensor) else ours
    return bool(np.isclose(found, wanted, rtol=tolerance, atol=1e-12).all())


def grid(*sizes: int) -> list[torch.Tensor]:
    """Indices from 0 along each axis, in float64."""
    return list(torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij"))


def norm_of(loss, tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, tensor, retain_graph=True)[0].norm()


@pytest.fixture
def hidden():
    """States h [B, T, D] with a gradient, those of before, the mask [B, T], and a direction of length 1."""
    b, t, d = grid(SETUP["B"], SETUP["T"], SETUP["D"])
    h = torch.sin(0.3 * (b + 1) * (t + 1) + 0.11 * (d + 1)).requires_grad_()
    u = torch.arange(1, 6, dtype=torch.float64)
    before = torch.cos(0.2 * (b + 1) * (t + 1) + 0.13 * (d + 1))
    return h, before, torch.tensor(SETUP["labels"]) != -100, u / u.norm()


class TestGolden:
    def test_rmu_over_masked_tokens(self, hidden):
        h, before, mask, u = hidden
        golden = value("rmu token-masked, c=6.5, alpha=1200")
        forget, retain = losses.masked_mse(h, 6.5 * u, mask), losses.masked_mse(h, before, mask)
        assert close(forget, golden["forget"])
        assert close(retain, golden["retain"])
        assert close(forget + 1200 * retain, golden["total"])
        assert close(norm_of(forget, h), golden["grad_norm h (forget)"])

    def test_adaptive_rmu_scales_by_the_states(self, hidden):
        h, _, mask, u = hidden
        golden, whole = value("adaptive_rmu scale=5"), torch.ones_like(mask)
        every = adaptive_rmu.coefficient(h.detach(), whole, 5.0)
        assert close(every, golden["coefficient"])
        as_coded = losses.masked_mse(h, every * u, whole)
        assert close(as_coded, golden["forget loss, all positions (as coded)"])
        assert close(norm_of(as_coded, h), golden["grad_norm h (all positions)"])
        own = adaptive_rmu.coefficient(h.detach(), mask, 5.0)
        assert close(own, golden["coefficient, masked"])
        ours = losses.masked_mse(h, own * u, mask)
        assert not close(ours, golden["forget loss, all positions (as coded)"]), "padding is in no mean"
        assert close(losses.masked_mse(h, every * u, mask), golden["forget loss, masked"]) or close(
            ours, golden["forget loss, masked"]
        )

    def test_circuit_breakers(self):
        ranks, b, t, d = grid(3, SETUP["B"], SETUP["T"], SETUP["D"])
        now = torch.sin(0.3 * (b + 1) * (t + 1) + 0.11 * (d + 1) + 0.5 * ranks)
        before = torch.cos(0.2 * (b + 1) * (t + 1) + 0.13 * (d + 1) + 0.5 * ranks)
        real = torch.tensor([[1] * 6 + [0], [1] * 4 + [0] * 3]).expand(3, -1, -1)
        golden = value("circuit_breaker alpha=10, T_half=300")
        turned = circuit_breakers.rerouting(now[1:], before[1:], real[1:])
        moved = circuit_breakers.distance(now, before, real)
        coded = circuit_breakers.distance(now * real[..., None], before * real[..., None], torch.ones_like(real))
        assert close(turned, golden["rerouting loss"])
        assert close(moved, golden["retain loss, real tokens only"])
        assert close(coded, golden["retain loss (all layers, pads count as zeros)"])
        assert not close(moved, golden["retain loss (all layers, pads count as zeros)"])
        for step in (30, 150):
            reroute, keep = circuit_breakers.shares(step, 300)
            assert close([10 * keep, 10 * reroute], golden[f"c_retain, c_rr at step {step}"])
            assert close(10 * (reroute * turned + keep * coded), golden[f"total at step {step}"])

    @pytest.mark.parametrize("b", [1.0, 5.0])
    def test_kudas_deviation(self, hidden, b):
        h, before, mask, _ = hidden
        golden = value(f"kuda deviation, inverse temperature {b}")
        loss = kuda.deviation(h, before, mask, b)
        assert close(loss, golden["loss"])
        assert close(norm_of(loss, h), golden["grad_norm h"])

    def test_kudas_projection(self):
        n, d = grid(14, 5)
        keys = torch.sin(0.7 * (n + 1) * (d + 1)) * (1 + 0.5 * torch.cos(d))
        i, j = grid(4, 5)
        gradient = torch.sin(i - 2 * j + 0.3 + 0.5 * i * j)
        moment, golden = keys.T @ keys / 14, value("kuda relaxed null-space projection")
        free = kuda.small_eigenvectors(moment, 0.8)
        projector = free @ free.T
        assert close(torch.linalg.eigvalsh(moment), golden["eigenvalues"], 1e-8)
        assert free.shape[1] == golden["kept"]
        assert close(projector, golden["P"], 1e-8)
        assert close((gradient @ projector).norm(), golden["||G P||"], 1e-8)
        left = (gradient @ projector @ keys.T).norm() / (gradient @ keys.T).norm()
        assert close(left, golden["||G P k|| / ||G k|| on the retained keys"], 1e-8)
        assert torch.allclose(projector @ projector, projector, atol=1e-12)

    @pytest.mark.parametrize("toward", ["zero", "weight"])
    def test_lunars_fit(self, toward):
        i, j = grid(5, 3)
        retained = torch.cos(0.6 * i + 1.1 * j + 0.8 * i * j)
        i, j = grid(5, 2)
        keys = torch.sin(0.9 * i + 0.5 * j + 0.2 + 0.3 * i * j)
        i, j = grid(3, 2)
        wanted = torch.cos(0.4 * i - 0.7 * j)
        i, j = grid(3, 5)
        weight = torch.sin(0.3 * i + 0.8 * j)
        golden = value("lunar closed form, ridge 0.01")
        found = lunar.fitted(weight, keys, wanted, retained @ retained.T, 0.01, toward)
        assert close(found, golden["W'"], 1e-8) == (toward == "zero")
        if toward == "zero":
            error = (found @ keys - weight @ keys - wanted).norm() / (weight @ keys + wanted).norm()
            assert close(error, golden["forget error"], 1e-8) or close(
                (found @ keys - weight @ keys - wanted).norm(), golden["forget error"], 1e-8
            )
        still = lunar.fitted(weight, keys, 0 * wanted, retained @ retained.T, 0.01, toward)
        assert torch.allclose(still, weight, atol=1e-12) == (toward == "weight")

    def test_elms_target(self):
        _, t, v = grid(1, SETUP["T"], SETUP["V"])
        t, v = t[0] + 1, v[0] + 1
        original, expert = 2 * torch.sin(0.9 + 0.37 * t * v)[:4], 2 * torch.cos(0.5 + 0.21 * t * v)[2:6]
        novice, student = 2 * torch.sin(1.3 + 0.29 * t * v)[1:5], 2 * torch.cos(0.7 + 0.17 * t * v)[:4]
        golden = value("elm target and losses, eta 1..5")
        wanted = elm.target(original, expert, novice, elm.strengths(torch.tensor([4]), 5.0))
        assert close(wanted, golden["target"])
        cross = elm.cross_entropy(wanted, student)
        assert close(cross, golden["cross entropy"])
        assert close(cross - elm.cross_entropy(wanted, wanted.log()), golden["KL batchmean"])
        assert elm.strengths(torch.tensor([1, 3]), 9.0).tolist() == [1, 1, 5, 9]
        assert elm.strengths(torch.tensor([1, 2]), 0.0).tolist() == [0, 0, 0]

    def test_the_autoencoder(self, hidden):
        i, j = grid(8, 5)
        encoder = torch.sin(0.7 * i + 1.1 * j)
        k, m = grid(5, 8)
        decoder = torch.cos(0.5 * k + 0.9 * m)
        bias = 0.1 * torch.arange(8, dtype=torch.float64) - 0.3
        made = sparse.Autoencoder(encoder, bias, decoder / decoder.norm(dim=0), torch.full((5,), 0.05).double())
        made = sparse.Autoencoder(encoder, bias, made.decoder, torch.full((5,), 0.05, dtype=torch.float64))
        golden, state = value("sparse autoencoder loss"), hidden[0][0, 0]
        z = made.latents(state)
        assert close(z, golden["z"])
        assert close((made.made(z) - state).square().mean(), golden["mse (mean over D)"])
        assert close(made.loss(state, 1e-3), golden["loss"])
        assert int((z > 0).sum()) == golden["L0"]

    def test_the_objective_on_latents(self, hidden):
        h, _, mask, _ = hidden
        golden, own = value("sae known/unknown objective"), torch.tensor([0, 1, 3])
        z = (h[..., :4] - 0.1).relu().detach().requires_grad_()
        never = torch.tensor([0.1, 0, 0.3, 0.2], dtype=torch.float64)[own]
        known = torch.tensor([0.6, 0.5, 0.1, 0.7], dtype=torch.float64)[own]
        margin = float((never - known).square().mean())
        assert close(margin, golden["margin"])
        loss = sae_unlearn.objective(z[mask][:, own], never, known, 0.1, margin)
        assert close(loss, golden["loss"])
        assert close(norm_of(loss, z), golden["grad_norm z"])
