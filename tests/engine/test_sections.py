"""Parts of a model against the whole model of transformers, for every family: prefix, band, skipped blocks, batches."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from families import FAMILIES
from mute.analyses.capture import pooled
from mute.bands import Band
from mute.engine import sections
from mute.engine.band import Task, TextSet
from mute.models import anatomy, embedded
from mute.unlearn.losses import nll

DEPTH = 3


@pytest.fixture(params=FAMILIES)
def model(request, random_model):
    return random_model(request.param)


@pytest.fixture
def ids(model):
    """Token ids [4, 9], no padding."""
    return torch.randint(3, model.config.vocab_size, (4, 9), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def texts(corpus):
    """Twelve texts of several languages and lengths."""
    return corpus.texts.iloc[:: len(corpus.texts) // 12].reset_index(drop=True)


@torch.no_grad()
def hugging_face(model, ids, **options):
    return model(input_ids=ids, output_hidden_states=True, **options)


def skipping(model, blocks):
    """A copy of the model in which `blocks` give back what they are given."""
    patched = copy.deepcopy(model)

    def identity(module, args, kwargs, output):
        given_ = args[0] if args else kwargs["hidden_states"]
        return (given_, *output[1:]) if isinstance(output, tuple) else given_

    for block in blocks:
        anatomy.blocks(patched)[block].register_forward_hook(identity, with_kwargs=True)
    return patched


def test_every_prefix_leads_to_the_whole_models_output(model, ids):
    """Bit for bit, from the input of every block: states, logits, and the last state, which transformers normalises."""
    whole = hugging_face(model, ids)
    states = [*whole.hidden_states[:DEPTH]]
    assert len(whole.hidden_states) == DEPTH + 1 == sections.depth(model) + 1
    with torch.no_grad():
        assert torch.equal(sections.embed(model, ids), states[0])
        for start in range(DEPTH):
            for stop in range(start, DEPTH):
                assert torch.equal(sections.run(model, states[start], start, stop), states[stop])
            last = sections.run(model, states[start], start, DEPTH)
            assert torch.equal(anatomy.final_norm(model)(last), whole.hidden_states[-1])
            assert not torch.allclose(last, whole.hidden_states[-1], atol=0.1)
            assert torch.equal(sections.logits(model, states[start], start), whole.logits)
            assert torch.equal(sections.read_out(model, last), whole.logits)


def test_blooms_embedding_norm_is_applied_once(random_model):
    model = random_model("bloom")
    ids = torch.arange(3, 15).reshape(2, 6)
    with torch.no_grad():
        plain = model.transformer.word_embeddings(ids)
        normed = model.transformer.word_embeddings_layernorm(plain)
        assert torch.equal(sections.embed(model, ids), normed)
        again = sections.run(model, model.transformer.word_embeddings_layernorm(normed), 0, DEPTH)
        assert not torch.allclose(sections.run(model, normed, 0, DEPTH), again, atol=1e-3)


def test_qwen2s_kind_of_attention_goes_with_the_block():
    """transformers looks it up by a block's place among those that run: sliding windows show it."""
    from transformers import AutoModelForCausalLM

    config = embedded.config("qwen2", vocabulary=40, blocks=3, hidden=32, heads=2)
    config.use_sliding_window, config.sliding_window = True, 2
    config.layer_types = ["full_attention", "sliding_attention", "full_attention"]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    ids = torch.arange(3, 33).reshape(2, 15)
    states = hugging_face(model, ids).hidden_states
    with torch.no_grad():
        for start, stop in ((0, 1), (1, 2), (0, 2)):
            assert torch.equal(sections.run(model, states[start], start, stop), states[stop])
        skipped = hugging_face(skipping(model, (0,)), ids).logits
        assert torch.equal(sections.logits(model, states[0], 0, skip=(0,)), skipped)
    assert config.layer_types == ["full_attention", "sliding_attention", "full_attention"]


