"""An attack that is of the base is made of it once; and doses of retraining are the beginnings of each other."""

import copy
import itertools

import pytest
import torch

from families import EMBEDDED
from mute import attacks
from mute.attacks import retraining, shard
from mute.attacks.base import Victim
from mute.bands import Band
from mute.config.sections import Config
from mute.engine import steps
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import anatomy
from mute.plan.rules import Plans
from mute.study.cells import Study


@pytest.mark.parametrize(
    ("name", "band", "once"),
    [
        ("bypass", "2", True),
        ("bypass", "1-2", False),
        ("mix", "2", False),
        ("retraining", "2", False),
        ("quantize", "2", False),
    ],
)
def test_which_attacks_are_of_the_base(name, band, once):
    method = attacks.load(name)
    assert method.of_base(method.Settings(), band) is once
    assert not method.applies(method.Settings(), band, "removal")


@pytest.mark.parametrize("band", [Band((1,)), Band((0, 1))])
@pytest.mark.parametrize("family", EMBEDDED)
def test_a_model_without_its_edited_block_is_the_base_without_it(family, band, trained_model, encoder, corpus):
    """Whatever was done to the block, bit for bit; and to some of the blocks that are left out together."""
    base = trained_model(family)
    edited = copy.deepcopy(base)
    with torch.no_grad():
        for block in band.blocks:
            for parameter in anatomy.blocks(edited)[block].parameters():
                parameter.mul_(-3.0)
    method = attacks.load("bypass")
    prepared = shard.Prepared("bypass", method, method.Settings(), 1, "")
    tables, plain = [], []
    for model in (base, edited):
        asked, subject = Asked(model, encoder, corpus, ["en", "es"], "domain"), Subject(model)
        plain.append(subject.ask(asked.queries, asked.texts).tokens()["logprob"])
        tables.append(shard.attacked(asked, subject, band, prepared, ("en", "es"))[0])
    assert tables[0].equals(tables[1])
    assert not plain[0].equals(plain[1]), "the edit did something"


def test_each_dose_is_the_beginning_of_the_next(trained_model, encoder, corpus, monkeypatch):
    model, taken, take = trained_model("llama"), [], steps.Steps.take

    def watched(self, gradients):
        taken[-1].append([g.clone() for g in gradients if g is not None])
        return take(self, gradients)

    monkeypatch.setattr(steps.Steps, "take", watched)
    for dose in (1, 2, 5):
        taken.append([])
        victim = Victim(model, encoder, corpus, Band((1,)), ("en",), ("en", "es"), "domain", 7)
        settings = retraining.Settings(steps=dose, learning_rate=1e-2, batch_size=8)
        with retraining.Retraining(settings, victim).weights(model):
            pass
        assert len(taken[-1]) == dose
    for less, more in itertools.pairwise(taken):
        for one, other in zip(less, more):
            assert all(map(torch.equal, one, other))
    assert not torch.equal(taken[-1][0][0], taken[-1][1][0]), "steps differ"


def test_doses_of_one_attack_draw_alike_whatever_they_are_called():
    doses = {f"retrain_{n}": {"method": "retraining", "steps": n} for n in (1, 5)}
    grid = {"algorithms": ["rmu"], "attacks": [*doses, "mix"]}
    study = Study(Config.model_validate({"attacks": doses, "grids": {"blocks": grid}, "models": {"llama": {}}}))
    (name,) = study.shards
    made = Plans(study).attacks(type("Wildcards", (), {"shard": name})())["attacks"]
    assert made["retrain_1"]["seed"] == made["retrain_5"]["seed"] != made["mix"]["seed"]
    assert made["retrain_1"]["settings"]["steps"] == 1
