"""RMU and its adaptive form in units of what a band adds: closed forms, the unit of a still feature, and their use."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from families import EMBEDDED, OTHERS
from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine.band import STILL, Task, TextSet
from mute.engine.reference import WholeModel
from mute.engine.sections import Texts
from mute.engine.steps import Steps
from mute.models import anatomy
from mute.unlearn.losses import steering_direction

GEMMA = Path(__file__).parents[2] / "config" / "gemma.yaml"
BAND, SEED, ROWS = Band((1,)), 3, torch.arange(8)


@pytest.fixture
def task_of(random_model, corpus, encoder):
    """task_of(family, change, path): a task at block 1 of a model to which `change` has been made."""

    def make(family, change=lambda model: None, path=Task):
        model = copy.deepcopy(random_model(family))
        change(model)
        own = corpus.texts[corpus.texts["language"].isin(["en", "es"]) & (corpus.texts["form"] != 2)]
        sides = [TextSet(model, own[own["item"].str.startswith(d)], encoder) for d in ("chemistry", "history")]
        for side in sides:
            side.texts.advance(BAND.start)
        return path(model, BAND, *sides, SEED)

    return make


def prepared(task, name, **settings):
    method = algorithms.load(name)
    made = method(method.Settings(**{"retain_weight": 2.0, **settings}))
    made.prepare(task)
    return made


def rmu(task, **settings):
    return prepared(task, "rmu", **{"steering": 3.0, **settings})


def adaptive(task, **settings):
    return prepared(task, "adaptive_rmu", **{"scale": 3.0, **settings})


def batches(task):
    return {side: task.batch(side, ROWS) for side in ("forget", "retain")}


def real(side: TextSet) -> torch.Tensor:
    """Frozen outputs [N, D] of all tokens but the first of each text."""
    return torch.cat([states[1:] for states in side.frozen.split(side.lengths.tolist())])


def added(task, name: str) -> torch.Tensor:
    """What the band adds to the states of a side's texts [N, D], at all tokens but the first of each."""
    own, found = task.side(name), []
    for ids in own.texts.sequences:
        states = task.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        found.append((states[BAND.stop] - states[BAND.start])[0, 1:].detach().double())
    return torch.cat(found)


def move(model) -> None:
    """Change the band, so that nothing stands where it stood."""
    for parameter in anatomy.blocks(model)[1].parameters():
        parameter.mul_(1.1)


@pytest.mark.parametrize("family", [*EMBEDDED, *OTHERS])
@pytest.mark.parametrize("path", [Task, WholeModel])
def test_the_loss_is_that_of_the_docstring(task_of, family, path):
    """MSE(r, c sqrt(D) u) + a MSE(r', 0), r = (h - h before) / s: s of what the band adds to retain text before."""
    cached, task = task_of(family), task_of(family, path=path)
    s, size = added(cached, "retain").square().mean(0).sqrt(), cached.model.config.hidden_size
    target = 3 * size**0.5 * steering_direction(size, SEED).double()
    algorithm = rmu(task, units="added")
    assert torch.allclose(algorithm.unit.double(), s, rtol=1e-4)
    own = batches(task)
    # Before anything has moved, the way to the target is all of the loss.
    assert float(algorithm.loss(task, own)) == pytest.approx(float(target.square().mean()), rel=1e-4)
    move(task.model)
    (forget, wanted), (retain, _) = (
        ((task.output(own[side]) - task.frozen_output(own[side])).detach().double() / s, own[side].real)
        for side in ("forget", "retain")
    )
    push = (forget - target)[wanted].square().mean()
    keep = retain[own["retain"].real].square().mean()
    assert keep > 0
    expected = {"forget": push, "retain": 2 * keep}
    for name, term in algorithm.terms(task, own).items():
        assert float(term) == pytest.approx(float(expected[name]), rel=1e-4)
    assert float(algorithm.loss(task, own)) == pytest.approx(float(sum(expected.values())), rel=1e-4)


