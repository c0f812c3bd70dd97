"""Detection: rates as a loop counts them, areas as the detector's own, and a guard is off while it is looked into."""

import copy

import pytest

from mute import unlearn as methods
from mute.analyses.base import Case
from mute.analyses.detection import Detection, few, questions, shuffled, taught
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.unlearn import detectors
from mute.unlearn.bench import Workbench
from mute.unlearn.detectors.base import Prompts, auroc
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

LANGUAGES, SOURCES = ["en", "es", "hi"], ["en", "es"]
CASE = Case(0, Band((0, 1, 2), full=True), tuple(SOURCES))


@pytest.fixture(scope="module")
def bench(trained_model, corpus, encoder):
    about = {"languages": LANGUAGES, "sources": SOURCES, "forget_set": "domain", "retain": "source"}
    model = copy.deepcopy(trained_model("llama"))
    return Workbench(model, encoder, corpus, **about, matching=Matching(facts=8), seed=0, oracle=None)


@pytest.fixture(scope="module")
def found(bench, corpus, encoder):
    """Rows of a guard by its name and settings: measure, block and language to value; with the guard's subject."""

    def looked(name, draws=1, **settings):
        bench.restart()
        method = methods.make(name, settings)
        outcome = unlearn(bench, method, Band.named("full", 3), protocol="paper", seed=3)
        subject = Subject(bench.model, [method.treatment(outcome.tensors)])
        asked = Asked(bench.model, encoder, corpus, LANGUAGES, "domain")
        with subject.installed():
            rows = Detection(Detection.Settings(draws=draws)).run(subject, asked, CASE)
        return {(row.measure, row.block, row.language): row.value for row in rows.itertuples()}, subject, asked

    return looked


def test_rates_and_areas_are_those_of_the_detector_alone(found):
    rows, subject, asked = found("ksd", 0, detector="probe", false_alarms=0.05)
    guard = subject.treatments[0]
    for measure, role in (("misses", "forget"), ("false_alarms_bystander", "bystander")):
        prompts = questions(asked, role)
        scores = guard.detector.scores(guard.fitted, subject.model, prompts.tokens)
        fired = (scores > guard.threshold).tolist()
        for code in LANGUAGES:
            own = [hit for hit, language in zip(fired, prompts.languages) if language == code]
            share = sum(own) / len(own)
            assert rows[measure, 0, code] == pytest.approx(1 - share if role == "forget" else share)
    probe = detectors.make("probe", {"block": 2})
    fitted = probe.learn(taught(subject, asked, tuple(SOURCES), 128))
    sides = [questions(asked, role).tokens for role in ("forget", "retain_unseen")]
    half = [own[: len(own) // len(LANGUAGES)] for own in sides]
    own = [questions(asked, role).only(range(len(each))) for role, each in zip(("forget", "retain_unseen"), half)]
    assert all(set(each.languages) == {own[0].languages[0]} for each in own)
    area = auroc(*(probe.scores(fitted, subject.model, each.tokens) for each in own))
    assert rows["auroc", 1, own[0].languages[0]] == pytest.approx(area)
    assert min(rows["auroc", 1, code] for code in SOURCES) >= 0.8
    assert {block for measure, block, _ in rows if measure == "auroc"} == {0, 1, 2}
    print({code: round(rows["auroc", 1, code], 3) for code in LANGUAGES})


@pytest.mark.slow
def test_a_guard_that_changes_states_is_off_while_its_detector_is_read(found):
    """The same detector under a guard that refuses and under one that corrupts: the same areas."""
    one, other = (found(name, 0, detector="probe", **own)[0] for name, own in (("ksd", {}), ("eco", {"sigma": 3.0})))
    assert {key: v for key, v in one.items() if key[0] == "auroc"} == {
        key: v for key, v in other.items() if key[0] == "auroc"
    }
    assert not any("shuffled" in measure for measure, _, _ in one)


def test_of_letters_there_is_one_area_for_all_blocks_and_none_for_embeddings(found):
    rows, _, _ = found("ksd", 2, detector="ngrams", detector_settings={"buckets": 256})
    for code in LANGUAGES:
        assert len({rows["auroc", block, code] for block in range(3)}) == 1
        low, mean, high = (rows[f"auroc_shuffled{end}", 0, code] for end in ("_low", "", "_high"))
        assert low < mean < high, "two draws differ, and neither is that of the true labels"
        assert rows["auroc", 0, code] not in (low, high)
    assert not any(measure == "auroc_embeddings" for measure, _, _ in rows)


def test_models_without_a_detector_have_no_row(found):
    assert not found("output_bias")[0]


def test_what_is_read_is_spread_evenly_and_labels_are_drawn_anew(found):
    prompts = Prompts([[n] for n in range(12)], [f"i{n}" for n in range(12)], ["en"] * 8 + ["es"] * 4)
    assert [own[0] for own in few(prompts, 4).tokens] == [0, 2, 4, 6, 8, 9, 10, 11]
    _, subject, asked = found("ksd", 0, detector="ngrams", detector_settings={"buckets": 256})
    seen = taught(subject, asked, tuple(SOURCES), 128)
    drawn = shuffled(seen, 1)
    assert len(drawn.forget) == len(seen.forget)
    assert sorted(drawn.forget.items + drawn.retain.items) == sorted(seen.forget.items + seen.retain.items)
    assert set(drawn.forget.items) & set(seen.retain.items)
