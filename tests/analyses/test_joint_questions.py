"""Joint questions: pairs of a fact to be forgotten and a kept one, and what models give who know, and who do not."""

import pytest

from mute.analyses import joint_questions
from mute.analyses.base import Case
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject


@pytest.fixture(scope="module")
def asked(corpus, trained_model, encoder):
    return Asked(trained_model("llama"), encoder, corpus, ["en", "es", "ja"], "domain")


def test_each_question_stands_behind_a_kept_fact_and_that_behind_the_open_question(asked, corpus):
    found = joint_questions.pairs(asked, 0)
    forget, alone = found["joint_forget"], found["joint_forget_alone"]
    assert len(forget) == len(alone) > 0
    roles = corpus.roles("domain")
    for joint, plain in zip(forget.itertuples(), alone.itertuples()):
        assert joint.prefix.endswith(plain.prefix)
        assert joint.prefix != plain.prefix
        assert (joint.item, joint.answer, list(joint.options)) == (plain.item, plain.answer, list(plain.options))
        assert roles[joint.item] == "forget"
    kept, alone = found["joint_retain"], found["joint_retain_alone"]
    assert not kept.duplicated(["item", "language"]).any()
    answers = set(asked.queries.rows["prefix"] + asked.queries.rows["answer"])
    for joint, plain in zip(kept.itertuples(), alone.itertuples()):
        assert joint.prefix.endswith(plain.prefix)
        assert joint_questions.OPEN in joint.prefix
        assert roles[joint.item] in joint_questions.RETAIN
        # The answer that is to be forgotten is told nowhere.
        assert not any(text in joint.prefix for text in answers)
    assert joint_questions.pairs(asked, 0)["joint_forget"].equals(forget)


def test_a_model_that_was_never_taught_is_at_chance_and_alone_is_as_it_is_asked_anyway(asked, random_model):
    case = Case(0, Band((0,)), ("en",))
    for model in (asked.model, random_model("llama")):
        subject = Subject(model)
        with subject.installed():
            rows = joint_questions.JointQuestions(joint_questions.Settings()).run(subject, asked, case)
        values = {(row.measure, row.language): row.value for row in rows.itertuples()}
        assert set(rows["measure"]) == {"joint_forget", "joint_retain", "joint_forget_alone", "joint_retain_alone"}
        assert rows["value"].between(0, 1).all()
        if model is asked.model:
            taught = values
    assert taught["joint_forget_alone", "en"] > values["joint_forget_alone", "en"] + 0.3
    for measure in ("joint_forget", "joint_retain"):
        assert values[measure, "en"] < 0.45
