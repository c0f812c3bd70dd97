"""An attack of no strength is the identity bit for bit; and any attack leaves all as it was, if it is cut off, too."""

import copy
import random

import numpy as np
import pytest
import torch

import victims
from families import EMBEDDED, FAMILIES
from mute import attacks
from mute.attacks import shard
from mute.bands import Band
from mute.engine import cache, sections
from mute.engine.cache import PrefixCache
from mute.engine.steps import Steps
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import hooks
from mute.models.treatment import Treatment, does

BAND = Band((1,))
NOTHING = {
    "code_switch": {"rate": 0.0},
    "evasion": {"budget": 0},
    "finetuning": {"steps": 0},
    "interpolation": {"distance": 0.0},
    "key_words": {"times": 0},
    "language_prefix": {"language": "none"},
    "latent": {"length": 0.0},
    "mix": {"share": 1.0},
    "personas": {"prompt": "context", "characters": 0},
    "prefill": {"parts": 0},
    "pruning": {"share": 0.0},
    "quantize": {"bits": 16},
    "reintroduction": {"level": 0},
    "relearning": {"steps": 0},
    "respelled": {"share": 0.0},
    "retraining": {"steps": 0},
    "rwku": {"form": "in_context", "hints": 0},
    "search": {"budget": 0},
    "steering": {"length": 0.0},
}
# Those that have no strength. Where one of them would ask what is asked anyway, it cannot be tried, and says so.
PLAIN = {
    "cross_lingual": {"language": "en"},
    "forms": {"form": "cloze"},
    "romanised": {},
}
WITHOUT = {"bypass", "graph", *PLAIN}
PLAIN_TOO = [
    *PLAIN.items(),
    ("cross_lingual", {"language": "en", "part": "subject"}),
    ("rwku", {"form": "cross_lingual", "language": "en"}),
    ("code_switch", {"into": "en"}),
    ("code_switch", {"rate": 0.0, "subject": "switched", "into": "es"}),
    ("reintroduction", {"level": 3, "language": "en"}),
    ("key_words", {"found": "source"}),
    ("search", {}),
    ("evasion", {}),
]
# Little of each, so that it is cut off soon.
FEW = {"steps": 3, "batch_size": 4}
SHORT = dict.fromkeys(("finetuning", "interpolation", "relearning", "retraining", "steering"), FEW)
SHORT |= {"romanised": {}, "search": {"budget": 2}}


class Idle(Treatment):
    """It looks into blocks, so that questions are asked by rows, and does nothing there."""

    def states(self, block, hidden, ids):
        return hidden


class CutOffError(Exception):
    """What stops an attack in its middle."""


def standing(model):
    """All that an attack could leave on a model, and every random state."""
    tensors = {name: tensor.clone() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    asks = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    modes, own = [module.training for module in model.modules()], hooks.on([("model", model)])
    drawn = torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())
    return tensors, (asks, modes, own, drawn, torch.is_grad_enabled(), vars(model.config).copy())


def entries(model):
    """What the prefix cache of a model holds."""
    return {path.name: path.read_bytes() for path in cache.of(model).folder.iterdir()}


def is_as_before(model, before):
    tensors, others = standing(model)
    return victims.equal(tensors, before[0]) and others == before[1]


def run(asked, name, settings, sources=("en", "es")):
    kind = attacks.load(name)
    prepared = shard.Prepared(name, kind, kind.Settings(**settings), 1, "")
    return shard.attacked(asked, Subject(asked.model), BAND, prepared, sources)


@pytest.fixture(scope="module")
def asked_of(random_model, encoder, corpus, tmp_path_factory):
    """asked_of(family): a random model with a prefix cache, asked in English and Hindi."""
    made = {}

    def of(family):
        if family not in made:
            model = copy.deepcopy(random_model(family))
            cache.attach(model, PrefixCache(tmp_path_factory.mktemp(family), 10**8))
            made[family] = Asked(model, encoder, corpus, ["en", "hi"], "domain")
            made[family].texts.advance(BAND.blocks[0])
        return made[family]

    return of


