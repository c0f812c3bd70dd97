"""Losses against published values, in float64, on inputs that are given by formula.

The values were computed with the published definitions on two sequences of seven tokens, a vocabulary of eleven and
five features. Where codes differ, the name of the value says whose it is; some published codes are wrong, and tests
say that ours does not give their values.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mute.unlearn.losses import masked_mse, nll, npo, simnpo, steering_direction

B, T, V, D = 2, 7, 11, 5
LABELS = torch.tensor([[-100, -100, 3, 7, 1, 0, -100], [-100, 5, 2, -100, -100, -100, -100]])
VALUES = {
    "ce_mean": 4.0506453269582385,
    "batch_nll": [15.557645630471058, 8.746226331278375],
    "reference's batch_nll": [12.357292330281346, 6.869653018242757],
    "GradAscent": -4.0506453269582385,
    "SimNPO OpenUnlearning beta=4.5 delta=0": 6.19828980395371e-09,
    "SimNPO OpenUnlearning beta=2.5 delta=0": 3.108775817367049e-05,
    "SimNPO OpenUnlearning beta=2.5 delta=0.5": 0.00010850015539712394,
    "SimNPO WMDP, batch mean of the cross entropy, beta=0.1": 10.219717463734405,
    "SimNPO MUSE, raw logits (wrong), beta=0.7 gamma=0.1": 2.3236829309605938,
    "NPO beta=0.1": 11.495920551953049,
    "NPO beta=1.0": 0.18240550411477988,
    "NPO WMDP, batch mean of the cross entropy, beta=0.0225": 60.770955592553904,
    "RMU reference forget": 6.565541549141277,
    "RMU reference retain": 0.36281417250608766,
    "RMU OpenUnlearning forget, as coded (wrong)": 5.078548922170498,
    "RMU OpenUnlearning retain, as coded (wrong)": 0.5890145739084948,
    "RMU mean per sequence, then over the batch, forget": 4.532603574712832,
    "RMU mean per sequence, then over the batch, retain": 0.5377642917494372,
}
close = pytest.approx


def grid(*sizes: int) -> list[torch.Tensor]:
    """Indices from 1 along each axis, in float64."""
    return torch.meshgrid(*(torch.arange(1, size + 1, dtype=torch.float64) for size in sizes), indexing="ij")


def answers(*, reference: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probability [B] of each sequence's labels, and how many they are [B]: the model or its reference."""
    b, t, v = grid(B, T, V)
    logits = 2 * (torch.cos(0.5 * b + 0.21 * t * v) if reference else torch.sin(0.9 * b + 0.37 * t * v))
    # Position t is predicted from t - 1.
    predicted, labels = logits[:, :-1].log_softmax(-1), LABELS[:, 1:]
    asked = labels != -100
    each = predicted.gather(2, labels.clamp(min=0)[..., None])[..., 0]
    return (each * asked).sum(1), asked.sum(1)


def states() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, frozen ones, the target of the forget side, and which tokens are real (have a label)."""
    b, t, d = grid(B, T, D)
    u = torch.arange(1, D + 1, dtype=torch.float64)
    return torch.sin(0.3 * b * t + 0.11 * d), torch.cos(0.2 * b * t + 0.13 * d), 6.5 * u / u.norm(), LABELS != -100


def test_the_inputs_are_those_of_the_published_values():
    logprob, tokens = answers()
    assert (-logprob).tolist() == close(VALUES["batch_nll"], rel=1e-12)
    assert (-answers(reference=True)[0]).tolist() == close(VALUES["reference's batch_nll"], rel=1e-12)
    assert tokens.tolist() == [4, 2]


def test_nll_is_the_mean_over_tokens():
    """As `outputs.loss` of transformers; gradient ascent is its negative. A mean of sequence means would differ."""
    assert nll(*answers()).item() == close(VALUES["ce_mean"], rel=1e-9)
    assert -nll(*answers()).item() == close(VALUES["GradAscent"], rel=1e-9)
    logprob, tokens = answers()
    assert (-logprob / tokens).mean().item() != close(VALUES["ce_mean"], rel=1e-3)


@pytest.mark.parametrize(("beta", "delta"), [(4.5, 0.0), (2.5, 0.0), (2.5, 0.5)])
def test_simnpo_is_that_of_openunlearning(beta, delta):
    """Theirs is -(2/beta) log sigmoid(beta (nll/|y| - delta)): delta is gamma inside of beta, or gamma / beta."""
    expected = VALUES[f"SimNPO OpenUnlearning beta={beta:g} delta={delta:g}"]
    assert simnpo(*answers(), beta, delta, gamma_inside=True).item() == close(expected, rel=1e-9)
    assert simnpo(*answers(), beta, beta * delta).item() == close(expected, rel=1e-9)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_npo_is_the_published_one(beta):
    """Log-probabilities are summed over the answer; the batch's mean cross entropy in their place is another loss."""
    (logprob, tokens), (reference, _) = answers(), answers(reference=True)
    assert npo(logprob, reference, beta).item() == close(VALUES[f"NPO beta={beta}"], rel=1e-9)
    means = (nll(logprob, tokens), nll(reference, tokens))
    wrong = VALUES["NPO WMDP, batch mean of the cross entropy, beta=0.0225"]
    assert npo(-means[0], -means[1], 0.0225).item() == close(wrong, rel=1e-9)
    assert npo(logprob, reference, 0.0225).item() != close(wrong, rel=1e-3)


