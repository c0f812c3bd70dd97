"""RMU in units of standard deviations: its closed form, where it is the plain loss, and what it is for."""

import copy

import pytest
import torch

from families import EMBEDDED, OTHERS
from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine.band import STILL, Task, TextSet, in_units
from mute.engine.reference import WholeModel
from mute.engine.steps import Steps
from mute.models import anatomy
from mute.unlearn.losses import masked_mse, steering_direction

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


def rmu(task, **settings):
    method = algorithms.load("rmu")
    made = method(method.Settings(**{"steering": 3.0, "retain_weight": 2.0, **settings}))
    made.prepare(task)
    return made


def batches(task):
    return {side: task.batch(side, ROWS) for side in ("forget", "retain")}


def real(side: TextSet) -> torch.Tensor:
    """Frozen outputs [N, D] of all tokens but the first of each text."""
    return torch.cat([states[1:] for states in side.frozen.split(side.lengths.tolist())])


def move(model) -> None:
    """Change the band, so that nothing stands where it stood."""
    for parameter in anatomy.blocks(model)[1].parameters():
        parameter.mul_(1.1)


@pytest.mark.parametrize("family", [*EMBEDDED, *OTHERS])
@pytest.mark.parametrize("path", [Task, WholeModel])
def test_the_loss_is_that_of_the_docstring(task_of, family, path):
    """D/n^2 (MSE(z, c n u) + a MSE(z', z' before)), z = h / s: s over retain text, n over forget text, both before."""
    cached, task = task_of(family), task_of(family, path=path)
    cached.freeze_outputs("forget", "retain")
    s, size = real(cached.retain).double().std(0, correction=0), cached.model.config.hidden_size
    n = (real(cached.forget).double() / s).norm(dim=-1).mean()
    target = 3 * n * steering_direction(size, SEED).double()
    algorithm = rmu(task, units="feature_std")
    assert torch.allclose(algorithm.units.double(), s, rtol=1e-4)
    move(task.model)
    own = batches(task)
    forget, retain = (task.output(own[side]).detach().double() / s for side in ("forget", "retain"))
    before = task.frozen_output(own["retain"]).double() / s
    push = (forget - target)[own["forget"].real].square().mean()
    keep = (retain - before)[own["retain"].real].square().mean()
    assert keep > 0
    expected = {"forget": size * push / n**2, "retain": size * 2 * keep / n**2}
    for name, term in algorithm.terms(task, own).items():
        assert float(term) == pytest.approx(float(expected[name]), rel=1e-4)
    assert float(algorithm.loss(task, own)) == pytest.approx(float(sum(expected.values())), rel=1e-4)


@pytest.mark.parametrize("std", [1.0, 0.01, 300.0])
def test_of_features_that_vary_alike_it_is_the_plain_loss(task_of, monkeypatch, std):
    """The loss as it is minimised is the same whatever the unit; each MSE alone is smaller by its square."""
    monkeypatch.setattr(Task, "frozen_std", lambda self, name: torch.full((self.model.config.hidden_size,), std))
    task = task_of("llama")
    plain, own = rmu(task), rmu(task, units="feature_std")
    move(task.model)
    losses = [float(each.loss(task, batches(task))) for each in (plain, own)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    apart = [float(each._distances(task, batches(task))[0]) for each in (plain, own)]
    assert apart[0] == pytest.approx(apart[1] * std**2, rel=1e-4)
    assert plain.units is None
    # On small numbers, by hand.
    h, t = torch.tensor([[[2.0, 6.0]]]), torch.tensor([1.0, 2.0])
    once = masked_mse(in_units(h, torch.tensor([0.5, 4.0])), t, torch.ones(1, 1))
    assert float(once) == ((4 - 1) ** 2 + (1.5 - 2) ** 2) / 2


def test_a_feature_that_stands_still_has_a_unit_too(task_of):
    task = task_of("llama")
    task.freeze_outputs("retain")
    task.retain.frozen[:, 5] = 7.0
    std = task.frozen_std("retain")
    assert bool((std > 0).all())
    assert float(std[5]) == pytest.approx(STILL * float(torch.cat([std[:5], std[6:]]).sum() / len(std)), rel=1e-4)


def large(model) -> None:
    """One feature of the states is far larger and less steady than the others, as between Gemma 3's norms."""
    for block in anatomy.blocks(model):
        block.post_feedforward_layernorm.weight[4] = 300.0


def test_one_huge_feature_does_not_hide_the_others(task_of):
    """How far forget text goes to the target beyond retain text, in standard deviations of all features but the one.

    Plainly both texts go alike, for neither distance says anything of what else they are.
    """
    apart = {}
    for units in ("states", "feature_std"):
        task = task_of("gemma3_text", large)
        algorithm = rmu(task, units=units, retain_weight=30.0)
        squares = real(task.forget).square().mean(0)
        assert squares[4] / squares.sum() > 0.9, "the feature that nearly all of the norm is about"
        std, sides = task.frozen_std("retain"), batches(task).values()
        before = [task.output(batch)[batch.real].detach() for batch in sides]
        names = algorithm.parameters(task.model, BAND)
        task.train(names)
        steps = Steps([task.model.get_parameter(name) for name in names], 1e-3)
        for _ in range(40):
            steps.take(task.gradients(algorithm.loss(task, batches(task)), names))
        after = [task.output(batch)[batch.real].detach() for batch in sides]
        forget, retain = (((a - b) / std).mean(0) for a, b in zip(after, before))
        others = torch.arange(len(std)) != 4
        apart[units] = float((forget - retain)[others] @ steering_direction(len(std), SEED)[others])
    assert apart["feature_std"] > 3 * abs(apart["states"])
