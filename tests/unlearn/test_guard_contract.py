"""What every registered guard keeps to, on every embedded family; a guard's new file joins here."""

import copy

import pytest
import torch

from families import EMBEDDED
from mute import unlearn as methods
from mute.analyses.base import Case
from mute.analyses.lens import Lens
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import hooks, patches
from mute.models.treatment import overrides
from mute.unlearn.base import Guard
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods.word_filter import Filter
from mute.unlearn.run import unlearn

DEPTH = 3
GUARDS = [name for name in methods.names() if issubclass(methods.load(name), Guard)]


@pytest.fixture(params=EMBEDDED)
def bench(request, trained_model, corpus, encoder):
    return Workbench(
        copy.deepcopy(trained_model(request.param)),
        encoder,
        corpus,
        languages=["en", "es", "hi"],
        sources=["en", "es"],
        forget_set="domain",
        retain="source",
        matching=Matching(facts=8),
        seed=0,
        oracle=None,
    )


def fitted(bench, name):
    kind = methods.load(name)
    method = kind(kind.Settings())
    band = (kind.bands or ("1",))[0]
    return method, unlearn(bench, method, Band.named(band, DEPTH), protocol="paper", seed=3)


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_that_is_read_again_gives_the_same_answers_and_no_weight_differs(
    bench, corpus, encoder, name, tmp_path
):
    model = bench.model
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    standing = hooks.on([("model", model)])
    method, outcome = fitted(bench, name)
    assert outcome.status in ("ok", "not_reached")
    assert all(bool(tensor.isfinite().all()) for tensor in outcome.tensors.values())
    again = fitted(bench, name)[1].tensors
    assert all(torch.equal(tensor, again[key]) for key, tensor in outcome.tensors.items()), "the same each time"
    patches.save(tmp_path, outcome.tensors, patches.FITTED)
    asked = Asked(model, encoder, corpus, ["en", "es"], "domain")
    base, answers = Subject(model).ask(asked.queries), []
    for tensors in (outcome.tensors, patches.load(tmp_path, patches.FITTED)):
        subject = Subject(model, [method.treatment(tensors)])
        with subject.installed():
            answers.append(subject.ask(asked.queries))
    assert torch.equal(answers[0].logprob, answers[1].logprob)
    assert torch.equal(Subject(model).ask(asked.queries).logprob, base.logprob)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert hooks.on([("model", model)]) == standing


@pytest.mark.parametrize("name", GUARDS)
def test_the_lens_inside_a_guard_that_acts_outside_is_the_bases(bench, corpus, encoder, name):
    method, outcome = fitted(bench, name)
    guard = method.treatment(outcome.tensors)
    asked = Asked(bench.model, encoder, corpus, ["en", "es"], "domain")
    lens, subject = Lens(Lens.Settings()), Subject(bench.model, [guard])
    case = Case(0, Band((0,)), ())
    own = lens.run(Subject(bench.model), asked, case)
    with subject.installed():
        inside = lens.run(subject, asked, case)
    acts_inside = any(overrides(guard, point) for point in ("states", "embeddings", "weights"))
    assert inside.equals(own) is not acts_inside


def test_a_filter_whose_condition_is_empty_gives_the_bases_bits(bench, corpus, encoder):
    model, width = bench.model, bench.model.config.hidden_size
    asked = Asked(model, encoder, corpus, ["en", "es"], "domain")
    never = Subject(model, [Filter(torch.zeros(width), torch.tensor([-1.0]), torch.ones(width))])
    base = Subject(model).ask(asked.queries, asked.texts)
    with never.installed():
        found = never.ask(asked.queries, asked.texts)
    assert torch.equal(found.logprob, base.logprob)
    assert torch.equal(found.rank, base.rank)
