"""An attack of no strength is the identity bit for bit, and leaves model and random state as they were."""

import copy

import pytest
import torch

import victims
from families import EMBEDDED
from mute import attacks
from mute.attacks import shard
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models.treatment import Treatment, does

BAND = Band((1,))
NOTHING = {
    "finetuning": {"steps": 0},
    "interpolation": {"distance": 0.0},
    "latent": {"length": 0.0},
    "pruning": {"share": 0.0},
    "quantize": {"bits": 16},
    "relearning": {"steps": 0},
    "retraining": {"steps": 0},
    "steering": {"length": 0.0},
}


class Idle(Treatment):
    """It looks into blocks, so that questions are asked by rows, and does nothing there."""

    def states(self, block, hidden, ids):
        return hidden


@pytest.fixture(scope="module", params=EMBEDDED)
def asked(request, random_model, encoder, corpus):
    return Asked(copy.deepcopy(random_model(request.param)), encoder, corpus, ["en", "hi"], "domain")


@pytest.mark.parametrize("name", NOTHING)
def test_no_strength_is_the_identity(asked, name):
    kind = attacks.load(name)
    prepared = shard.Prepared(name, kind, kind.Settings(**NOTHING[name]), 1, "")
    before, drawn = victims.everything(asked.model), torch.get_rng_state()
    table, outcome = shard.attacked(asked, Subject(asked.model), BAND, prepared, ("en", "es"))
    assert outcome["status"] == "ok"
    assert victims.equal(victims.everything(asked.model), before)
    assert torch.equal(torch.get_rng_state(), drawn)
    rows = asked.queries.rows
    queries = Queries(rows[rows["item"].isin(set(table["item"]))].reset_index(drop=True), asked.encoder)
    plain = Subject(asked.model, [Idle()] if does(kind, "states") else [])
    with plain.installed():
        expected = plain.ask(queries).tokens()
    assert table.equals(expected)


@pytest.mark.parametrize("name", ["finetuning", "interpolation", "relearning", "retraining"])
def test_what_takes_no_step_costs_none(name):
    kind = attacks.load(name)
    assert kind.cost(kind.Settings(steps=0)).steps == kind.cost(kind.Settings(steps=0)).batch == 0
    assert kind.cost(kind.Settings(steps=7)).steps == 7
