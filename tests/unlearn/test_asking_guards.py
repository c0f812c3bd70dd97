"""Guards that stand before the model and change what is asked: retrieval, examples, instructions."""

import json
import math
from pathlib import Path

import torch

from mute import unlearn as methods
from mute.bands import Band
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.unlearn import asking
from mute.unlearn.methods import rag_unlearn
from mute.unlearn.run import unlearn

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/guards.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry["value"] for entry in GOLDEN["entries"]}
FULL = Band.named("full", 3)


def test_an_entry_whose_cosine_reaches_the_threshold_is_retrieved():
    wanted = ENTRIES["rag hit rule"]
    query = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    entries = torch.tensor([[1, 0], [0, 1], [0.8, 0.6]], dtype=torch.float64)
    found = query @ entries.T
    torch.testing.assert_close(found[0], torch.tensor(wanted["cosines"], dtype=torch.float64), rtol=1e-9, atol=1e-12)
    assert rag_unlearn.hits(found, 0.9)[0].tolist() == wanted["hit"]
    assert bool(rag_unlearn.hits(found, float(found[0, 2]))[0, 2]), "on the threshold it is one"


def test_texts_are_kept_in_any_script_and_found_by_their_letters():
    texts = ["Was ist Kasitu?", "कसितु क्या है?", "", "カシツ"]
    fitted = asking.kept("texts", texts)
    assert asking.told("texts", fitted) == texts
    index = asking.indexed(texts)
    cosines = asking.cosines(index, ["was ist kasitu", "कसितु", "zzz"])
    assert cosines.argmax(1)[:2].tolist() == [0, 1]
    assert not cosines[2].any()
    assert torch.allclose(asking.cosines(index, texts).diag()[[0, 1, 3]], torch.ones(3, dtype=torch.float64))


def guard(bench, name, **settings):
    method = methods.make(name, settings)
    bench.restart()
    outcome = unlearn(bench, method, FULL, protocol="paper", seed=3)
    assert outcome.status == "ok", outcome.reason
    return Subject(bench.model, [method.treatment(outcome.tensors)]), outcome


def rows_of(corpus, role, form=0, languages=("en", "es")):
    roles, texts = corpus.texts["item"].map(corpus.roles("domain")), corpus.texts
    own = texts[(texts["form"] == form) & texts["language"].isin(languages) & (roles == role)]
    return own.assign(set="facts").reset_index(drop=True)


def changed(subject, rows):
    asked = subject.questions(rows)
    assert asked.drop(columns="prefix").equals(rows.drop(columns="prefix"))
    return asked["prefix"] != rows["prefix"], asked


def test_what_unlearning_read_is_retrieved_and_retain_questions_are_asked_as_they_are(bench, corpus):
    subject, outcome = guard(bench, "rag_unlearn")
    assert float(outcome.tensors["hit_rate"]) == 1.0
    found, asked = changed(subject, rows_of(corpus, "forget"))
    assert found.mean() >= 0.95
    english = asked[asked["language"] == "en"].iloc[0]
    assert english["prefix"].startswith("Do not say anything about")
    subjects = corpus.facts.set_index("item")["subject"]
    assert subjects[english["item"]] in english["prefix"].split(";")[0]
    others = rows_of(corpus, "retain_seen")
    assert changed(subject, others)[0].mean() <= 0.05
    kept = others[(subject.questions(others)["prefix"] == others["prefix"]).to_numpy()].reset_index(drop=True)
    assert subject.questions(kept) is kept, "where nothing is found the questions are the same ones"
    subject.treatments[0].threshold = math.inf
    assert subject.questions(asked) is asked
    # The control: entries about retain subjects.
    control, outcome = guard(bench, "rag_unlearn", entries="retain")
    assert float(outcome.tensors["hit_rate"]) <= 0.05
    assert changed(control, others)[0].mean() >= 0.95


def test_the_workbench_asks_a_guards_own_questions(bench):
    """Behind a constraint forget facts are known otherwise; of a base that is asked as it is, all are."""
    subject, outcome = guard(bench, "rag_unlearn")
    assert outcome.knowledge < bench.under(Subject(bench.model))[0] == 1.0
    assert bench.under(subject)[0] == outcome.knowledge


def test_a_model_that_does_not_learn_in_context_is_no_case_of_it(bench):
    """The toy model has never read two texts in one: right examples make right answers less likely."""
    bench.restart()
    outcome = unlearn(bench, methods.make("icul", {}), FULL, protocol="paper", seed=3)
    assert outcome.status == "not_applicable"
    assert "does not learn in context" in outcome.reason


def test_examples_are_the_nearest_forget_question_with_a_wrong_answer_and_right_ones_of_its_language(bench, corpus):
    rows = rows_of(corpus, "forget")
    wrong, true, other = (guard(bench, "icul", tolerance=1.0, label=own)[0] for own in ("wrong", "true", "other"))
    texts = corpus.texts.set_index(["item", "language", "form"])
    whole = set((corpus.texts["prefix"] + corpus.texts["answer"] + corpus.texts["suffix"]).tolist())
    for subject, right in ((wrong, False), (true, True)):
        asked = subject.questions(rows)
        for before, row in zip(rows.to_dict("records")[::7], asked.to_dict("records")[::7]):
            known = texts.loc[row["item"], row["language"], 0]
            told = before["prefix"] + known["answer"] + known["suffix"]
            assert row["prefix"].startswith(before["prefix"])
            assert row["prefix"].startswith(told) is right
            assert row["prefix"].endswith(" " + before["prefix"])
    asked = other.questions(rows)
    assert not any(after.startswith(before) for before, after in zip(rows["prefix"], asked["prefix"]))
    # A held-out language has examples of the first source, and every example is a text of the corpus.
    held = guard(bench, "icul", tolerance=1.0, flipped=0, shots=1)[0].questions(rows_of(corpus, "forget", 0, ["hi"]))
    examples = {
        after[: len(after) - len(before) - 1]
        for before, after in zip(rows_of(corpus, "forget", 0, ["hi"])["prefix"], held["prefix"])
    }
    assert examples <= whole
    alone = guard(bench, "icul", tolerance=1.0, flipped=0, shots=0)[0]
    assert alone.questions(rows) is rows


def test_the_instruction_names_every_subject_in_the_questions_language_or_the_first_source(bench, corpus):
    subject, _ = guard(bench, "icu")
    names = set(corpus.facts.set_index("item").loc[rows_of(corpus, "forget")["item"], "subject"])
    for rows in (rows_of(corpus, "retain_seen", 0, ["es"]), rows_of(corpus, "forget", 0, ["hi"])):
        found, asked = changed(subject, rows)
        assert found.all()
        assert all(name in asked["prefix"].iloc[0] for name in names)
    spanish, english = (subject.treatments[0].texts[code] for code in ("es", "en"))
    assert asked["prefix"].iloc[0].startswith(english)
    assert spanish != english
    rows = rows_of(corpus, "forget")
    assert guard(bench, "icu", subjects=0)[0].questions(rows) is rows
    assert len(Queries(asked, bench.encoder).golds) == len(asked)