@pytest.mark.parametrize("blocks", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_a_skipped_block_is_the_identity(model, ids, blocks):
    expected = hugging_face(skipping(model, blocks), ids).logits
    with torch.no_grad():
        assert torch.equal(sections.logits(model, sections.embed(model, ids), 0, skip=blocks), expected)
        whole = hugging_face(model, ids)
        assert not torch.allclose(whole.logits, expected, atol=1e-3)
        # From a prefix too; a block below it has run already.
        start = max(blocks)
        expected = hugging_face(skipping(model, (start,)), ids).logits
        assert torch.equal(sections.logits(model, whole.hidden_states[start], start, skip=blocks), expected)


def test_running_a_part_leaves_the_model_as_it_was(model, ids):
    before = hugging_face(model, ids).logits
    names = [name for name, _ in model.named_modules()]
    with torch.no_grad():
        sections.run(model, sections.embed(model, ids), 1, 2, skip=(1,))
        sections.run(model, sections.embed(model, ids), 0, 1)
    assert [name for name, _ in model.named_modules()] == names
    assert model.config.num_hidden_layers == len(anatomy.blocks(model)) == DEPTH
    assert torch.equal(hugging_face(model, ids).logits, before)


@pytest.mark.parametrize("band", [(0,), (1,), (2,), (0, 1), (0, 2), (0, 1, 2)])
def test_gradients_of_a_band_are_the_whole_models(model, ids, band):
    """Loss and gradients bit for bit, with the prefix of the band computed once and no graph below it."""
    names = anatomy.band_parameters(model, Band(band))
    parameters = dict(model.named_parameters())
    chosen = [parameters[name] for name in names]
    start = min(band)
    prefix = hugging_face(model, ids).hidden_states[start]
    for parameter in chosen:
        parameter.requires_grad_(True)
    try:
        losses = []
        for logits in (model(input_ids=ids).logits, sections.logits(model, prefix, start)):
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
            losses.append((loss, torch.autograd.grad(loss, chosen)))
    finally:
        model.requires_grad_(False)
    (whole, expected), (part, gradients) = losses
    assert torch.equal(part, whole)
    assert all(torch.equal(one, other) for one, other in zip(gradients, expected))
    assert all(bool(gradient.any()) for gradient in gradients[:1])


def test_answers_are_scored_as_transformers_scores_labels(model, texts, encoder):
    """The head reads answer tokens only; the result is `outputs.loss` with all else masked by -100, padding too."""
    side = TextSet(model, texts, encoder)
    rows = torch.tensor([0, 3, 5, 7])
    width = int(side.texts.lengths[rows].max())
    assert len(set(side.texts.lengths[rows].tolist())) > 1
    ids, labels = torch.zeros(4, width, dtype=torch.long), torch.full((4, width), -100)
    mask = torch.zeros(4, width, dtype=torch.long)
    for i, row in enumerate(texts.iloc[rows.tolist()].itertuples()):
        prompt, answer = encoder.prompt(row.prefix), encoder.answer(row.prefix, row.answer)
        whole = encoder.whole(row.prefix, row.answer, row.suffix)
        ids[i, : len(whole)] = torch.tensor(whole)
        mask[i, : len(whole)] = 1
        labels[i, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    for band in (Band((0,)), Band((2,)), Band((0, 1, 2), full=True)):
        side.texts.restart()
        side.texts.advance(band.start)
        batch = side.batch(rows)
        task = Task(model, band, side, side, seed=0)
        with torch.no_grad():
            logprob, tokens = task.answer_logprobs(batch)
            for attention in ({}, {"attention_mask": mask}):
                whole = model(input_ids=ids, labels=labels, **attention)
                assert nll(logprob, tokens).item() == pytest.approx(whole.loss.item(), abs=2e-5)
        assert tokens.tolist() == (labels != -100).sum(1).tolist()
        assert torch.equal(batch.answer, labels != -100)
        assert torch.equal(torch.where(mask.bool(), batch.ids, 0), ids)
        # What a loss on states may read: no padding, and not the beginning of the sequence.
        assert torch.equal(batch.real, mask.bool() & (torch.arange(width) > 0))


def test_a_bands_output_runs_no_block_above_it(model, texts, encoder):
    side = TextSet(model, texts, encoder)
    band = Band((0, 1))
    task = Task(model, band, side, side, seed=0)
    batch = side.batch(torch.tensor([1, 2, 9]))
    called = []
    hooks = [
        module.register_forward_hook(lambda *_, i=i: called.append(i)) for i, module in enumerate(anatomy.blocks(model))
    ]
    try:
        with torch.no_grad():
            output = task.output(batch)
        assert set(called) == {0, 1}
        called.clear()
        with torch.no_grad():
            task.freeze_outputs("retain")
            frozen = task.frozen_output(batch)
        assert set(called) == {0, 1}
    finally:
        for hook in hooks:
            hook.remove()
    assert torch.allclose(frozen[batch.real], output[batch.real], atol=1e-5)
    with pytest.raises(RuntimeError, match="freeze_outputs"):
        task.frozen_output(TextSet(model, texts, encoder).batch(torch.tensor([1])))


def test_texts_stand_where_the_whole_model_would_have_them(model, texts, encoder):
    sequences = [encoder.whole(*row) for row in texts[["prefix", "answer", "suffix"]].itertuples(index=False)]
    kept = sections.Texts(model, sequences, tokens_per_batch=64)
    for block in range(DEPTH):
        kept.advance(block)
        assert kept.block == block
        for row, sequence in enumerate(sequences):
            expected = hugging_face(model, torch.tensor([sequence])).hidden_states[block][0]
            place = int(kept.offsets[row])
            assert torch.allclose(kept.states[place : place + len(sequence)], expected, atol=2e-5)
    assert kept.states.shape[0] == sum(map(len, sequences))
    with pytest.raises(ValueError, match="cannot go back"):
        kept.advance(1)
    kept.restart()
    fresh = sections.Texts(model, sequences, tokens_per_batch=64)
    assert kept.block == 0
    assert torch.equal(kept.states, fresh.states)
    with pytest.raises(ValueError, match="no texts"):
        sections.Texts(model, [])


def test_steps_upwards_or_all_at_once_are_the_same(model, texts, encoder):
    sequences = [encoder.prompt(prefix) for prefix in texts["prefix"]]
    step, jump = sections.Texts(model, sequences), sections.Texts(model, sequences)
    step.advance(1)
    step.advance(2)
    jump.advance(2)
    assert torch.equal(step.states, jump.states)


def test_gathered_rows_are_padded_on_the_right(random_model):
    model = random_model("llama")
    sequences = [[5], [6, 7, 8], [9, 10], [11, 12, 13, 14]]
    kept = sections.Texts(model, sequences)
    for rows in ([0], [3, 0], [2, 1, 2], [0, 1, 2, 3]):
        states, real = kept.gather(rows)
        ids, _ = kept.gather(torch.tensor(rows), kept.ids)
        assert states.shape == (len(rows), max(len(sequences[row]) for row in rows), 32)
        for i, row in enumerate(rows):
            length = len(sequences[row])
            assert real[i].tolist() == [True] * length + [False] * (real.shape[1] - length)
            assert ids[i, :length].tolist() == sequences[row]
            assert torch.equal(states[i, :length], sections.embed(model, torch.tensor([sequences[row]]))[0])


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(1, 64))
def test_exact_batches_hold_every_row_once(lengths, tokens):
    sequences = [[0] * length for length in lengths]
    batches = sections.exact_batches(sequences, tokens)
    assert sorted(row for rows in batches for row in rows) == list(range(len(sequences)))
    for rows in batches:
        (length,) = {lengths[row] for row in rows}
        assert 1 <= len(rows) <= max(2, tokens // length)
    # No more batches than the limit asks for.
    for length in set(lengths):
        own = [rows for rows in batches if lengths[rows[0]] == length]
        assert len(own) == -(-lengths.count(length) // max(2, tokens // length))


def test_bands_are_named_by_their_blocks():
    assert Band.named("1", 3) == Band((1,))
    assert Band.named("2-0", 3) == Band((0, 2))
    assert Band.named("all", 3) == Band((0, 1, 2))
    assert Band.named("full", 3) == Band((0, 1, 2), full=True)
    assert (Band((1, 2)).start, Band((1, 2)).stop) == (1, 3)
    with pytest.raises(ValueError, match=r"band 1-3 is outside a model of 3 blocks \(0 to 2\)"):
        Band.named("1-3", 3)


def test_pooled_states_read_the_last_token_and_means(model, texts, encoder):
    sequences = [encoder.prompt(prefix) for prefix in texts["prefix"]] + [[1]]
    kept = sections.Texts(model, sequences)
    kept.advance(1)
    last, mean, later = pooled(kept)
    for row, sequence in enumerate(sequences):
        states = hugging_face(model, torch.tensor([sequence])).hidden_states[1][0].double()
        assert torch.allclose(last[row], states[-1], atol=2e-5)
        assert torch.allclose(mean[row], states.mean(0), atol=2e-5)
        # A prompt of one token has no others: its mean without the first is zero, not a division by zero.
        rest = states[1:].mean(0) if len(sequence) > 1 else torch.zeros_like(states[0])
        assert torch.allclose(later[row], rest, atol=2e-5)
