"""Hooks on a model: no path passes one over, and no state that one has changed is taken for the model's own."""

import pytest
import torch
from torch.nn.utils import parametrize

from families import FAMILIES
from mute.engine import cache, sections, shared
from mute.engine.steps import Steps
from mute.evaluate.scoring import Queries
from mute.models import anatomy, embedded, hooks, tree
from mute.models.tree import Tree

DEPTH = 3


@pytest.fixture
def model():
    return embedded.create("llama", 0, vocabulary=50, blocks=DEPTH, hidden=32, heads=4).requires_grad_(False)


def refuse(module, args, output):
    """As a guard may: another state in the place of every one that is large."""
    hidden = output[0] if isinstance(output, tuple) else output
    changed = torch.where(hidden[..., :1] > 0, -hidden, hidden)
    return (changed, *output[1:]) if isinstance(output, tuple) else changed


SEQUENCES = [[1, 4, 7, 9], [1, 4, 8], [1, 5], [1, 5, 6, 6]]


def test_the_tree_raises_rather_than_pass_a_hook_over(model):
    grown = Tree(SEQUENCES)
    hidden = tree.embed(model, grown)
    before = tree.run(model, hidden, grown, range(DEPTH))
    for module in (anatomy.blocks(model)[1], anatomy.blocks(model)[1].mlp):
        hook = module.register_forward_hook(lambda *_: None)
        assert not tree.supports(model)
        with pytest.raises(RuntimeError, match="block 1"):
            tree.run(model, hidden, grown, range(DEPTH))
        hook.remove()
    assert torch.equal(tree.run(model, hidden, grown, range(DEPTH)), before)


def test_a_hook_of_all_modules_is_seen(model):
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert hooks.below(model, 1)
        assert not tree.supports(model)
    finally:
        hook.remove()
    assert not hooks.below(model, 1)
    assert tree.supports(model)


def test_another_hook_is_another_even_at_the_address_of_one_that_is_gone(model):
    block = anatomy.blocks(model)[0]
    for factor in range(20):
        hook = block.register_forward_hook(lambda module, args, output, factor=factor: output)
        before = hooks.below(model, 1)
        hook.remove()
        del hook
        hook = block.register_forward_hook(lambda module, args, output, factor=-factor: output)
        assert hooks.below(model, 1) != before
        hook.remove()


def test_a_step_in_bfloat16_is_a_write_that_torch_counts(model):
    model = model.to(torch.bfloat16)
    parameters = list(anatomy.blocks(model)[0].parameters())
    before = [parameter._version for parameter in parameters]
    Steps(parameters, 0.1).take([torch.ones_like(parameter) for parameter in parameters])
    assert all(parameter._version > version for parameter, version in zip(parameters, before))


def test_a_forward_in_the_place_of_a_blocks_own_is_seen(model):
    block = anatomy.blocks(model)[2]
    block.forward = lambda *args, **more: type(block).forward(block, *args, **more)
    assert hooks.on_blocks(model, [2])
    assert not tree.supports(model)


class Doubled(torch.nn.Linear):
    def forward(self, given):
        return 2 * super().forward(given)


class Halved(torch.nn.Module):
    def forward(self, weight):
        return weight / 2


def put_another_class(model):
    anatomy.blocks(model)[0].mlp.up_proj.__class__ = Doubled
    return lambda: setattr(anatomy.blocks(model)[0].mlp.up_proj, "__class__", torch.nn.Linear)


def put_another_forward_on_the_class(model):
    kind = type(anatomy.blocks(model)[0].mlp)
    before = kind.forward
    kind.forward = lambda self, given: 2 * before(self, given)
    return lambda: setattr(kind, "forward", before)


def compute_a_weight(model):
    module = anatomy.blocks(model)[0].mlp.up_proj
    parametrize.register_parametrization(module, "weight", Halved())
    return lambda: parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def hook_the_positions(model):
    return model.model.rotary_emb.register_forward_hook(lambda module, args, given: (given[0] * 2, given[1])).remove


@pytest.mark.parametrize(
    "put", [put_another_class, put_another_forward_on_the_class, compute_a_weight, hook_the_positions]
)
def test_what_stands_in_the_place_of_the_models_own_is_seen_and_never_cached(model, tmp_path, put):
    cache.attach(model, cache.PrefixCache(tmp_path, 10**8))

    def states():
        texts = sections.Texts(model, SEQUENCES)
        texts.advance(2)
        return texts.states

    before, entries = states(), sorted(tmp_path.iterdir())
    assert entries
    away = put(model)
    assert hooks.below(model, 1)
    # Parts of a block have the weights that they have, computed or not.
    assert tree.supports(model) == (put is compute_a_weight)
    assert not torch.allclose(states(), before)
    away()
    assert not hooks.below(model, 1)
    assert tree.supports(model)
    assert sorted(tmp_path.iterdir()) == entries
    assert torch.equal(states(), before)