def test_npo_at_the_start_and_far_away():
    """Nothing moved yet: (2/beta) log 2, with the gradient of gradient ascent; far below the reference, no gradient."""
    logprob = torch.tensor([-3.0, -1.0], dtype=torch.float64, requires_grad=True)
    loss = npo(logprob, logprob.detach(), 0.1)
    assert loss.item() == close(20 * math.log(2), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, logprob)
    assert gradient.tolist() == close([0.5, 0.5])
    (gradient,) = torch.autograd.grad(npo(logprob, logprob.detach() + 500, 0.1), logprob)
    assert gradient.abs().max() < 1e-12


def test_simnpo_is_normalised_by_each_answers_length():
    """Neither the batch's mean cross entropy, as one code has it, nor raw logits, as another has it by mistake."""
    batch_mean = -(2 / 0.1) * math.log(1 / (1 + math.exp(-0.1 * VALUES["ce_mean"])))
    assert batch_mean == close(VALUES["SimNPO WMDP, batch mean of the cross entropy, beta=0.1"], rel=1e-9)
    assert simnpo(*answers(), 0.1, 0.0).item() != close(batch_mean, rel=1e-5)
    wrong = VALUES["SimNPO MUSE, raw logits (wrong), beta=0.7 gamma=0.1"]
    for inside in (False, True):
        assert simnpo(*answers(), 0.7, 0.1, gamma_inside=inside).item() != close(wrong, rel=1e-3)


def test_simnpo_by_hand():
    """-(2/beta) log sigmoid(-(beta/|y|) log pi - gamma) of two answers, and the two places of gamma."""
    logprob, tokens = torch.tensor([-3.0, -0.5], dtype=torch.float64), torch.tensor([3, 1])

    def one(mean, beta, margin):
        return 2 / beta * math.log(1 + math.exp(-(beta * mean - margin)))

    for beta, gamma in ((1.0, 1.0), (0.5, 2.0)):
        for inside, margin in ((False, gamma), (True, beta * gamma)):
            expected = (one(1.0, beta, margin) + one(0.5, beta, margin)) / 2
            assert simnpo(logprob, tokens, beta, gamma, gamma_inside=inside).item() == close(expected, rel=1e-12)


def test_masked_mse_over_all_positions_is_rmus_reference():
    h, frozen, target, real = states()
    everything = torch.ones_like(real)
    assert masked_mse(h, target, everything).item() == close(VALUES["RMU reference forget"], rel=1e-9)
    assert masked_mse(h, frozen, everything).item() == close(VALUES["RMU reference retain"], rel=1e-9)


def test_masked_mse_weighs_tokens_alike_not_sequences():
    """The mean over all real tokens of the batch. One sequence at a time, it is the intended loss of OpenUnlearning,
    whose code broadcasts two shapes into something else."""
    h, frozen, target, real = states()
    for side, goal in (("forget", target), ("retain", frozen)):
        goals = goal.expand_as(h)
        each = [masked_mse(h[i : i + 1], goals[i : i + 1], real[i : i + 1]).item() for i in range(B)]
        assert sum(each) / B == close(VALUES[f"RMU mean per sequence, then over the batch, {side}"], rel=1e-9)
        whole = masked_mse(h, goal, real).item()
        assert whole == close((4 * each[0] + 2 * each[1]) / 6, rel=1e-12)
        assert whole != close(VALUES[f"RMU OpenUnlearning {side}, as coded (wrong)"], rel=1e-3)


finite = st.floats(-20, -0.01)


@given(st.lists(st.tuples(finite, st.integers(1, 6)), min_size=1, max_size=5), st.floats(0.1, 5), st.floats(0, 2))
def test_simnpo_pushes_every_answer_down(rows, beta, gamma):
    logprob = torch.tensor([value for value, _ in rows], dtype=torch.float64, requires_grad=True)
    tokens = torch.tensor([count for _, count in rows])
    loss = simnpo(logprob, tokens, beta, gamma)
    (gradient,) = torch.autograd.grad(loss, logprob)
    # A descent step against a positive gradient lowers the log-probability; one that is unlikely already, less.
    assert loss.item() > 0
    assert (gradient > 0).all()
    (uniform,) = torch.autograd.grad(nll(logprob, tokens), logprob)
    assert (uniform < 0).all()
    assert (gradient <= 2 / tokens / len(rows) + 1e-12).all()


@given(st.integers(0, 2**63 - 1), st.integers(1, 300))
def test_the_steering_direction_is_fixed_and_of_length_one(seed, size):
    u = steering_direction(size, seed)
    assert u.shape == (size,)
    assert u.norm().item() == close(1, rel=1e-5)
    # Uniform on [0, 1) before it is normalised, as in the reference code: no negative part.
    assert (u >= 0).all()
    assert torch.equal(u, steering_direction(size, seed))


def test_the_steering_direction_disturbs_no_other_draw():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    steering_direction(64, 1)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.equal(steering_direction(64, 1), steering_direction(64, 2))