@pytest.mark.parametrize("path", [Task, WholeModel])
def test_the_adaptive_target_is_as_long_as_what_is_added_in_each_language(task_of, path):
    """MSE(r, b |added| u) + a MSE(r, 0), |added| the mean norm in a language of what forget text gets, over s."""
    cached, task = task_of("gemma3_text"), task_of("gemma3_text", path=path)
    s = added(cached, "retain").square().mean(0).sqrt()
    direction = steering_direction(len(s), SEED).double()
    made = adaptive(task, units="added")
    lengths = {"en": [], "es": []}
    side = cached.forget
    for row, text in enumerate(added(cached, "forget").split((side.lengths - 1).tolist())):
        lengths[side.languages[row]] += (text / s).norm(dim=-1).tolist()
    own = batches(task)
    move(task.model)
    (forget, wanted), (retain, kept) = (
        ((task.output(own[side]) - task.frozen_output(own[side])).detach().double() / s, own[side].real)
        for side in ("forget", "retain")
    )
    targets = [3 * np.mean(lengths[own["forget"].side.languages[row]]) for row in ROWS.tolist()]
    push = (forget - torch.tensor(targets)[:, None, None] * direction)[wanted].square().mean()
    unit = len(s) / np.mean(lengths["en"] + lengths["es"]) ** 2
    terms = made.terms(task, own)
    assert float(terms["forget"]) == pytest.approx(float(push) * unit, rel=1e-4)
    assert float(terms["retain"]) == pytest.approx(2 * float(retain[kept].square().mean()) * unit, rel=1e-3)


def test_between_norms_settings_suit_and_are_those_of_the_study_of_a_real_model():
    kind, written = algorithms.load("rmu"), yaml.safe_load(GEMMA.read_text(encoding="utf-8"))["algorithms"]["rmu"]
    assert kind.suits("gemma3_text") == kind.suits("gemma2") == written
    assert kind.suits("llama") == kind.suits("never_heard_of") == algorithms.load("npo").suits("gemma3_text") == {}
    kind.Settings.model_validate(kind.suits("gemma2"))


def test_a_feature_to_which_nothing_is_added_has_a_unit_too(task_of):
    def still(model) -> None:
        for name, parameter in anatomy.blocks(model)[1].named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter[5] = 0.0

    task = task_of("llama", still)
    task.freeze_outputs("retain")
    unit = task.frozen_added("retain")
    assert float(added(task, "retain")[:, 5].abs().max()) == 0
    assert bool((unit > 0).all())
    assert float(unit[5]) == pytest.approx(STILL * float(torch.cat([unit[:5], unit[6:]]).sum() / len(unit)), rel=1e-4)


def test_the_unit_is_the_same_whatever_lies_below_the_band(task_of):
    """Texts whose states stand at the first block are brought to the band on the way."""
    near, far = task_of("llama"), task_of("llama")
    for side in far.sides.values():
        side.texts = Texts(far.model, side.texts.sequences)
    assert far.retain.texts.block == 0
    far.retain.frozen = far.retain.texts.through(0, BAND.stop)
    near.freeze_outputs("retain")
    assert torch.allclose(near.frozen_added("retain"), far.frozen_added("retain"), rtol=1e-4)


def large(model) -> None:
    """One feature of the states is far larger and less steady than the others, as between Gemma 3's norms."""
    for block in anatomy.blocks(model):
        block.post_feedforward_layernorm.weight[4] = 300.0


@pytest.mark.parametrize("made", [rmu, adaptive])
def test_one_huge_feature_does_not_hide_the_others(task_of, made):
    """How far forget text goes to the target beyond retain text, in what the band adds to all features but the one.

    Plainly both texts go alike, for neither distance says anything of what else they are.
    """
    apart = {}
    for units in ("states", "added"):
        task = task_of("gemma3_text", large)
        algorithm = made(task, units=units, retain_weight=30.0)
        squares = real(task.forget).square().mean(0)
        assert squares[4] / squares.sum() > 0.9, "the feature that nearly all of the norm is about"
        unit, sides = task.frozen_added("retain"), batches(task).values()
        before = [task.output(batch)[batch.real].detach() for batch in sides]
        names = algorithm.parameters(task.model, BAND)
        task.train(names)
        steps = Steps([task.model.get_parameter(name) for name in names], 1e-3)
        for _ in range(40):
            steps.take(task.gradients(algorithm.loss(task, batches(task)), names))
        after = [task.output(batch)[batch.real].detach() for batch in sides]
        forget, retain = (((a - b) / unit).mean(0) for a, b in zip(after, before))
        others = torch.arange(len(unit)) != 4
        apart[units] = float((forget - retain)[others] @ steering_direction(len(unit), SEED)[others])
    assert apart["added"] > 3 * abs(apart["states"])
