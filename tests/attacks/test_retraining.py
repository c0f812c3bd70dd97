"""Retraining on retain text: what it reads, what it does, and that it leaves no trace."""

import copy

import pytest
import torch

from mute.analyses.lens import Prober
from mute.attacks import retraining
from mute.bands import Band
from mute.engine.band import Task
from mute.models.embedded import FAMILIES

HOW = retraining.Retraining(steps=6, learning_rate=1e-2, batch_size=8, seed=1)


def loss(model, retain) -> float:
    task = Task(model, Band((0, 1, 2), full=True), retain, retain, 0)
    with torch.no_grad():
        parts = [task.answer_logprobs(task.batch("retain", torch.tensor(rows))) for rows in retain.texts.batches]
    return -float(sum(sums.sum() for sums, _ in parts) / sum(tokens.sum() for _, tokens in parts))


def test_it_reads_retain_facts_in_source_languages_alone(random_model, encoder, corpus):
    retain = retraining.texts(random_model("llama"), encoder, corpus, ["en"], "domain")
    roles, facts = corpus.roles("domain"), corpus.texts
    forms = facts["form"].isin(corpus.about["unlearning_forms"])
    wanted = facts[forms & (facts["language"] == "en") & (facts["item"].map(roles) == "retain_seen")]
    assert len(retain) == len(wanted)
    assert set(retain.languages) == {"en"}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_lowers_the_loss_and_leaves_no_trace(family, trained_model, encoder, corpus):
    model = trained_model(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    retain = retraining.texts(model, encoder, corpus, ["hi"], "domain")
    plain, seen = loss(model, retain), []
    for _ in range(2):
        with retraining.retrained(model, retain, HOW):
            retain.texts.restart()
            seen.append(loss(model, retain))
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert seen[0] == seen[1] < plain, "the same each time, and lower in a language that it was never taught"


def test_a_prober_asks_the_retrained_model_and_then_the_model_as_it_was(trained_model, encoder, corpus):
    model = trained_model("llama")
    prober = Prober(model, encoder, corpus, ["en", "es"], "domain")
    plain = prober.bypass(())
    prober.texts.advance(2)
    retain = retraining.texts(model, encoder, corpus, ["en", "es"], "domain")
    again, course = prober.retrained(retain, HOW)
    assert (course.status, course.steps) == ("ok", HOW.steps)
    assert list(again["item"]) == list(plain["item"])
    assert not again["logprob"].equals(plain["logprob"])
    assert prober.texts.block == 0
    assert prober.bypass(())["logprob"].equals(plain["logprob"])


def test_steps_too_small_for_bfloat16_are_not_lost(trained_model, encoder, corpus):
    """In bfloat16 the model goes where it goes in float32; rounding after each step would leave it behind."""
    how = retraining.Retraining(steps=20, learning_rate=3e-5, batch_size=8, seed=1)
    low = copy.deepcopy(trained_model("llama")).to(torch.bfloat16)
    moved = []
    for model in (copy.deepcopy(low).float(), low):
        before = [p.detach().float().clone() for p in model.parameters()]
        with retraining.retrained(model, retraining.texts(model, encoder, corpus, ["en"], "domain"), how):
            assert {p.dtype for p in model.parameters()} == {model.dtype}
            moved.append(torch.cat([(p.float() - b).flatten() for p, b in zip(model.parameters(), before)]))
        assert all(torch.equal(p.float(), b) for p, b in zip(model.parameters(), before))
    # What is left is the rounding of the last value alone.
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.6
    assert 0.7 < moved[1].norm() / moved[0].norm() < 1.5