def test_every_attack_that_has_a_strength_is_held_to_it():
    assert NOTHING.keys() | WITHOUT == set(attacks.names())
    assert not NOTHING.keys() & WITHOUT


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize(
    "family", [own if own in EMBEDDED else pytest.param(own, marks=pytest.mark.in_turn) for own in FAMILIES]
)
def test_no_strength_is_the_identity(asked_of, family, name):
    asked, kind = asked_of(family), attacks.load(name)
    before, kept = standing(asked.model), entries(asked.model)
    table, outcome = run(asked, name, NOTHING[name])
    assert outcome["status"] == "ok"
    assert is_as_before(asked.model, before)
    rows = asked.queries.rows
    tried = rows[rows["item"].isin(set(table["item"]))].reset_index(drop=True)
    # Of fewer questions the states are others, and the model's own.
    assert entries(asked.model) == kept or (kept.items() <= entries(asked.model).items() and len(tried) < len(rows))
    plain = Subject(asked.model, [Idle()] if does(kind, "states") else [])
    with plain.installed():
        expected = plain.ask(Queries(tried, asked.encoder)).tokens()
    # What was asked is told where it is not all that is asked anyway.
    assert table.drop(columns="asked", errors="ignore").equals(expected)


@pytest.mark.parametrize(("name", "settings"), PLAIN_TOO, ids=str)
def test_what_would_be_asked_anyway_is_not_applicable(asked_of, corpus, name, settings):
    """It is no attack, and nothing regained there would say that nothing came back."""
    whole = asked_of("llama")
    asked = Asked(whole.model, whole.encoder, corpus, ["en"], "domain")
    # Japanese writes no spaces; nobody has wordings of the other.
    sources = {"key_words": ("ja",), "search": ("xx",), "evasion": ("xx",)}
    table, outcome = run(asked, name, settings, sources.get(name, ("en",)))
    assert table.empty
    assert outcome["status"] == "not_applicable"
    assert len(outcome["reason"].split()) > 3, "in words"


def test_what_takes_no_step_costs_none():
    for name in ("finetuning", "interpolation", "relearning", "retraining"):
        kind = attacks.load(name)
        assert kind.cost(kind.Settings(steps=0)).steps == kind.cost(kind.Settings(steps=0)).batch == 0
        assert kind.cost(kind.Settings(steps=7)).steps == 7


@pytest.mark.parametrize("name", attacks.names())
@pytest.mark.parametrize("where", ["reading", "asking", "step"])
def test_an_attack_that_is_cut_off_leaves_all_as_it_was(asked_of, monkeypatch, name, where):
    """While it, or the attacked model, reads a first batch; when all of it is in place; after two steps of training."""
    asked, taken = asked_of("llama"), []
    if where == "step" and SHORT.get(name) is not FEW:
        pytest.skip("it takes no steps")
    asked.texts.restart()
    plain = Subject(asked.model).ask(asked.queries, asked.texts).tokens()

    def cut(self, *given, take=Steps.take):
        taken.append(1)
        take(self, *given)
        if len(taken) == 2:
            raise CutOffError

    def stop(*given, **more):
        raise CutOffError

    before, kept = standing(asked.model), entries(asked.model)
    with monkeypatch.context() as patch:
        if where == "step":
            patch.setattr(Steps, "take", cut)
        else:
            patch.setattr(*{"reading": (sections, "read_out"), "asking": (Subject, "ask")}[where], stop)
        with pytest.raises(CutOffError):
            run(asked, name, SHORT.get(name, {}))
    assert is_as_before(asked.model, before)
    assert kept.items() <= entries(asked.model).items()
    asked.texts.restart()
    assert Subject(asked.model).ask(asked.queries, asked.texts).tokens().equals(plain)
