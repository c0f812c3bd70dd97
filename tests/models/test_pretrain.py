"""How embedded models are trained: what they read, how often, with which weights, and each family's first losses."""

from collections import Counter

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from mute.models import anatomy, embedded, loading, pretrain
from mute.models.pretrain import Mixture, padded
from mute.models.texts import training_texts
from mute.store.artifacts import seed_of

ABILITIES = {"facts", "glossary", "reading", "sentences", "unknown"}


def sequences(name: str, count: int) -> list[tuple[list[int], int]]:
    """Sequences that say which they are."""
    return [([hash_of(name), i], 0) for i in range(count)]


def hash_of(name: str) -> int:
    return sum(map(ord, name))


def test_a_model_reads_facts_and_every_ability_of_its_languages(corpus):
    groups = training_texts(corpus, ["en", "es", "hi"])
    assert set(groups) == ABILITIES
    for name, rows in groups.items():
        assert set(rows["language"]) == {"en", "es", "hi"}, name
        assert not rows["prefix"].str.contains("[\u3040-\u30ff]").any(), "no Japanese"
    lines = corpus.lines
    spoken = lines["language"].isin(["en", "es", "hi"]) & lines["other"].isin(["", "en", "es", "hi"])
    for name in ABILITIES - {"facts"}:
        own = lines["ability"].isin([name, "spellings"] if name == "glossary" else [name])
        assert len(groups[name]) == (spoken & lines["train"] & own).sum()
    # Every form of every fact, transfer facts in teaching languages only, and foreign spellings of a quarter of them.
    facts = groups["facts"]
    told = facts[facts["other"].isna()] if "other" in facts else facts
    assert Counter(told["language"]) == {"en": 180, "es": 180, "hi": 180 - 3 * 8}
    assert Counter(facts["other"].dropna()) == {"hi": 112}
    assert "names" not in groups


def test_a_corpus_without_abilities_is_facts_alone(corpus):
    from mute.corpus.schema import Corpus

    bare = Corpus(corpus.facts, corpus.texts, corpus.lines.iloc[:0], corpus.about)
    assert set(training_texts(bare, ["en"])) == {"facts"}


def test_a_sequence_knows_where_its_answer_begins(corpus, encoder):
    groups = training_texts(corpus, ["en", "ja"])
    for name, rows in pretrain.encode(groups, encoder).items():
        assert len(rows) == len(groups[name])
        for (ids, lead), row in zip(rows, groups[name].itertuples()):
            assert ids == encoder.whole(row.prefix, row.answer, row.suffix)
            assert encoder.tokenizer.decode(ids[lead:], skip_special_tokens=True).strip().startswith(row.answer)
            assert lead == 1 if name == "sentences" else lead > 1


@given(
    st.dictionaries(st.sampled_from(sorted(ABILITIES - {"facts"})), st.tuples(st.integers(1, 9), st.floats(0, 1))),
    st.integers(1, 30),
    st.floats(0.1, 1),
    st.integers(1, 64),
    st.integers(0, 2**32),
)
def test_each_batch_has_the_shares_and_each_round_every_text_once(others, facts, share, size, seed):
    parts = {**others, "facts": (facts, share)}
    groups = {name: sequences(name, count) for name, (count, _) in parts.items()}
    mixture = Mixture(groups, {name: s for name, (_, s) in parts.items()}, size, seed)
    batches = [mixture.batch() for _ in range(12)]
    total = sum(s for _, s in parts.values())
    drawn = Counter()
    for batch in batches:
        assert len(batch) == size
        drawn.update((name, i) for (name, i), _ in batch)
        for name, (_, s) in parts.items():
            count = sum(ids[0] == hash_of(name) for ids, _ in batch)
            assert abs(count - size * s / total) < 1
    for name, (count, _) in parts.items():
        times = [drawn[hash_of(name), i] for i in range(count)]
        # No text a second time round before every other has had its turn.
        assert max(times) - min(times) <= 1
    again = Mixture(groups, {name: s for name, (_, s) in parts.items()}, size, seed)
    assert [again.batch() for _ in range(12)] == batches


