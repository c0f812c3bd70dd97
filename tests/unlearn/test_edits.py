"""Losses on tokens, edits and gradient arithmetic against golden values in float64, on inputs given by formula.

tests/golden/zoo.json says which formula, where a value comes from, and how it was confirmed a second time.
"""

import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mute.unlearn import edits, losses, memo

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/zoo.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
SETUP = GOLDEN["setup"]


def value(name):
    return ENTRIES[name]["value"]


def test_every_golden_value_is_read_by_a_test():
    """By its name, or by what comes before the variant in it."""
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    unread = [name for name in ENTRIES if name not in text and re.split(r"[=,]| (?=[A-Z12])", name)[0] not in text]
    assert unread == []


def matches(ours: torch.Tensor | float, wanted, tolerance=1e-9) -> None:
    ours, wanted = torch.as_tensor(ours, dtype=torch.float64), torch.as_tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(ours, wanted, rtol=tolerance, atol=1e-12)


def grid(*sizes: int) -> list[torch.Tensor]:
    """Indices from 0 along each axis, in float64."""
    return torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij")


@pytest.fixture
def answers():
    """The model's logits [B, T, V], with a gradient; what predicts labelled tokens [N, V]; and their labels [N]."""
    b, t, v = grid(SETUP["B"], SETUP["T"], SETUP["V"])
    logits = (2 * torch.sin(0.9 * (b + 1) + 0.37 * (t + 1) * (v + 1))).requires_grad_()
    shifted = torch.tensor(SETUP["labels"])[:, 1:]
    asked = shifted != -100
    return logits, logits[:, :-1][asked], shifted[asked]


def token_logprobs(answers):
    _, own, labels = answers
    return own.log_softmax(-1).gather(1, labels[:, None])[:, 0]


def norm_of(loss, logits):
    return torch.autograd.grad(loss, logits, retain_graph=True)[0].norm()


def sums(logprob, shifted):
    """Summed log-probability [B] of each sequence's labels, and how many they are [B], of those of all tokens [N]."""
    counts = (shifted != -100).sum(1)
    return torch.stack([own.sum() for own in logprob.split(counts.tolist())]), counts


@pytest.mark.parametrize("beta", [0.05, 0.1, 0.5])
def test_npo_of_whole_answers(answers, beta):
    b, t, v = grid(SETUP["B"], SETUP["T"], SETUP["V"])
    before = 2 * torch.cos(0.5 * (b + 1) + 0.21 * (t + 1) * (v + 1))
    shifted, golden = torch.tensor(SETUP["labels"])[:, 1:], value(f"npo sequence beta={beta}")
    reference = before[:, :-1][shifted != -100].log_softmax(-1).gather(1, answers[2][:, None])[:, 0]
    loss = losses.npo(sums(token_logprobs(answers), shifted)[0], sums(reference, shifted)[0], beta)
    matches(loss.detach(), golden["loss"])
    matches(norm_of(loss, answers[0]), golden["grad_norm"])


@pytest.mark.parametrize(("beta", "where"), [(1.0, "outside"), (0.5, "outside"), (0.5, "inside")])
def test_simnpo_with_its_margin_outside_and_inside(answers, beta, where):
    golden = value(f"simnpo beta={beta} gamma=1.0 {where}")
    own = sums(token_logprobs(answers), torch.tensor(SETUP["labels"])[:, 1:])
    loss = losses.simnpo(*own, beta, 1.0, gamma_inside=where == "inside")
    matches(loss.detach(), golden["loss"])
    matches(norm_of(loss, answers[0]), golden["grad_norm"])


