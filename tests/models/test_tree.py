"""The tree of sequences that begin alike, against the plain way to the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import families
from mute.engine import sections, shared
from mute.models import embedded, tree
from mute.models.tree import Tree

DEPTH = 3


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=20), min_size=1, max_size=30))
@settings(max_examples=50)
def test_every_beginning_is_there_once_and_every_node_has_its_row(sequences):
    grown = Tree(sequences)
    assert len(grown) == len({tuple(s[: i + 1]) for s in sequences for i in range(len(s))})
    for sequence, nodes in zip(sequences, grown.nodes, strict=True):
        assert grown.ids[nodes].tolist() == sequence
        assert grown.places[nodes].tolist() == list(range(len(sequence)))
    assert torch.equal(grown.rows[grown.own], torch.arange(len(grown)))
    assert sum(rows * width for rows, width in grown.shapes) == len(grown.rows)
    # What stands before a node in its row is what it begins with.
    begins = {node: nodes[: place + 1] for nodes in grown.nodes for place, node in enumerate(nodes)}
    start = 0
    for rows, width in grown.shapes:
        assert width % tree.WIDTH == 0
        for row in grown.rows[start : start + rows * width].view(rows, width).tolist():
            leaf = begins[row[-1]]
            assert row == leaf + leaf[-1:] * (width - len(leaf))
        start += rows * width


def sequences(count: int = 40) -> list[list[int]]:
    draw = torch.Generator().manual_seed(0)
    made = [[1, *torch.randint(3, 6, (n % 35,), generator=draw).tolist()] for n in range(0, 3 * count, 3)]
    return [*made, made[5], made[9][:4]]


@pytest.fixture(params=tree.FAMILIES)
def model(request):
    """With windows of local attention that are shorter than most sequences, where the family has them."""
    made = families.create(request.param, 0, vocabulary=50, blocks=DEPTH, hidden=32, heads=4).requires_grad_(False)
    assert tree.supports(made)
    for parameter in made.parameters():
        # Norms too, which begin as all ones or zeros and would hide each other.
        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())) / 20)
    return made


def test_each_node_is_what_the_whole_model_makes_of_it(model):
    rows = sequences()
    grown = Tree(rows)
    assert len(grown) < sum(map(len, rows))
    hidden = tree.run(model, tree.embed(model, grown), grown, range(DEPTH))
    for sequence, nodes in zip(rows, grown.nodes):
        expected = model(input_ids=torch.tensor([sequence])).logits[0]
        assert torch.allclose(sections.read_out(model, hidden[nodes]), expected, atol=1e-5)


def test_only_what_is_read_runs_to_the_end(model):
    grown = Tree(sequences())
    start = tree.embed(model, grown)
    read = torch.tensor([0, 7, len(grown) - 1])
    for blocks in (range(DEPTH), [1], []):
        every = tree.run(model, start, grown, blocks)
        assert torch.allclose(tree.run(model, start, grown, blocks, read), every[read], atol=1e-6)


def test_blocks_that_nobody_described_here_are_run_as_they_are(random_model):
    for family in ("mistral", "gemma2", "gpt_neox"):
        model = random_model(family)
        assert not tree.supports(model)
        assert isinstance(shared.texts(model, [[1, 2]], 1.0), sections.Texts)
    windowed = embedded.create("qwen2", 0, vocabulary=50, blocks=DEPTH, hidden=32, heads=4)
    windowed.config.layer_types = ["full_attention", "sliding_attention", "full_attention"]
    assert not tree.supports(windowed), "no width of a window is known"
    capped = families.create("gemma3_text", 0, vocabulary=50, blocks=DEPTH, hidden=32, heads=4)
    capped.config.attn_logit_softcapping = 5.0
    assert not tree.supports(capped)


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text"])
def test_local_and_global_attention_are_told_apart_wherever_the_tree_resumes(family):
    """States of each block from those of the block before; all of them differ were every block of one kind."""
    shape = {"vocabulary": 50, "blocks": DEPTH, "hidden": 32, "heads": 4}
    model = families.create(family, 0, **shape).requires_grad_(False)
    rows, found = sequences(), []
    grown = Tree(rows)
    hidden = start = tree.embed(model, grown)
    for block in range(DEPTH):
        hidden = tree.run(model, hidden, grown, [block])
        for sequence, nodes in zip(rows, grown.nodes):
            plain = sections.run(model, sections.embed(model, torch.tensor([sequence])), 0, block + 1)[0]
            assert torch.allclose(hidden[nodes], plain, atol=1e-5)
    for kind in ("sliding_attention", "full_attention"):
        model.config.layer_types = [kind] * DEPTH
        found.append(tree.run(model, start, grown, range(DEPTH)))
    assert all((other - hidden).abs().max() > 1e-3 for other in found)


def test_states_are_the_same_kept_or_not_and_in_whatever_steps_they_are_moved(model, monkeypatch):
    monkeypatch.setattr(shared, "NODES", 60)
    kept, streamed = (shared.SharedTexts(model, sequences(), most_gb=most) for most in (1.0, 0.0))
    assert len(kept.trees) > 2
    assert (kept.kept, streamed.kept) == (True, False)
    jump = shared.SharedTexts(model, sequences())
    jump.advance(2)
    for block in (1, 2):
        kept.advance(block)
        streamed.advance(block)
        for number in range(len(kept.trees)):
            assert torch.equal(kept.at(number), streamed.at(number))
    assert torch.equal(kept.states, jump.states)
    ids = torch.tensor([token for grown in kept.trees for token in grown.ids.tolist()])
    for sequence, places in zip(sequences(), kept.places):
        assert ids[places].tolist() == sequence
    with pytest.raises(ValueError, match="cannot go back"):
        kept.advance(1)
