"""A guard on an unlearned model: the edit is what it is alone, the guard is fitted to it, and both stand together."""

import pytest
import torch

from mute import unlearn as methods
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import patches
from mute.store import artifacts
from mute.unlearn import cells
from mute.unlearn.run import unlearn

EDIT = {"method": "gradient_difference", "steps": 8, "batch_size": 8, "learning_rate": 3e-3}
GUARD = {"method": "ksd", "detector": "ngrams"}
BAND = Band.named("1", 3)


def run(bench, name, settings, band=BAND):
    bench.restart()
    method = methods.make(name, settings)
    return method, unlearn(bench, method, band, protocol="paper", seed=3)


@pytest.fixture(scope="module")
def chained(bench):
    return run(bench, "chain", {"chain": [EDIT, GUARD]})


def test_the_edit_is_what_it_is_alone_and_the_guard_what_it_is_on_the_edited_model(bench, chained):
    before = {name: tensor.clone() for name, tensor in bench.model.state_dict().items()}
    _, outcome = chained
    alone = run(bench, EDIT["method"], {key: value for key, value in EDIT.items() if key != "method"})[1]
    assert outcome.tensors.keys() == alone.tensors.keys()
    assert all(torch.equal(tensor, alone.tensors[name]) for name, tensor in outcome.tensors.items())
    assert outcome.told("status", "knowledge", "retained", "size") == alone.told(
        "status", "knowledge", "retained", "size"
    )
    assert alone.fitted == {}
    keys = {"method": "ksd", "detector": "box", "detector_settings": {"block": 2}}
    _, outcome = run(bench, "chain", {"chain": [EDIT, keys]})
    with patches.applied(bench.model, alone.tensors):
        behind = run(
            bench, "ksd", {key: value for key, value in keys.items() if key != "method"}, Band.named("full", 3)
        )
    assert all(torch.equal(tensor, behind[1].tensors[name]) for name, tensor in outcome.fitted.items())
    on_base = run(bench, "ksd", {key: value for key, value in keys.items() if key != "method"}, Band.named("full", 3))
    centres = [own["detector.centre"] for own in (outcome.fitted, on_base[1].tensors)]
    assert not torch.equal(*centres), "the control: on the model as it was it is fitted to other keys"
    assert all(torch.equal(tensor, before[name]) for name, tensor in bench.model.state_dict().items())


def test_a_cell_of_it_is_edited_and_guarded_wherever_it_is_placed(bench, chained, corpus, encoder, tmp_path):
    method, outcome = chained
    patches.save(tmp_path, outcome.tensors)
    patches.save(tmp_path, outcome.fitted, patches.FITTED)
    plan = {"method": "chain", "settings": method.settings.model_dump()}
    artifacts.write_json(tmp_path / "record.json", {"plan": plan, "outcome": {"status": outcome.status}})
    asked = Asked(bench.model, encoder, corpus, ["en", "es"], "domain")
    base = Subject(bench.model).ask(asked.queries)
    with cells.placed(bench.model, tmp_path) as subject:
        assert [each.name for each in subject.treatments] == ["abstaining"]
        edited = Subject(bench.model).ask(asked.queries)
        with subject.installed():
            both = subject.ask(asked.queries)
        outcome.fitted["threshold"] = torch.full_like(outcome.fitted["threshold"], float("inf"))
        off = Subject(bench.model, [method.guard.treatment(outcome.fitted)])
        with off.installed():
            assert torch.equal(off.ask(asked.queries).logprob, edited.logprob), "with the guard off it is the edit"
        with subject.before():
            assert torch.equal(Subject(bench.model).ask(asked.queries).logprob, base.logprob)
    hits = [float(own.option_hits().float().mean()) for own in (base, edited, both)]
    print("forget accuracy: base, edited, edited and guarded", [round(own, 3) for own in hits])
    assert hits[0] > 0.6, "in the two wordings that it was taught of three"
    assert not torch.equal(edited.logprob, base.logprob)
    assert hits[2] < 0.2 < hits[1] < hits[0]


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        (["rmu"], "at least 2"),
        (["ksd", "rmu"], "an edit, which changes weights, which ksd is not"),
        (["rmu", "npo"], "a guard, which npo is not"),
        (["rum", "ksd"], "mean 'rmu'"),
        ([{"method": "rmu", "sterring": 1.0}, "ksd"], "mean 'steering'"),
        (["rmu", {"method": "ksd", "detector": "none"}], "none"),
    ],
)
def test_what_is_no_chain_is_refused_in_plain_words(chain, said):
    with pytest.raises(ValueError, match=said):
        methods.make("chain", {"chain": chain})


def test_names_alone_take_the_defaults_and_both_files_count(bench):
    made = methods.make("chain", {})
    edit, guard = made.settings.parts
    assert (edit["method"], edit["steering"], guard["detector"]) == ("rmu", 30.0, "box")
    assert made.settings.within == ["rmu", "ksd"]
    assert methods.load("chain").Settings.model_validate(made.settings.model_dump()) == made.settings
