"""Retraining on retain text: what it reads, what it does, and that it leaves no trace."""

import copy

import pytest
import torch

from mute.attacks import retraining, shard
from mute.attacks.base import Victim
from mute.bands import Band
from mute.engine.band import Task, TextSet
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models.embedded import FAMILIES

HOW = {"steps": 6, "learning_rate": 1e-2, "batch_size": 8}
BAND = Band((1,))


def attack(model, encoder, corpus, sources, **how) -> retraining.Retraining:
    victim = Victim(model, encoder, corpus, BAND, tuple(sources), ("en", "es"), "domain", 1)
    return retraining.Retraining(retraining.Settings(**{**HOW, **how}), victim)


def loss(model, retain) -> float:
    task = Task(model, Band((0, 1, 2), full=True), retain, retain, 0)
    with torch.no_grad():
        parts = [task.answer_logprobs(task.batch("retain", torch.tensor(rows))) for rows in retain.texts.batches]
    return -float(sum(sums.sum() for sums, _ in parts) / sum(tokens.sum() for _, tokens in parts))


def test_it_reads_retain_facts_in_source_languages_alone(random_model, encoder, corpus):
    retain = TextSet(random_model("llama"), retraining.retain_rows(corpus, ["en"], "domain"), encoder)
    roles, facts = corpus.roles("domain"), corpus.texts
    forms = facts["form"].isin(corpus.about["unlearning_forms"])
    wanted = facts[forms & (facts["language"] == "en") & (facts["item"].map(roles) == "retain_seen")]
    assert len(retain) == len(wanted)
    assert set(retain.languages) == {"en"}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_lowers_the_loss_and_leaves_no_trace(family, trained_model, encoder, corpus):
    model = trained_model(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    retain = TextSet(model, retraining.retain_rows(corpus, ["hi"], "domain"), encoder)
    plain, seen = loss(model, retain), []
    for _ in range(2):
        with attack(model, encoder, corpus, ["hi"]).weights(model):
            retain.texts.restart()
            seen.append(loss(model, retain))
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert seen[0] == seen[1] < plain, "the same each time, and lower in a language that it was never taught"


def test_the_retrained_model_is_asked_and_then_the_model_as_it_was(trained_model, encoder, corpus):
    model = trained_model("llama")
    asked, subject = Asked(model, encoder, corpus, ["en", "es"], "domain"), Subject(model)
    plain = subject.ask(asked.queries, asked.texts).tokens()
    asked.texts.advance(2)
    prepared = shard.Prepared("again", retraining.Retraining, retraining.Settings(**HOW), 1, "")
    again, outcome = shard.attacked(asked, subject, BAND, prepared, ("en", "es"))
    assert (outcome["status"], outcome["steps"]) == ("ok", HOW["steps"])
    assert list(again["item"]) == list(plain["item"])
    assert not again["logprob"].equals(plain["logprob"])
    assert asked.texts.block == 2, "the states of the model as it is are none of the retrained model's"
    asked.texts.restart()
    assert subject.ask(asked.queries, asked.texts).tokens()["logprob"].equals(plain["logprob"])


def test_steps_too_small_for_bfloat16_are_not_lost(trained_model, encoder, corpus):
    """In bfloat16 the model goes where it goes in float32; rounding after each step would leave it behind."""
    low = copy.deepcopy(trained_model("llama")).to(torch.bfloat16)
    moved = []
    for model in (copy.deepcopy(low).float(), low):
        before = [p.detach().float().clone() for p in model.parameters()]
        with attack(model, encoder, corpus, ["en"], steps=20, learning_rate=3e-5).weights(model):
            assert {p.dtype for p in model.parameters()} == {model.dtype}
            moved.append(torch.cat([(p.float() - b).flatten() for p, b in zip(model.parameters(), before)]))
        assert all(torch.equal(p.float(), b) for p, b in zip(model.parameters(), before))
    # What is left is the rounding of the last value alone.
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.6
    assert 0.7 < moved[1].norm() / moved[0].norm() < 1.5