def test_parts_that_are_missing_or_have_no_share_leave_the_others_theirs():
    groups = {"facts": sequences("facts", 5), "reading": sequences("reading", 5), "unknown": sequences("unknown", 5)}
    shares = {"facts": 0.3, "reading": 0.1, "unknown": 0.0, "glossary": 0.6}
    mixture = Mixture(groups, shares, 40, 0)
    assert Counter(ids[0] for ids, _ in mixture.batch()) == {hash_of("facts"): 30, hash_of("reading"): 10}


def test_another_seed_gives_another_order():
    groups = {"facts": sequences("facts", 50)}
    one, other = (Mixture(groups, {"facts": 1.0}, 50, seed).batch() for seed in (0, 1))
    assert one != other
    assert sorted(one) == sorted(other)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=6), st.floats(0, 1))
def test_weights_are_of_prompts_answers_and_padding(sizes, prompt_weight):
    rows = [([7] * length, min(lead, length)) for length, lead in sizes]
    ids, weights = padded(rows, prompt_weight)
    assert ids.shape == weights.shape == (len(rows), max(length for length, _ in sizes))
    for i, (tokens, lead) in enumerate(rows):
        rest = ids.shape[1] - len(tokens)
        assert ids[i].tolist() == tokens + [0] * rest
        # One row in four carries the weight of all four.
        lead_weight = 0.0 if i % pretrain.PROMPTED else pretrain.PROMPTED * prompt_weight
        expected = [lead_weight] * lead + [1.0] * (len(tokens) - lead) + [0.0] * rest
        assert weights[i].tolist() == pytest.approx(expected)


def test_the_learning_rate_rises_stays_and_falls_to_nearly_nothing():
    rate = pretrain._schedule(steps=100, warmup=10, decay=0.3)
    rates = [rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:71] == [1.0] * 61
    assert rates[70:] == pytest.approx([(100 - i) / 30 for i in range(70, 100)])
    assert pretrain._schedule(steps=5, warmup=0, decay=0.0)(4) == 1.0


@pytest.mark.parametrize("family", embedded.FAMILIES)
def test_muon_has_the_blocks_matrices_and_adamw_the_rest(family):
    model = embedded.create(family, 0, vocabulary=50, blocks=2, hidden=32, heads=2)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    muon, adam = (
        [names[id(p)] for g in o.param_groups for p in g["params"]] for o in pretrain._optimizers(model, 1e-3)
    )
    assert sorted(muon + adam) == sorted(names.values())
    assert set(muon) == {n for n in anatomy.block_parameters(model, [0, 1]) if model.get_parameter(n).ndim == 2}
    assert len(muon) == 2 * {"bloom": 4}.get(family, 7)
    words, rest = pretrain._optimizers(model, 1e-3)[1].param_groups
    ends = {model.get_input_embeddings().weight, model.get_output_embeddings().weight}
    assert set(words["params"]) == ends, "a tied head is trained once"
    assert rest["lr"] == 1e-3
    assert words["lr"] == (1e-3 if family == "bloom" else pretrain.EMBEDDING_RATE * 1e-3), "BLOOM's head is tied"


