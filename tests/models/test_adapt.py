"""Adaptation of a pretrained model: the update and where it stands, what it reads, and the way on to a cell."""

import copy
import math

import pytest
import torch

from families import FAMILIES, create
from mute.analyses.capture import score_layers
from mute.bands import Band
from mute.config.sections import AdaptationSection
from mute.engine import sections, verify
from mute.evaluate import gates
from mute.evaluate.run import Evaluator
from mute.models import adapt, anatomy, loading, pretrain, pretrained
from mute.models import tokenizer as tokenizers
from mute.models.texts import training_texts
from mute.store import artifacts
from mute.unlearn import load
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

LANGUAGES = ["en", "es", "hi"]
SHAPE = {"blocks": 3, "hidden": 32, "heads": 2}


def settings(**changes) -> dict:
    return AdaptationSection(**changes).model_dump()


@pytest.fixture(scope="module")
def texts(corpus, encoder):
    """A few texts of two languages: chemistry in two forms."""
    rows = corpus.texts[corpus.texts["language"].isin(["en", "es"]) & corpus.texts["form"].isin([0, 1])]
    return pretrain.encode({"facts": rows[rows["item"].str.startswith("chemistry")]}, encoder)["facts"]


def fresh(family, tokenizer):
    return create(family, 0, vocabulary=len(tokenizer), **SHAPE)