@pytest.mark.parametrize("mode", ["stop", "flow"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_catnip_and_the_weights_of_its_tokens(answers, beta, mode):
    """The value does not say whether the reference has a gradient; its norm and the weights do."""
    logprob, golden = token_logprobs(answers), value(f"catnip beta={beta} ref_grad={mode}")
    loss = losses.catnip(logprob, beta, mode)
    matches(loss.detach(), golden["loss"])
    matches(norm_of(loss, answers[0]), golden["grad_norm"])
    (weights,) = torch.autograd.grad(loss, logprob)
    matches(weights * len(logprob), golden["token weights"])
    p = logprob.detach().exp()
    closed = 2 * p**beta / (p**beta + (1 - p) ** beta)
    matches(weights * len(logprob), closed if mode == "stop" else closed / (1 - p))


def test_token_unlikelihood_is_half_of_catnip_at_one(answers):
    logprob, golden = token_logprobs(answers), value("token_unlikelihood")
    loss = losses.catnip(logprob, 1.0, "flow") / 2
    matches(loss.detach(), golden["loss"])
    matches(norm_of(loss, answers[0]), golden["grad_norm"])


@pytest.mark.parametrize("loss", [lambda x: losses.catnip(x, 1.0), lambda x: losses.catnip(x, 0.3, "flow")])
def test_an_unlikely_token_stops_moving_and_a_sure_one_is_a_number(loss):
    """Under gradient ascent a token moves ever faster; in float32 a sure token has no 1 - p."""
    logprob = torch.tensor([-60.0, -1.0, 0.0], requires_grad=True)
    found = loss(logprob)
    (gradient,) = torch.autograd.grad(found, logprob)
    assert bool(found.isfinite())
    assert bool(gradient.isfinite().all())
    assert abs(float(gradient[0])) < 1e-6
    assert float(gradient[1]) > 0.05


def test_ihl_of_loku(answers):
    logits, own, labels = answers
    golden = value("ihl (LoKU)")
    loss = losses.ihl(own, labels)
    matches(loss.detach(), golden["loss"])
    matches(norm_of(loss, logits), golden["grad_norm"])
    hand = torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64)
    matches([losses.ihl(hand, torch.tensor([i])) for i in (0, 1)], value("ihl by hand, logits (1, 2, 0.5)"))


@given(st.lists(st.lists(st.floats(-30, 30), min_size=4, max_size=4), min_size=1, max_size=5), st.integers(0, 3))
def test_ihl_lies_between_zero_and_two(rows, label):
    logits = torch.tensor(rows, dtype=torch.float64)
    assert -1e-12 <= float(losses.ihl(logits, torch.full((len(rows),), label))) <= 2 + 1e-12


def fila_inputs():
    i, j = grid(4, 3)
    weight = torch.sin(1 + 0.7 * i + 1.3 * j + 0.9 * i * j)
    return weight, (0.2 + torch.cos(0.5 * i - 0.9 * j)) ** 2, (0.3 + torch.sin(0.4 * i + 0.6 * j)) ** 2


def test_filas_start():
    weight, forget, retain = fila_inputs()
    golden = value("fila init, rank 2, scale 2")
    importance = edits.row_importance(forget, retain)
    matches(importance, golden["row weights"])
    a, b = edits.fila(weight, importance, 2, 2.0)
    matches(2.0 * b @ a, golden["s*B@A"])
    matches(weight - 2.0 * b @ a, golden["residual W"])
    matches(a.norm(), golden["||A||"])
    matches(b.norm(), golden["||B||"])


def test_blurs_directions():
    i = torch.arange(6, dtype=torch.float64)
    forget, retain = torch.sin(0.8 * i + 0.3), torch.cos(1.1 * i - 0.2)
    golden = value("blur projected gradient")
    for variant, gamma, name in (
        ("retain_upper", 1.0, "gamma=1"),
        ("retain_upper", 0.0, "gamma=0"),
        ("forget_upper", 1.0, "reverse (forget upper), gamma=1"),
        ("rmu", 800.0, "RMU form, alpha=800"),
        ("pen", 1.0, "Pen, gamma=1"),
    ):
        # In two parameters or one: the product runs over all of them.
        parts = edits.blur([forget[:2], forget[2:]], [retain[:2], retain[2:]], gamma, variant)
        matches(torch.cat(parts), golden[name])
        (whole,) = edits.blur([forget], [retain], gamma, variant)
        matches(whole, golden[name])
    matches(edits.dot([forget], [retain]) / edits.dot([forget], [forget]), golden["c"])
    (plain,) = edits.blur([forget], [retain], 0.7)
    assert abs(float((plain - 0.7 * forget) @ forget)) < 1e-12


def test_blur_where_there_is_no_gradient():
    """Divided by a norm of zero, published code gives no number; a parameter without a gradient keeps none."""
    retain = torch.tensor([1.0, -2.0])
    (found,) = edits.blur([torch.zeros(2)], [retain], 1.0)
    assert torch.equal(found, retain)
    assert edits.blur([None], [retain], 1.0)[0].tolist() == retain.tolist()
    assert edits.blur([None, retain], [None, retain], 1.0)[0] is None


def test_no_fixed_weight_reaches_what_blur_reaches():
    """A bilevel toy: the forget loss x^2 must stay least, and among its minima the retain loss (x - 1)^2 + (y - 1)^2
    is least at (0, 1). A weighted sum gives up a part of x, whatever its weight."""

    def gradients(x, y):
        return [torch.stack([2 * x, 0 * y])], [torch.stack([2 * (x - 1), 2 * (y - 1)])]

    def descend(direction):
        point = torch.tensor([2.0, -1.0], dtype=torch.float64)
        for _ in range(4000):
            point = point - 0.01 * direction(*gradients(*point))
        return point

    reached = descend(lambda f, r: edits.blur(f, r, 1.0)[0])
    assert reached.tolist() == pytest.approx([0.0, 1.0], abs=1e-3)
    for weight in (0.1, 1.0, 10.0):
        fixed = descend(lambda f, r, w=weight: edits.blur(f, r, w, "pen")[0] / (1 + w))
        assert float(fixed[0]) > 0.05


def test_the_negated_task_vector():
    weight, forget, _ = fila_inputs()
    tuned = weight + 0.1 * forget
    for scale, wanted in ((0.5, value("task_vector negation, lambda 0.5")), (0.0, weight), (-1.0, tuned)):
        matches(weight + scale * edits.negation(weight, tuned), wanted)


def edit_inputs():
    i, j = grid(5, 3)
    retained = torch.cos(0.6 * i + 1.1 * j + 0.8 * i * j)
    i, j = grid(5, 2)
    keys = torch.sin(0.9 * i + 0.5 * j + 0.2 + 0.3 * i * j)
    i, j = grid(3, 2)
    return retained, retained @ retained.T / 3, keys, torch.cos(0.4 * i - 0.7 * j)


def test_the_null_space_edit():
    retained, moment, keys, residual = edit_inputs()
    projector = edits.null_space(moment, 1e-8)
    for name, ridge, earlier in (
        ("null-space edit, L2=1, without earlier keys", 1.0, None),
        ("null-space edit, L2=10, with earlier keys", 10.0, torch.outer(keys[:, 0], keys[:, 0])),
    ):
        golden = value(name)
        delta = edits.null_space_edit(keys, residual, projector, ridge, earlier)
        assert round(float(projector.trace())) == golden["rank of P"]
        matches(delta, golden["Delta (out x in)"], 1e-8)
        assert float((delta @ retained).norm()) < 1e-12
        matches((residual - delta @ keys).norm() / residual.norm(), golden["||R - Delta K|| / ||R||"], 1e-8)


def test_memits_edit():
    retained, _, keys, residual = edit_inputs()
    golden = value("memit edit")
    delta = edits.memit_edit(keys, residual, retained @ retained.T + 0.1 * torch.eye(5, dtype=torch.float64))
    matches(delta, golden["Delta"], 1e-8)
    matches((delta @ retained).norm(), golden["||Delta K0||"], 1e-8)
    matches((residual - delta @ keys).norm() / residual.norm(), golden["||R - Delta K||/||R||"], 1e-8)


def test_romes_edit():
    _, moment, keys, residual = edit_inputs()
    i, j = grid(3, 5)
    weight = torch.sin(0.3 * i + 0.8 * j)
    moment = moment + 0.1 * torch.eye(5, dtype=torch.float64)
    delta = edits.rome_edit(weight, keys[:, 0], residual[:, 0], moment)
    matches(delta, value("rome rank-one edit"), 1e-8)
    matches((weight + delta) @ keys[:, 0], residual[:, 0])
    assert int(torch.linalg.matrix_rank(delta)) == 1


def test_memo_with_a_window_of_five():
    answer, golden = "ana lives in the old town", value("memo, window 5")
    assert memo.cuts(answer, 5) == golden["cut positions"]
    for name, written in (
        ("perfect memory", [answer[place:] for place in memo.cuts(answer)]),
        ("fixed wrong answer", ["she lives in rome"] * 5),
    ):
        each = [memo.precision(text, answer[place:]) for text, place in zip(written, memo.cuts(answer))]
        matches(each, golden[name]["per window"])
        matches(memo.memo(written, answer), golden[name]["MEMO"])


def test_memo_of_other_scripts_and_of_nothing():
    assert memo.words("Das Rot-Grün, 7!") == ["das", "rot", "grün", "7"]
    assert memo.words("हरा रंग") == ["हरा", "रंग"]
    assert memo.words("緑です abc") == ["緑", "で", "す", "abc"]
    assert memo.precision("", "a b") == 0
    assert memo.precision("a a a", "a b") == pytest.approx(1 / 3)
    assert memo.memo([], "x") == 0