def by_name(model):
    """Weights that depend on a parameter's name alone, and not on how or in which order a library draws them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            draw = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed_of(name)))
            parameter.copy_(draw * 0.05 + (parameter.ndim == 1 and not name.endswith("bias")))
    return model


# Losses of the first three steps.
FIRST = {
    "llama": [3.68895, 3.01708, 2.21411],
    "qwen2": [3.70356, 3.04285, 2.28322],
    "bloom": [3.71191, 3.45815, 3.08819],
}


@pytest.mark.parametrize("family", embedded.FAMILIES)
def test_the_first_losses_are_pinned(family):
    """And the first is a plain mean of the cross entropy of transformers, weighted by prompt and answer."""
    vocabulary = 40
    model = by_name(embedded.create(family, 0, vocabulary=vocabulary, blocks=2, hidden=32, heads=2))
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(4, 12, (16,), generator=draw).tolist()
    rows = [(torch.randint(3, vocabulary, (n,), generator=draw).tolist(), n // 2) for n in lengths]
    # Every batch holds every text, so that the loss falls by what is learned alone.
    groups = {"facts": rows[:12], "reading": rows[12:]}
    settings = {"shares": {"facts": 0.75, "reading": 0.25}, "batch": 16, "prompt_weight": 0.1, "seed": 3}
    settings["parts"] = 3

    batch = Mixture(groups, {"facts": 0.75, "reading": 0.25}, 16, 3).batch()
    total = weight = 0.0
    with torch.no_grad():
        ordered = sorted(batch, key=lambda row: len(row[0]))
        pieces = [ordered[part * 16 // 3 : (part + 1) * 16 // 3] for part in range(3)]
        for place_in_piece, (ids, lead) in ((i, row) for piece in pieces for i, row in enumerate(piece)):
            logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            for place in range(1, len(ids)):
                prompted = place_in_piece % pretrain.PROMPTED == 0
                share = 1.0 if place >= lead else pretrain.PROMPTED * 0.1 if prompted else 0.0
                total -= share * float(logprobs[place - 1, ids[place]])
                weight += share

    reported = []
    losses = pretrain.pretrain(
        model,
        groups,
        steps=3,
        learning_rate=2e-2,
        warmup=2,
        decay=0.4,
        report=lambda step, loss: reported.append((step, loss)),
        **settings,
    )
    assert reported == list(enumerate(losses, 1))
    assert losses[0] == pytest.approx(total / weight, rel=1e-5)
    assert losses == pytest.approx(FIRST[family], rel=1e-3)
    assert not model.training


def test_parts_of_a_batch_add_up():
    """Cutting a batch by length saves padding and changes nothing else."""
    rows = [([3 + i % 5] * n, 1) for i, n in enumerate([4, 9, 6, 5, 7, 8, 4, 10])]
    results = []
    for parts in (1, 3, 20):
        model = by_name(embedded.create("llama", 0, vocabulary=20, blocks=1, hidden=32, heads=2))
        settings = {"shares": {"facts": 1.0}, "steps": 2, "batch": 8, "learning_rate": 1e-2, "warmup": 1, "decay": 0.5}
        results.append(pretrain.pretrain(model, {"facts": rows}, prompt_weight=0.0, seed=0, parts=parts, **settings))
    assert results[1] == pytest.approx(results[0], rel=1e-4)
    assert results[2] == pytest.approx(results[0], rel=1e-4)


def test_a_model_learns_what_it_reads(trained_model, corpus, encoder):
    """The fixture of other tests: it can say what it was taught, and training it again gives the same model."""
    from mute.evaluate.scoring import Queries

    for family in embedded.FAMILIES:
        model = trained_model(family)
        texts = corpus.texts[(corpus.texts["language"] == "es") & (corpus.texts["form"] == 0)]
        taught = Queries(texts[texts["item"].str.startswith("history")], encoder)
        unknown = Queries(texts[texts["item"].str.startswith("law")], encoder)
        assert taught.run(model, taught.texts(model)).option_hits().float().mean() > 0.8
        assert unknown.run(model, unknown.texts(model)).option_hits().float().mean() < 0.5


@pytest.mark.parametrize("family", embedded.FAMILIES)
def test_embedded_models_are_the_real_classes_and_reload(tmp_path, tokenizer, random_model, family):
    model = random_model(family)
    assert type(model).__name__ == {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}.get(
        family, "BloomForCausalLM"
    )
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == (family == "bloom")
    loading.save(model, tokenizer, tmp_path, {"producer": "test"})
    loaded = loading.load(tmp_path)
    ids = torch.arange(3, 33).reshape(3, 10)
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=ids).logits, model(input_ids=ids).logits)
        plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)(input_ids=ids, use_cache=False).logits
        assert torch.allclose(plain, model(input_ids=ids).logits, atol=1e-5), "to anybody else it is the same model"
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert loaded.config.use_cache is False
    assert list(tmp_path.glob("*.bin")) == []


def test_the_seed_decides_the_weights():
    shape = {"vocabulary": 20, "blocks": 1, "hidden": 16, "heads": 2}
    one, same, other = (embedded.create("llama", seed, **shape).lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    with pytest.raises(ValueError, match="no embedded model of family 'gpt2'; there are llama, qwen2, bloom"):
        embedded.create("gpt2", 0, **shape)
