"""What every registered attack keeps to, on every embedded family; an attack's new file joins here. Then quantization.

tests/golden/quantize.json says by which formula its values were made.
"""

import copy
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from families import EMBEDDED
from mute import attacks
from mute.attacks import base, shard
from mute.attacks.quantize import Quantize, rounded
from mute.attacks.search import NOTHING
from mute.bands import Band
from mute.engine import cache
from mute.engine.cache import PrefixCache
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import anatomy, hooks, patches
from mute.models.treatment import does

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/quantize.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
BAND = Band((1,))
# Little of an attack, for those that have a setting that says how much: (settings, most change of a log-probability).
WEAK = {
    "finetuning": ({"learning_rate": 1e-12}, 1e-4),
    "interpolation": ({"distance": 1e-6}, 1e-4),
    "latent": ({"length": 1e-6}, 1e-3),
    "mix": ({"share": 1 - 1e-6}, 1e-3),
    "pruning": ({"share": 1e-3}, 0.1),
    "quantize": ({"bits": 8}, 0.3),
    "relearning": ({"learning_rate": 1e-12}, 1e-4),
    "retraining": ({"learning_rate": 1e-12}, 1e-4),
    "steering": ({"length": 1e-6}, 1e-3),
}
FEW = {"steps": 3, "batch_size": 4}
QUICK = dict.fromkeys(("finetuning", "interpolation", "relearning", "retraining", "steering"), FEW)
QUICK["search"] = {"budget": 2}
# Those that are tried on guards alone.
OF_GUARDS = {"evasion"}
# Languages of attacks that are not tried in English and Spanish.
SPOKEN = {"romanised": ["en", "hi"]}


def prepared(name, **settings):
    method = attacks.load(name)
    return shard.Prepared(name, method, method.Settings(**{**QUICK.get(name, {}), **settings}), 1, "")


def run(asked, name, **settings):
    return shard.attacked(asked, Subject(asked.model), BAND, prepared(name, **settings), ("en", "es"))


@pytest.fixture(params=EMBEDDED)
def asked(request, trained_model, encoder, corpus):
    model = copy.deepcopy(trained_model(request.param))
    return Asked(model, encoder, corpus, ["en", "es"], "domain")


@pytest.mark.parametrize("name", attacks.names())
def test_every_attack_says_what_it_is_and_refuses_what_it_does_not_know(name):
    method = attacks.load(name)
    assert method.name == name == method.__module__.rsplit(".", 1)[1]
    assert method.paper
    assert method.metric
    assert method.access in get_args(base.Access)
    assert issubclass(method.Settings, base.Settings)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        method.Settings(strngth=1)
    cost = method.cost(method.Settings())
    assert cost.asks >= 0
    assert (cost.steps > 0) == (cost.batch > 0)
    assert set(method.depends) <= set(shard.KEYS)


def test_the_page_of_threats_has_every_attack_beside_what_it_must_be_able_to_do():
    page = (Path(__file__).parents[2] / "docs/threats.md").read_text(encoding="utf-8")
    rows = {access: [row for row in page.splitlines() if f"(`{access}`)" in row] for access in get_args(base.Access)}
    for name in attacks.names():
        (row,) = rows[attacks.load(name).access]
        assert f"`{name}`" in row, name
        assert page.count(f"`{name}`") > 1, f"{name} is named, and nothing is said of it"


@pytest.mark.parametrize("intent", ["removal", "suppression", "guard"])
@pytest.mark.parametrize("band", ["1", "0-1", "all", "full"])
@pytest.mark.parametrize("name", attacks.names())
def test_every_attack_says_why_it_cannot_be_tried(name, band, intent):
    method = attacks.load(name)
    reason = method.applies(method.Settings(), band, intent)
    assert isinstance(reason, str)
    if reason:
        assert len(reason.split()) > 2, "a reason in words"
    if band == "1" and intent == ("guard" if name in OF_GUARDS else "removal"):
        assert not reason, "an edit of one block is what every attack can be tried on, but those of guards"


@pytest.mark.parametrize("name", attacks.names())
def test_every_attack_gives_the_same_twice_and_leaves_the_model_as_it_was(asked, name, tmp_path):
    model = asked.model
    cache.attach(model, PrefixCache(tmp_path, 10**8))
    asked = Asked(model, asked.encoder, asked.corpus, SPOKEN.get(name, ["en", "es"]), "domain")
    asked.texts.advance(1)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    entries = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    standing, plain = hooks.on([("model", model)]), Subject(model).ask(asked.queries, asked.texts).tokens()
    one, outcome = run(asked, name)
    two, again = run(asked, name)
    assert outcome == again
    assert outcome["status"] == "ok"
    assert one.equals(two)
    assert set(one.columns) - {"asked"} == {*plain.columns, *(["guess"] if name == "prefill" else [])}
    if "asked" in one:
        # The whole text, once for each question.
        assert one["asked"].notna().equals(one["position"] == 0)
    # Of the questions that it is tried on, in their order; an answer may be given in other words.
    facts = [list(dict.fromkeys(zip(table["item"], table["language"]))) for table in (one, plain)]
    assert facts[0] == [fact for fact in facts[1] if fact in set(facts[0])]
    assert facts[0] == facts[1] or does_ask(name)
    tried = plain[pd.MultiIndex.from_frame(plain[["item", "language"]]).isin(facts[0])].reset_index(drop=True)
    assert one["logprob"].notna().all()
    # A search may find that nothing brings back more than the plain question, and says so.
    assert one["logprob"].equals(tried["logprob"]) == (outcome.get("chosen") == NOTHING), "it does something"
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert hooks.on([("model", model)]) == standing
    assert Subject(model).ask(asked.queries, asked.texts).tokens().equals(plain)
    # Attacked states are none of the model's: what was kept before is as it was, and nothing else came. Of other
    # questions the states are the model's own.
    now = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert entries.items() <= now.items()
    assert now == entries or does(attacks.load(name), "questions")