def test_entries_know_how_attention_is_computed_and_what_positions_are(model, tmp_path):
    prefixes, ids, lengths = cache.PrefixCache(tmp_path, 10**8), torch.tensor([1, 2]), torch.tensor([2])

    def key():
        return prefixes.key(model, ids, lengths, 1)

    names = {key()}
    with torch.autocast("cpu"):
        names.add(key())
    model.model.rotary_emb.inv_freq *= 2
    names.add(key())
    model.set_attn_implementation("eager")
    names.add(key())
    assert len(names) == 4


def test_what_transformers_writes_hidden_states_down_with_is_no_hook(model):
    model(input_ids=torch.tensor([[1, 4, 7]]), output_hidden_states=True, output_attentions=True)
    assert any(module._forward_hooks for module in model.modules()), "it stays on the model"
    assert not hooks.below(model, DEPTH)
    assert tree.supports(model)


def last_states(model) -> list[torch.Tensor]:
    """Last states of the sequences by the plain model."""
    return [anatomy.backbone(model)(input_ids=torch.tensor([row])).last_hidden_state[0] for row in SEQUENCES]


def test_questions_go_by_rows_while_a_hook_stands(model):
    hook = anatomy.blocks(model)[1].register_forward_hook(refuse)
    texts = shared.texts(model, SEQUENCES, 1.0)
    assert isinstance(texts, sections.Texts)
    texts.advance(DEPTH)
    normed = [anatomy.final_norm(model)(texts.gather([row])[0][0]) for row in range(len(SEQUENCES))]
    for ours, plain in zip(normed, last_states(model), strict=True):
        assert torch.allclose(ours, plain, atol=1e-5)
    hook.remove()
    assert isinstance(shared.texts(model, SEQUENCES, 1.0), shared.SharedTexts)


@pytest.mark.parametrize("kind", [sections.Texts, shared.SharedTexts])
def test_what_a_hook_changed_is_in_no_cache_and_comes_from_none(model, kind, tmp_path):
    cache.attach(model, cache.PrefixCache(tmp_path, 10**9))
    hook = anatomy.blocks(model)[0].register_forward_hook(refuse)
    hooked = sections.Texts(model, SEQUENCES)
    hooked.advance(2)
    assert list(tmp_path.iterdir()) == []
    hook.remove()
    base = kind(model, SEQUENCES)
    base.advance(2)
    assert len(list(tmp_path.iterdir())) == 1
    cache.attach(model, None)
    again = kind(model, SEQUENCES)
    again.advance(2)
    assert torch.equal(base.states, again.states)
    # And with the base's entry there, what is hooked is not read from it.
    cache.attach(model, cache.PrefixCache(tmp_path, 10**9))
    hook = anatomy.blocks(model)[0].register_forward_hook(refuse)
    once_more = sections.Texts(model, SEQUENCES)
    once_more.advance(2)
    assert torch.equal(once_more.states, hooked.states)
    hook.remove()


def test_a_hook_above_the_states_leaves_them_to_the_cache(model, tmp_path):
    cache.attach(model, cache.PrefixCache(tmp_path, 10**9))
    anatomy.blocks(model)[2].register_forward_hook(refuse)
    sections.Texts(model, SEQUENCES).advance(2)
    assert len(list(tmp_path.iterdir())) == 1


def test_states_belong_to_the_hooks_that_they_were_computed_under(model):
    """Else the base would read, from memory, what a guard has made of its states."""
    texts = sections.Texts(model, SEQUENCES)
    hook = anatomy.blocks(model)[0].register_forward_hook(refuse)
    texts.gather([0])  # at block 0 nothing has passed it
    texts.advance(1)
    texts.gather([0])
    hook.remove()
    for read in (lambda: texts.gather([0]), lambda: texts.advance(2)):
        with pytest.raises(RuntimeError, match=r"other hooks below it \(block 0\) than stand there now \(none\)"):
            read()
    texts.restart()
    texts.advance(1)
    texts.gather([0])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_guard_on_a_block_gives_the_same_by_rows_and_by_the_plain_model(family, trained_model, corpus, encoder):
    model = trained_model(family)
    rows = corpus.texts[corpus.texts["language"].isin(["en", "hi"])].head(30)
    queries = Queries(rows.assign(set="facts"), encoder)
    unguarded = queries.run(model, queries.texts(model)).options()
    hook = anatomy.blocks(model)[1].register_forward_hook(refuse)
    try:
        guarded = queries.run(model, queries.texts(model))
        assert guarded.options() != unguarded
        for number, (prompt, gold) in enumerate(zip(queries.prompts, queries.golds)):
            ids = torch.tensor([prompt + gold])
            logprobs = model(input_ids=ids).logits[0].float().log_softmax(-1)
            own = [float(logprobs[len(prompt) - 1 + i, token]) for i, token in enumerate(gold)]
            first = sum(len(g) for g in queries.golds[:number])
            assert guarded.logprob[first : first + len(gold)].tolist() == pytest.approx(own, abs=1e-4)
    finally:
        hook.remove()
    assert queries.run(model, queries.texts(model)).options() == unguarded