def test_the_defaults_are_the_papers():
    given = settings()
    assert (given["rank"], given["learning_rate"], given["warmup"]) == (8, 5e-5, 0.1)
    assert (given["batch_size"], given["epochs"]) == (16, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_update_is_of_low_rank_on_every_linear_layer_of_the_blocks_and_nowhere_else(family, tokenizer, texts):
    before = fresh(family, tokenizer)
    model, losses = adapt.adapt(
        copy.deepcopy(before), texts[:32], **settings(rank=2, learning_rate=1e-3, epochs=1), seed=0
    )
    assert type(model) is type(before)
    changed = set()
    for (name, new), (same, old) in zip(model.named_parameters(), before.named_parameters(), strict=True):
        assert name == same, "the names are those of an ordinary model"
        if not torch.equal(new, old):
            changed.add(name)
            assert torch.linalg.matrix_rank(new - old, rtol=1e-3) <= 2
    inside = set(anatomy.block_parameters(before, range(3)))
    assert changed == {name for name in inside if before.get_parameter(name).ndim == 2}
    assert len(losses) == 2
    assert not any(p.requires_grad for p in model.parameters())
    verify.check(model, 3)


def test_it_learns_and_the_same_seed_learns_the_same(corpus, encoder, trained_model):
    """Facts of a domain that a trained model has never seen."""
    rows = corpus.texts[corpus.texts["language"].isin(["en", "es"]) & corpus.texts["item"].str.startswith("law")]
    new = pretrain.encode({"facts": rows}, encoder)["facts"]
    how = settings(learning_rate=5e-3, epochs=6, dropout=0.1)

    def taught(seed):
        return adapt.adapt(copy.deepcopy(trained_model("llama")), new, **how, seed=seed)

    (one, losses), (same, _), (other, _) = taught(1), taught(1), taught(2)
    assert losses[-1] < losses[0] - 1
    name = "model.layers.1.mlp.down_proj.weight"
    assert torch.equal(one.get_parameter(name), same.get_parameter(name))
    assert not torch.equal(one.get_parameter(name), other.get_parameter(name))


def test_every_text_is_read_once_a_pass():
    batches = adapt._batches(10, 4, 2.0, seed=3)
    assert [len(rows) for rows in batches] == [4, 4, 4, 4, 4]
    flat = [row for rows in batches for row in rows]
    assert sorted(flat[:10]) == sorted(flat[10:]) == list(range(10))
    assert flat[:10] != flat[10:]
    assert [len(rows) for rows in adapt._batches(10, 4, 0.5, seed=3)] == [4, 1]
    assert len(adapt._batches(1, 16, 0.01, seed=3)) == 1


def test_the_rate_rises_for_a_tenth_and_falls_along_a_cosine():
    share = adapt.cosine(100, 0.1)
    values = [share(step) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == values[10] == 1
    assert values[55] == pytest.approx(0.5)
    assert 0 < values[99] < 1e-3
    assert values[10:] == sorted(values[10:], reverse=True)
    assert [adapt.cosine(1, 0.1)(0), adapt.cosine(1, 0.0)(0)] == [1, 1]


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_the_loss_is_the_mean_over_answer_tokens(monkeypatch, tokenizer, texts, weight):
    """Of the whole step, however it is cut into passes; checked against every row on its own."""
    model = fresh("qwen2", tokenizer)
    rows = texts[:6]
    model.requires_grad_(False).get_parameter("model.norm.weight").requires_grad_(True)
    whole = adapt._backward(model, rows, weight)
    gradient = model.get_parameter("model.norm.weight").grad.clone()
    model.zero_grad()
    monkeypatch.setattr(adapt, "TOKENS_PER_PASS", 20)
    assert len(adapt._passes(rows)) > 2
    assert adapt._backward(model, rows, weight) == pytest.approx(whole, rel=1e-5)
    assert torch.allclose(model.get_parameter("model.norm.weight").grad, gradient, atol=1e-6)
    total = count = 0.0
    for ids, lead in rows:
        logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1).detach()
        for place in range(1, len(ids)):
            own = 1.0 if place >= lead else weight
            total -= own * float(logprobs[place - 1, ids[place]])
            count += own
    assert whole == pytest.approx(total / count, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_with_words(tokenizer, texts):
    model = fresh("llama", tokenizer)
    with torch.no_grad():
        model.get_parameter("model.layers.0.mlp.down_proj.weight")[0, 0] = math.nan
    with pytest.raises(
        ValueError,
        match=r"the loss is nan in step 1 of .*, no loss was finite, .* Lower the adaptation",
    ):
        adapt.adapt(model, texts, **settings(), seed=0)
    with pytest.raises(ValueError, match="no texts in the model's languages"):
        adapt.adapt(model, [], **settings(), seed=0)


def test_weights_keep_their_type(tokenizer, texts):
    model = fresh("llama", tokenizer).to(torch.bfloat16)
    before = model.get_parameter("model.layers.1.mlp.down_proj.weight").clone()
    model, losses = adapt.adapt(model, texts[:32], **settings(learning_rate=1e-2, epochs=1), seed=0)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert not torch.equal(model.get_parameter("model.layers.1.mlp.down_proj.weight"), before)
    assert all(map(math.isfinite, losses))
    verify.check(model, 3)


def test_a_family_that_does_more_between_its_blocks_is_found_out(tokenizer):
    """Its parts would give other states than itself, and nothing would say so."""
    model = fresh("llama", tokenizer)
    with pytest.raises(ValueError, match="says that the model has 5 blocks, but it has 3"):
        verify.check(model, 5)
    plain = model.model.forward

    def scaled(input_ids=None, inputs_embeds=None, **options):
        if inputs_embeds is None:
            inputs_embeds = model.model.embed_tokens(input_ids) * 4.0
        return plain(inputs_embeds=inputs_embeds, **options)

    model.model.forward = scaled
    with pytest.raises(ValueError, match="models of type 'llama' cannot be run in parts"):
        verify.check(model, 3)


def test_from_a_directory_to_a_cell(corpus, tokenizer, trained_model, tmp_path):
    """What the rules do one after the other, on a model with a larger vocabulary than its tokenizer."""
    source = tmp_path / "downloaded"
    known = copy.deepcopy(trained_model("gpt_neox"))
    known.resize_token_embeddings(len(tokenizer) + 24)
    known.save_pretrained(source)
    tokenizer.save_pretrained(source)

    model, words = loading.load(pretrained.opened(str(source), "main", tmp_path)[0]), tokenizers.load(source)
    encoder = tokenizers.Encoder(words)
    groups = pretrain.encode(training_texts(corpus, LANGUAGES), encoder)
    rows = [row for name in sorted(groups) for row in groups[name]]
    model, losses = adapt.adapt(model, rows, **settings(learning_rate=3e-3, epochs=1), seed=0)
    assert losses[-1] < losses[0] - 0.5
    folder = tmp_path / "models" / "own-s0"
    loading.save(model, words, folder, {"producer": "test"})
    assert str(tmp_path) not in (folder / "config.json").read_text(), "no path of this machine"

    artifacts.checked(folder)
    opened, encoder = loading.load(folder), tokenizers.Encoder(tokenizers.load(folder))
    assert sections.depth(opened) == 3
    tokens, _ = Evaluator(opened, encoder, corpus, LANGUAGES, [0, 1, 2]).evaluate()
    judged = gates.check(tokens, corpus, LANGUAGES, {"recall": 0, "transfer": 0, "transfer_each": 0, "abilities": 0})
    assert len(judged)
    layers = score_layers(opened, encoder, corpus, ["en", "es"], "domain", draws=2, seed=0)
    assert len(layers) == 3
    bench = Workbench(
        opened,
        encoder,
        corpus,
        languages=LANGUAGES,
        sources=["en", "es"],
        forget_set="domain",
        retain="source",
        seed=0,
        oracle=None,
        matching=Matching(facts=8),
    )
    rmu = load("rmu")
    outcome = unlearn(bench, rmu(rmu.Settings(steps=2, batch_size=4)), Band.named("1", 3), protocol="paper", seed=0)
    assert outcome.status == "ok"
    assert all(name.startswith("gpt_neox.layers.1.") for name in outcome.tensors)