def does_ask(name) -> bool:
    """Whether an attack says that it is not tried on some questions or in some languages."""
    method = attacks.load(name)
    return method.asks is not base.Attack.asks or method.lacks.__func__ is not base.Attack.lacks.__func__


@pytest.mark.parametrize("name", WEAK)
def test_an_attack_of_no_strength_is_the_identity(asked, name):
    settings, most = WEAK[name]
    every = Subject(asked.model).ask(asked.queries).tokens()
    weak, full = (run(asked, name, **own)[0] for own in (settings, {}))
    plain = every[every["item"].isin(set(weak["item"]))]["logprob"].reset_index(drop=True)
    weak, full = weak["logprob"], full["logprob"]
    assert abs(weak - plain).max() < most
    assert abs(weak - plain).max() < abs(full - plain).max() / 2


def test_an_attack_after_which_the_model_gives_no_number_has_diverged(asked, monkeypatch):
    def weights(self, model):
        own = patches.take(model, anatomy.block_parameters(model, [1]))
        return patches.applied(model, {name: tensor * float("nan") for name, tensor in own.items()})

    monkeypatch.setattr(Quantize, "weights", weights)
    table, outcome = run(asked, "quantize")
    assert outcome["status"] == "diverged"
    assert table["logprob"].isna().all()
    assert not table["hit"].any()


def matrix() -> torch.Tensor:
    i, j = torch.arange(3, dtype=torch.float64)[:, None], torch.arange(8, dtype=torch.float64)
    return torch.sin(1.3 * i + 0.77 * j) + 0.2 * j


@pytest.mark.parametrize("case", ENTRIES["rtn fake quantization"]["value"])
def test_clamped_levels_are_the_golden_ones(case):
    wanted = ENTRIES["rtn fake quantization"]["value"][case]
    made = rounded(matrix(), int(case.split()[0]), 4 if case.endswith("4") else 0, "clamped")
    assert np.isclose(made[0], wanted["row 0"], rtol=1e-9, atol=1e-12).all()
    error = made - matrix()
    assert float(error.abs().max()) == pytest.approx(wanted["max error"], rel=1e-9)
    assert float(error.square().mean()) == pytest.approx(wanted["mean squared error"], rel=1e-9)


@pytest.mark.parametrize("case", ENTRIES["rtn symmetric, no clamp"]["value"])
def test_symmetric_levels_are_the_golden_ones(case):
    wanted = ENTRIES["rtn symmetric, no clamp"]["value"][case]
    bits = int(case.split()[0])
    made = rounded(matrix(), bits)
    assert np.isclose(made[0], wanted["row 0"], rtol=1e-9, atol=1e-12).all()
    error = (made - matrix()).abs()
    assert float(error.max()) == pytest.approx(wanted["max error"], rel=1e-9)
    step = matrix().abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    assert (error <= step / 2 + 1e-12).all()
    assert torch.allclose(rounded(made, bits), made, atol=1e-12), "once rounded, it stays"


def test_a_change_of_less_than_half_a_step_is_undone():
    before = torch.tensor([[1.0, 0.30, -0.62]], dtype=torch.float64)
    after = before + torch.tensor([[0.0, 0.02, -0.01]], dtype=torch.float64)
    levels = ENTRIES["rtn hides a small update"]["value"]["levels"]
    assert torch.allclose(rounded(before, 4) * 7, torch.tensor(levels, dtype=torch.float64))
    assert torch.equal(rounded(before, 4), rounded(after, 4))


@pytest.mark.parametrize("convention", ["symmetric", "clamped"])
@pytest.mark.parametrize("group", [0, 3, 64])
def test_error_falls_with_bits_and_zeros_stay(group, convention):
    weight = torch.cat([matrix(), torch.zeros(1, 8, dtype=torch.float64)])
    made = {bits: rounded(weight, bits, group, convention) for bits in range(2, 9)}
    errors = [float((own - weight).square().sum()) for own in made.values()]
    assert errors == sorted(errors, reverse=True)
    assert all(own.shape == weight.shape and not own[-1].any() for own in made.values())


def test_every_matrix_of_the_blocks_is_rounded_and_nothing_else(asked):
    model = asked.model
    before = {name: p.clone() for name, p in model.named_parameters()}
    attack = Quantize(Quantize.Settings(bits=2, group=0), None)  # ty: ignore[invalid-argument-type]
    with attack.weights(model):
        changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        for name in changed:
            assert torch.equal(model.get_parameter(name), rounded(before[name], 2))
    blocks = {n for n in before if ".layers." in n or ".h." in n}
    assert changed == {n for n in blocks if before[n].ndim == 2}
