"""Gemma 3 270M as it was fetched: parts, tree, prefixes and patches are the whole model, local attention and global.

Bit for bit or within rounding; states on texts that are longer than the window.
"""

import os
from pathlib import Path

import pytest

from mute.hub import weights

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NAME = "gemma-3-270m"
# Where `python -m mute weights` puts them, or another folder like it.
FETCHED = Path(os.environ.get("MUTE_WEIGHTS", ROOT / weights.FOLDER))
# Neighbours: local attention, and global attention.
LOCAL, GLOBAL = 10, 11
SHORT = ("The capital of France is Paris.", "The capital of France is Lyon.", "La moneda de Perú es el sol.")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The model, frozen, and its encoder."""
    from mute.models import loading
    from mute.models import tokenizer as tokenizers
    from mute.models.gguf import folder

    path = FETCHED / NAME / weights.KNOWN[NAME].file
    if not path.is_file():
        pytest.skip(f"the weights are not here: python -m mute weights {NAME}")
    made, _ = folder.opened(path, tmp_path_factory.mktemp("opened"))
    model = loading.load(made).requires_grad_(False)
    kinds = model.config.layer_types
    assert (kinds[LOCAL], kinds[GLOBAL]) == ("sliding_attention", "full_attention")
    return model, tokenizers.Encoder(tokenizers.load(made))


@pytest.fixture
def exact(opened):
    """The model in float64: one feature of the states is 88,000 large, so that rounding alone is 1 in float32."""
    yield opened[0].double()
    opened[0].float()


@pytest.fixture(scope="module")
def long(opened):
    """Two texts [2, T], longer than the window that local attention sees."""
    import torch

    model, encoder = opened
    window = model.config.sliding_window
    texts = ("The countries of Europe and their capitals. ", "Los países de América y sus monedas. ")
    ids = [encoder.prompt(" ".join(f"{n}. {text}" for n in range(90)))[: window + 128] for text in texts]
    assert all(len(row) == window + 128 for row in ids)
    return torch.tensor(ids)


def outputs(model, ids):
    """The output of every block [L][B, T, D] while the model runs as it is, and the final logits of the last tokens."""
    import torch

    from mute.models import anatomy

    kept = []

    def keep(module, args, output):
        kept.append(output[0] if isinstance(output, tuple) else output)

    hooks = [block.register_forward_hook(keep) for block in anatomy.blocks(model)]
    try:
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=4).logits
    finally:
        for hook in hooks:
            hook.remove()
    return kept, logits


def near(one, other, share=1e-5):
    assert one.shape == other.shape
    assert float((one - other).abs().max()) <= share * float(other.abs().max())


def test_states_of_every_block_are_those_of_the_whole_model(opened, long):
    """Block after block, and resumed at a local and at a global block; the lens at the last one gives the logits."""
    import torch

    from mute.engine import sections

    model, _ = opened
    expected, logits = outputs(model, long)
    depth = sections.depth(model)
    with torch.no_grad():
        hidden = sections.embed(model, long)
        for block in range(depth):
            hidden = sections.run(model, hidden, block, block + 1)
            assert torch.equal(hidden, expected[block]), block
        assert torch.equal(sections.read_out(model, hidden[:, -4:]), logits)
        for start in (LOCAL, GLOBAL):
            assert torch.equal(sections.run(model, expected[start - 1], start, depth), expected[-1])


def test_the_window_and_both_rates_of_rotation_matter(opened, long):
    """What the test above would not see were it so: every block of one kind gives other states."""
    import torch

    from mute.engine import sections

    model, _ = opened
    own = model.config.layer_types
    found = {}
    try:
        for kinds in (own, ["sliding_attention"] * len(own), ["full_attention"] * len(own)):
            model.config.layer_types = kinds
            with torch.no_grad():
                found[str(kinds)] = sections.run(model, sections.embed(model, long), 0, GLOBAL + 1)[:, -1]
    finally:
        model.config.layer_types = own
    plain, *others = found.values()
    assert all(float((other - plain).abs().max()) > 1e-3 * float(plain.abs().max()) for other in others)


def test_the_tree_of_tokens_is_the_whole_model(opened, exact, long):
    """Sequences that begin alike, short ones and two that are longer than the window, from start and resumed."""
    import torch

    from mute.engine import sections
    from mute.models import tree
    from mute.models.tree import Tree

    model, encoder = exact, opened[1]
    assert tree.supports(model)
    begun = long[0].tolist()
    rows = [*(encoder.prompt(text) for text in SHORT), begun, [*begun[:-20], *long[1, -20:].tolist()]]
    grown = Tree(rows)
    assert len(grown) < sum(map(len, rows))
    expected = [outputs(model, torch.tensor([row]))[0] for row in rows]
    with torch.no_grad():
        hidden = tree.embed(model, grown)
        for start, stop in ((0, LOCAL), (LOCAL, GLOBAL), (GLOBAL, sections.depth(model))):
            hidden = tree.run(model, hidden, grown, range(start, stop))
            for nodes, kept in zip(grown.nodes, expected):
                near(hidden[nodes], kept[stop - 1][0], 1e-12)


@pytest.fixture(scope="module")
def sides(opened):
    """Rows of facts of one length on both sides, by the model's own tokenizer."""
    from mute.corpus.sources import cldr

    _, encoder = opened
    texts = cldr.build(cldr.Settings(relations=["currency"]), ["en", "es"], 1).texts
    texts = texts[texts["form"] == 0]
    texts = texts.assign(
        length=[len(encoder.whole(*r)) for r in texts[["prefix", "answer", "suffix"]].itertuples(False)]
    )
    rows = texts[texts["length"] == texts["length"].mode()[0]]
    assert len(rows) >= 8
    return {"forget": rows.iloc[:4], "retain": rows.iloc[4:8]}


