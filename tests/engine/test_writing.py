"""Writing with a cache of keys and values gives the tokens that writing without one gives, in every family."""

import pytest
import torch

from families import FAMILIES, WINDOW, create
from mute.engine import writing
from mute.models import anatomy, patches

SHAPE = {"vocabulary": 97, "blocks": 4, "hidden": 32, "heads": 4}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    made = create(request.param, 3, **SHAPE)
    # Sharper than at first, so that what is likeliest depends on all that was read.
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def prompts():
    generator = torch.Generator().manual_seed(1)
    lengths = [3, 9, 5, 9, 9, 1, 14, 5, 3, 9, 2 * WINDOW]
    return [torch.randint(3, SHAPE["vocabulary"], (n,), generator=generator).tolist() for n in lengths]


def written(model, prompts, most, **how):
    said = [[] for _ in prompts]

    def hear(i, token):
        said[i].append(token)
        return len(said[i]) < most[i] and (token + len(said[i])) % 6 != 0

    writing.write(model, prompts, most, hear, **how)
    return said


MOST = [12, 3, 20, 7, 1, 9, 4, 16, 12, 20, 5]


def test_with_a_cache_the_same_is_written(model, prompts):
    plain = written(model, prompts, MOST, plain=True)
    assert written(model, prompts, MOST) == plain
    assert len({token for said in plain for token in said}) > 10, "the model says too little to tell paths apart"
    assert any(len(said) < most for said, most in zip(plain, MOST)), "nothing ends early"


def test_an_edited_block_writes_the_same_with_a_cache(model, prompts):
    before = written(model, prompts, MOST)
    names = anatomy.block_parameters(model, (2,))
    generator = torch.Generator().manual_seed(5)
    changed = {n: t + 0.5 * torch.randn(t.shape, generator=generator) for n, t in patches.take(model, names).items()}
    with patches.applied(model, changed):
        edited = written(model, prompts, MOST)
        assert edited == written(model, prompts, MOST, plain=True)
    assert edited != before
    assert written(model, prompts, MOST) == before


def test_small_batches_write_the_same(model, prompts, monkeypatch):
    whole = written(model, prompts, MOST)
    monkeypatch.setattr(writing, "TOKENS", 40)
    assert written(model, prompts, MOST) == whole


def test_logits_are_treated_with_all_that_was_read(model, prompts):
    def treat(logits, read):
        # Never the same token twice.
        for row, own in enumerate(read):
            logits[row, own] = -torch.inf
        return logits

    said = written(model, prompts, MOST, treat=treat)
    assert said == written(model, prompts, MOST, treat=treat, plain=True)
    assert all(len(set(own + new)) == len(set(own)) + len(new) for own, new in zip(prompts, said))


def test_what_is_mixed_or_hooked_is_written_on_the_plain_path(model, prompts, monkeypatch):
    monkeypatch.setattr(writing, "_cached", None)
    mixed = written(model, prompts, MOST, mixed={1: 0.0})
    assert mixed == written(model, prompts, MOST, mixed={1: 0.0}, plain=True)
    hook = anatomy.blocks(model)[1].register_forward_pre_hook(lambda module, args: None)
    try:
        written(model, prompts, MOST)
    finally:
        hook.remove()
    with pytest.raises(TypeError):
        written(model, prompts, MOST)


def test_as_many_tokens_are_written_as_are_wanted(model, prompts):
    said = writing.greedy(model, prompts, [0, *MOST[1:]])
    assert list(map(len, said)) == [0, *MOST[1:]]
