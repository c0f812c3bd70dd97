"""Canonicalisation: what it moves and moves back, what it takes a text's language for, and what comes of it."""

import copy

import pytest
import torch

import victims
from mute import unlearn as methods
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods.canonicalisation import Canonical, running
from mute.unlearn.run import unlearn

SOURCE = torch.tensor([True, True, False])
MEANS = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 4.0, 0]]).double()


def canonical(shifts):
    return Canonical({}, 1, 2, means=MEANS, source=SOURCE, shifts=shifts, begin=1)


def texts(*codes, tokens=6):
    """States of texts [B, T, D] around the means of their languages, and their tokens."""
    noise = 0.2 * torch.randn(len(codes), tokens, 4, generator=torch.Generator().manual_seed(0))
    return (MEANS[list(codes)][:, None] + noise).float(), torch.arange(len(codes) * tokens).view(len(codes), tokens)


def test_a_held_out_text_is_moved_to_the_sources_and_back_and_a_source_text_stays():
    shifts = (MEANS[SOURCE].mean(0) - MEANS) * ~SOURCE[:, None]
    guard, (hidden, ids) = canonical(shifts), texts(0, 1, 2)
    moved = guard.states(1, hidden, ids)
    assert torch.equal(moved[:2], hidden[:2])
    assert torch.equal(moved[2, 0], hidden[2, 0]), "what stands before every text is never moved"
    assert torch.allclose(moved[2, 1:], hidden[2, 1:] + shifts[2].float())
    assert torch.allclose(guard.states(2, moved, ids), hidden, atol=1e-6)
    assert guard.states(0, hidden, ids) is hidden


def test_the_language_is_that_of_the_text_so_far_and_of_nothing_that_follows():
    guard = canonical(MEANS)
    hidden, _ = texts(2, 2)
    hidden[1, 4:] = hidden[1, 4:] + torch.tensor([90.0, 0, 0, 0])
    one, other = guard.moves(hidden)
    assert torch.equal(one[:4], other[:4])
    assert not torch.equal(one[4:], other[4:])
    assert torch.allclose(running(hidden, 1)[0, 3], hidden[0, 1:4].double().mean(0))


def test_a_texts_own_mean_stands_for_its_languages_where_none_is_known():
    guard, (hidden, _) = canonical(None), texts(0, 2)
    source, own = guard.moves(hidden)
    assert not source.any()
    reached = hidden[1].double() + own
    assert torch.allclose(reached[1], MEANS[SOURCE].mean(0)), "a first token is its own mean"
    assert not own[0].any()


def test_a_band_with_nothing_behind_it_says_so(corpus, trained_model, encoder):
    own, method = bench(corpus, trained_model("llama"), encoder), methods.make("canonicalisation", {"steps": 1})
    for band in ("2", "full"):
        own.restart()
        found = unlearn(own, method, Band.named(band, 3), protocol="paper", seed=0)
        assert found.status == "not_applicable"
        assert "no block behind the band" in found.reason


@pytest.mark.slow
def test_an_edit_reaches_a_language_it_never_read_and_not_by_a_move_of_that_length_alone(corpus, tokenizer, encoder):
    """SimNPO in English alone, asked in Spanish; on three trainings. Controls: nothing is moved; a random direction."""
    known, found = victims.of(corpus, tokenizer, encoder), {}
    for seed in victims.SEEDS:
        own = bench(corpus, known.base(seed), encoder, sources=["en"], retain="all")
        asked = {code: Asked(own.model, encoder, corpus, [code], "domain").queries for code in ("en", "es")}
        for moved in ("language", "nothing", "random"):
            own.restart()
            method = methods.make("canonicalisation", {"of": "simnpo", "steps": 40, "batch_size": 16, "moved": moved})
            outcome = unlearn(own, method, victims.BAND, protocol="paper", seed=seed)
            subject = Subject(own.model, [method.treatment(outcome.tensors)])
            with subject.installed():
                for code, queries in asked.items():
                    hits = float(subject.ask(queries).option_hits().double().mean())
                    found.setdefault((moved, code), []).append(hits)
    means = {key: sum(values) / len(values) for key, values in found.items()}
    print({" ".join(key): round(value, 3) for key, value in means.items()})
    assert means["language", "es"] <= means["nothing", "es"] - 0.05
    assert means["language", "es"] <= means["random", "es"] - 0.05
    assert abs(means["language", "en"] - means["nothing", "en"]) <= 0.05, "a source text stays where it is"


def bench(corpus, model, encoder, languages=("en", "es"), sources=("en", "es"), retain="source"):
    about = {"languages": list(languages), "sources": list(sources), "forget_set": "domain", "retain": retain}
    return Workbench(copy.deepcopy(model), encoder, corpus, **about, matching=Matching(facts=8), seed=0, oracle=None)
