"""Bands as large as a model: steps in 16 bits near AdamW's, gradients let go, blocks computed again; bytes counted."""

import copy

import pytest
import torch

from families import FAMILIES, create
from mute.engine import sections
from mute.engine.compact import CompactSteps
from mute.engine.steps import Steps
from mute.plan.costs import footprint, shapes

SHAPE = {"vocabulary": 97, "blocks": 4, "hidden": 32, "heads": 4}


def loss_of(model):
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, SHAPE["vocabulary"], (6, 10), generator=generator)
    hidden = sections.run(model, sections.embed(model, ids), 0, SHAPE["blocks"])
    return torch.nn.functional.cross_entropy(
        sections.read_out(model, hidden[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()
    )


def losses(model, steps, kind):
    """Losses of a model that trains whole, and its steps."""
    model = copy.deepcopy(model).requires_grad_(True)
    parameters = list(model.parameters())
    taken = Steps(parameters, 3e-3) if kind is Steps else CompactSteps(parameters, 3e-3, seed=0)
    found = []
    for _ in range(steps):
        loss = loss_of(model)
        found.append(float(loss.detach()))
        if isinstance(taken, CompactSteps):
            assert taken.descend(loss)
            assert all(p.grad is None for p in parameters)
        else:
            taken.take(torch.autograd.grad(loss, parameters))
    taken.end()
    return torch.tensor(found), taken


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "bloom"])
def test_steps_in_16_bits_go_where_adamw_goes_in_less_memory(family, dtype):
    model = create(family, 0, **SHAPE).to(dtype)
    plain, exact = losses(model, 60, Steps)
    near, compact = losses(model, 60, CompactSteps)
    assert plain[-1] < 0.7 * plain[0], "it learns something"
    assert near == pytest.approx(plain, rel=0.05)
    count = sum(p.numel() for p in model.parameters())
    # Two moments of 16 bits and, of a model in 16 bits, what rounding lost; by AdamW twice and three times as much.
    assert compact.held == (4 if dtype == torch.float32 else 6) * count
    moments = [t for state in exact.optimizer.state.values() for t in state.values() if t.ndim]
    beside = [e for e, p in zip(exact.exact, exact.parameters) if e is not p]
    assert sum(t.nbytes for t in (*moments, *beside)) == (8 if dtype == torch.float32 else 12) * count


def test_small_steps_of_a_model_in_16_bits_add_up():
    parameter = torch.nn.Parameter(torch.ones(64, dtype=torch.bfloat16))
    taken = CompactSteps([parameter], 1e-4, seed=0)
    for _ in range(100):
        taken.take([torch.ones_like(parameter)])
    # Each is far below what bfloat16 tells from 1.
    assert parameter.detach().float() == pytest.approx(torch.full((64,), 0.99), abs=3e-3)


def test_each_gradient_is_let_go_before_the_next_is_used(monkeypatch):
    model = create("llama", 0, **SHAPE).requires_grad_(True)
    parameters, waiting = list(model.parameters()), []
    taken = CompactSteps(parameters, 1e-3, seed=0)
    move = taken._move

    def watched(place, gradient):
        waiting.append(sum(p.grad is not None for p in parameters))
        move(place, gradient)

    monkeypatch.setattr(taken, "_move", watched)
    taken.descend(loss_of(model))
    assert waiting == [1] * len(parameters)


def test_pieces_and_let_go_gradients_change_nothing(monkeypatch):
    model = create("llama", 0, **SHAPE)
    whole = [copy.deepcopy(model).requires_grad_(True) for _ in range(2)]
    first, second = (CompactSteps(list(m.parameters()), 1e-2, seed=0) for m in whole)
    # No step before has rounded anything: what moves now moves alike, whatever the order.
    first.descend(loss_of(whole[0]))
    monkeypatch.setattr("mute.engine.compact.PIECE", 100)
    second.take(torch.autograd.grad(loss_of(whole[1]), list(whole[1].parameters())))
    for one, other in zip(*(m.parameters() for m in whole)):
        assert torch.equal(one, other)


def test_a_gradient_that_is_no_number_is_not_used():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    taken = CompactSteps([weight], 0.1, seed=0)
    assert not taken.descend((weight * torch.tensor([float("inf"), 1.0])).sum())
    assert weight.tolist() == [1.0, 2.0]
    assert weight.grad is None


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_that_are_computed_again_give_the_same_gradients(family):
    model = create(family, 0, **SHAPE).requires_grad_(True)
    names, parameters = zip(*model.named_parameters())
    kept = torch.autograd.grad(loss_of(model), parameters)
    sections.recompute(model)
    again = torch.autograd.grad(loss_of(model), parameters)
    for name, one, other in zip(names, kept, again):
        assert torch.equal(one, other), name


def llama(device, **sizes):
    """A model in bfloat16, of the shape of Llama-3.1-8B but for `sizes`."""
    import transformers

    shape = {"vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
    shape |= {"num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": False, "use_cache": False}
    with torch.device(device):
        config = transformers.LlamaConfig(**{**shape, **sizes})
        return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()


def test_what_8b_holds_between_steps_is_what_is_planned():
    # On no device: shapes alone.
    parameters = list(llama("meta").parameters())
    weights = sum(p.nbytes for p in parameters)
    assert weights == pytest.approx(2 * shapes.KNOWN["meta-llama/Llama-3.1-8B"].parameters, rel=0.001)
    moments = [torch.zeros_like(p, dtype=torch.bfloat16) for p in parameters for _ in range(2)]
    lost = [torch.zeros_like(p) for p in parameters]
    # Of 80 GB, with room for a gradient, a batch and what a step computes.
    assert weights + sum(t.nbytes for t in (*moments, *lost)) == pytest.approx(64.2e9, rel=0.01)


def test_what_a_block_keeps_for_gradients_is_within_the_plan():
    model = llama("cpu", vocab_size=99, hidden_size=512, intermediate_size=1792, num_hidden_layers=3, head_dim=16)
    model.requires_grad_(True)
    batch, length, hidden, mlp = 4, 60, 512, 1792
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def kept(again: bool) -> int:
        saved: dict[int, torch.Tensor] = {}

        def keep(tensor):
            saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
            return tensor

        if again:
            sections.recompute(model)
        states = torch.randn(batch, length, hidden, dtype=torch.bfloat16, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = sections.run(model, states, 0, 3)
        out.sum().backward()
        return sum(t.untyped_storage().nbytes() for place, t in saved.items() if place not in weights)

    each = batch * length * (footprint._HIDDEN * hidden + footprint._MLP * mlp) * 2
    whole = kept(again=False)
    assert 0.4 * 3 * each < whole < 3 * each
    # Inputs of blocks are held by what computes them again.
    assert kept(again=True) < 0.1 * whole