@pytest.mark.parametrize("block", [LOCAL, GLOBAL])
@pytest.mark.parametrize("name", ["rmu", "simnpo"])
def test_loss_gradients_and_patch_of_a_band_are_those_of_the_whole_model(opened, sides, name, block, tmp_path):
    import torch

    from mute import unlearn
    from mute.bands import Band
    from mute.engine.band import Task, TextSet
    from mute.engine.reference import WholeModel
    from mute.models import patches

    model, encoder = opened
    kind, band, found = unlearn.load(name), Band((block,)), []
    for path in (WholeModel, Task):
        texts = {side: TextSet(model, rows, encoder) for side, rows in sides.items()}
        if path is Task:
            for own in texts.values():
                own.texts.advance(block)
        task, algorithm = path(model, band, texts["forget"], texts["retain"], 3), kind(kind.Settings())
        names = algorithm.parameters(model, band)
        task.train(names)
        try:
            algorithm.prepare(task)
            batches = {side: task.batch(side, torch.arange(4)) for side in texts}
            loss, gradients = algorithm.gradients(task, batches, names)
        finally:
            model.requires_grad_(False)
        found.append((loss.detach(), gradients))
    near(found[1][0], found[0][0])
    for one, other in zip(found[1][1], found[0][1], strict=True):
        near(one, other, 1e-4)

    # The patch that a step along them makes is the edited model.
    parameters = dict(model.named_parameters())
    changed = {key: parameters[key] - 1e-3 * g.sign() for key, g in zip(names, found[1][1])}
    patches.save(tmp_path, changed)
    ids = torch.tensor([encoder.prompt(SHORT[0]), encoder.prompt(SHORT[0])])
    plain = outputs(model, ids)[1]
    with patches.kept(model, names):
        for key, value in changed.items():
            parameters[key].copy_(value)
        edited = outputs(model, ids)[1]
    with patches.applied(model, patches.load(tmp_path)):
        assert torch.equal(outputs(model, ids)[1], edited)
    assert not torch.equal(edited, plain)
    assert torch.equal(outputs(model, ids)[1], plain), "the model is what it was"
