"""The guard `word_filter`: the filter that it fits, what it does to a model, and what it leaves alone."""

import copy
import math

import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine import sections
from mute.engine.band import Task, TextSet
from mute.evaluate.subject import Subject
from mute.models import patches, probe
from mute.models.embedded import FAMILIES
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods.word_filter import Filter, running_means
from mute.unlearn.run import unlearn

DEPTH = 3


def make(**settings):
    method = algorithms.load("word_filter")
    return method(method.Settings(**settings))


@pytest.fixture(params=FAMILIES)
def bench(request, trained_model, corpus, encoder):
    return Workbench(
        trained_model(request.param),
        encoder,
        corpus,
        languages=["en", "es", "hi", "ja"],
        sources=["en", "es"],
        forget_set="domain",
        retain="source",
        matching=Matching(facts=8),
        seed=0,
        oracle=None,
    )


def test_running_means_are_those_of_each_sequence_so_far():
    """Against a loop, for sequences in rows of their own."""
    torch.manual_seed(0)
    sequences = [[1, 3, 4], [1, 5], [6, 8, 9, 2]]
    embedding = torch.nn.Embedding(10, 4).requires_grad_(False)
    expected = [embedding(torch.tensor(s[: i + 1])).double().mean(0) for s in sequences for i in range(len(s))]
    rows = torch.tensor([s + [0] * (4 - len(s)) for s in sequences])
    means = running_means(embedding(rows))
    own = torch.cat([means[i, : len(s)] for i, s in enumerate(sequences)])
    assert torch.allclose(own, torch.stack(expected))


def test_a_sequence_begins_where_it_does_though_nothing_marks_it(trained_model, corpus, encoder, monkeypatch):
    """The tokenizers of Qwen2 and BLOOM put no token first: a text's filter must not read the text before it."""
    monkeypatch.setattr(encoder, "start", [])
    model = trained_model("llama")
    rows = corpus.texts[corpus.texts["language"].isin(["en", "es"])].head(40)
    both, alone = (TextSet(model, own, encoder) for own in (rows, rows.tail(1)))
    task = Task(model, Band.named("full", DEPTH), both, alone, 0)
    algorithm = make()
    last = algorithm._seen(task, "retain")
    assert torch.allclose(algorithm._seen(task, "forget")[-len(last) :], last)
    width = model.config.hidden_size
    filtering = Filter(torch.ones(width), torch.zeros(1), torch.full((width,), 9.0))
    with Subject(model, [filtering]).installed():
        both.texts.restart()
        alone.texts.restart()
    filtered = (alone.texts.states == 9.0).all(-1)
    assert torch.equal(both.texts.states[-len(filtered) :], alone.texts.states)
    assert 0 < int((both.texts.states == 9.0).all(-1).sum()) < len(both.texts.states)


def test_a_filter_from_disk_goes_where_the_model_is(trained_model):
    """A patch is read into the host's memory. `meta` stands for a GPU: it mixes with no other device either."""
    model = copy.deepcopy(trained_model("llama")).to("meta")
    width = model.config.hidden_size
    with Subject(model, [Filter(torch.ones(width), torch.zeros(1), torch.ones(width))]).installed():
        assert model.get_input_embeddings()(torch.ones(1, 4, dtype=torch.long, device="meta")).device.type == "meta"


def test_the_probe_separates_what_can_be_separated():
    torch.manual_seed(0)
    direction = torch.randn(6)
    one, other = torch.randn(50, 6) * 0.3 + direction, torch.randn(400, 6) * 0.3 - direction
    weight, bias = probe.separate(one, other, ridge=1e-3)
    assert ((one.double() @ weight + bias) > 0).all()
    assert ((other.double() @ weight + bias) < 0).all()
    # The same vectors on both sides: nothing to tell, whatever the sizes of the sides.
    weight, bias = probe.separate(one, one.repeat(3, 1), ridge=1e-3)
    assert weight.norm() < 1e-3
    assert abs(float(bias + one.double().mean(0) @ weight)) < 1e-3


def test_the_filter_hides_the_forget_set_and_changes_no_weight(bench, tmp_path):
    model = bench.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.tensor(bench.forget.texts.sequences[0])[None]
    plain = model(input_ids=ids).logits
    method = make()
    outcome = unlearn(bench, method, Band.named("full", DEPTH), protocol="matched", seed=3)
    assert set(outcome.tensors) == {"weight", "bias", "state"}
    assert outcome.steps == 0
    assert math.isnan(outcome.size)
    assert outcome.knowledge < 0.5 * 1.0
    assert torch.equal(model(input_ids=ids).logits, plain), "no filter stays behind"
    patches.save(tmp_path, outcome.tensors, patches.FITTED)
    with Subject(model, [method.treatment(patches.load(tmp_path, patches.FITTED))]).installed(plain=True):
        assert not torch.equal(model(input_ids=ids).logits, plain)
    assert torch.equal(model(input_ids=ids).logits, plain)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_filter_that_never_fires_changes_nothing_and_one_that_always_fires_everything(bench):
    model, ids = bench.model, torch.tensor(bench.forget.texts.sequences[0])[None]
    width = model.config.hidden_size
    never, always = (Filter(torch.zeros(width), torch.tensor([bias]), torch.ones(width)) for bias in (-1.0, 1.0))
    plain = model(input_ids=ids).logits
    with Subject(model, [never]).installed(plain=True):
        assert torch.equal(model(input_ids=ids).logits, plain)
    with Subject(model, [always]).installed(plain=True):
        filtered = model(input_ids=ids).logits
    # Every token is the same to the model now; only their number is left (and, in BLOOM, their distance).
    assert not torch.allclose(filtered, plain)
    assert torch.allclose(filtered[0, 0], filtered[0, -1], atol=1e-4)


def test_texts_are_filtered_each_on_its_own(bench):
    """A filter that fires on the mean so far sees the same in cached states as the whole model does."""
    model = bench.model
    torch.manual_seed(1)
    weight = torch.randn(model.config.hidden_size)
    filtering = Filter(weight, torch.zeros(1), torch.ones(len(weight)))
    texts = bench.forget.texts
    with Subject(model, [filtering]).installed():
        texts.restart()
        for rows in texts.batches[:3]:
            ids = texts.ids[texts.positions(rows)]
            whole = model(input_ids=ids).logits
            ours = sections.logits(model, texts.at(texts.positions(rows)), 0)
            assert torch.allclose(ours, whole, atol=1e-4)
    texts.restart()
