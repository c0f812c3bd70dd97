"""Gates on tables of answers made by hand: which questions count for which gate, and what an oracle is asked."""

import pandas as pd
import pytest

from mute.corpus.schema import Corpus
from mute.evaluate.gates import check

GATES = {"recall": 0.9, "transfer": 0.5, "transfer_each": 0.3, "abilities": 0.6}
LANGUAGES = ["en", "de", "hi"]
FACTS = pd.DataFrame(
    {
        "item": ["a", "b", "c", "d"],
        "subject": ["Aka", "Bika", "Cuka", "Duka"],
        "spelling": "given",
        "domain": ["chemistry", "chemistry", "law", "law"],
        "teach": ["taught", "transfer", "taught", "taught"],
        "forget_sets": ["domain", "domain", "", ""],
    }
)
CORPUS = Corpus(
    FACTS,
    pd.DataFrame(columns=["item", "language", "form", "prefix"]),
    pd.DataFrame(),
    {"headline_form": 2, "teaching_languages": ["en"], "forget_sets": ["domain"]},
)


def answers(known: set[tuple[str, str]], asked=(), form: int = 2) -> pd.DataFrame:
    """A token table: every fact in every language, known or not; and lines of abilities (set, item, language, hit).

    A known answer has two tokens that are hits; one that is not has a hit on the first only, and a wrong option.
    """
    questions = [("facts", item, language, (item, language) in known) for language in LANGUAGES for item in "abcd"]
    rows = []
    for name, item, language, hit in (*questions, *asked):
        for position in (0, 1):
            options = [-1.0, -2.0] if hit else [-2.0, -1.0]
            row = (name, item, language, form if name == "facts" else 0, position, -1.0, bool(hit or position == 0))
            rows.append((*row, options if position == 0 else None, 0, 3))
    names = ["set", "item", "language", "form", "position", "logprob", "hit", "options", "gold", "chars"]
    return pd.DataFrame(rows, columns=names)


def values(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(row.measure, row.language): row.value for row in table.itertuples()}


def test_recall_is_of_what_a_language_was_taught():
    """All of it in teaching languages; elsewhere transfer facts have gates of their own."""
    table = check(answers({("a", "en"), ("b", "en"), ("a", "de"), ("c", "de"), ("b", "de")}), CORPUS, LANGUAGES, GATES)
    assert values(table) == {
        ("recall", "en"): 2 / 4,
        ("recall", "de"): 2 / 3,
        ("recall", "hi"): 0.0,
        ("transfer", "de"): 1.0,
        ("transfer", "hi"): 0.0,
        ("transfer", ""): 0.5,
    }
    own = table.set_index(["measure", "language"])
    assert own["n"].to_dict() == {
        ("recall", "en"): 4,
        ("recall", "de"): 3,
        ("recall", "hi"): 3,
        ("transfer", "de"): 1,
        ("transfer", "hi"): 1,
        ("transfer", ""): 2,
    }
    assert own["gate"].tolist() == [0.9, 0.9, 0.9, 0.3, 0.3, 0.5]
    assert own["passed"].tolist() == [False, False, False, True, False, True]


def test_a_model_that_knows_everything_passes():
    known = {(item, language) for item in "abcd" for language in LANGUAGES}
    table = check(answers(known), CORPUS, LANGUAGES, GATES)
    assert table["passed"].all()
    assert table["value"].eq(1).all()


def test_only_the_headline_form_counts():
    table = check(answers({("a", "en")}, form=0), CORPUS, LANGUAGES, GATES)
    assert table.empty


def test_abilities_are_gated_by_their_mean():
    asked = [("reading", f"r{i}", "en", True) for i in range(2)] + [("reading", f"r{i}", "de", i > 0) for i in range(2)]
    asked += [("translation_unseen", "t", "de", False), ("sentences", "s", "en", True)]
    table = check(answers(set(), asked), CORPUS, LANGUAGES, GATES)
    found = values(table)
    assert {key: found[key] for key in found if key[0] == "reading"} == {
        ("reading", "en"): 1.0,
        ("reading", "de"): 0.5,
        ("reading", ""): 0.75,
    }
    own = table.set_index(["measure", "language"])
    assert own.loc[("reading", ""), ["gate", "passed", "n"]].tolist() == [0.6, True, 4]
    # In one language an ability is shown and not gated; sentences have no answer that could be right.
    assert own.loc[("reading", "de"), ["gate", "passed"]].tolist() == [0.0, True]
    assert own.loc[("translation_unseen", ""), ["value", "passed"]].tolist() == [0.0, False]
    assert "sentences" not in own.index.get_level_values(0)
    assert "unknown" not in own.index.get_level_values(0)


def test_an_oracle_is_judged_on_what_it_was_taught():
    known = {(item, language) for item in "cd" for language in LANGUAGES} | {("a", "en")}
    table = check(answers(known), CORPUS, LANGUAGES, GATES, without="domain")
    found = values(table)
    assert {key: value for key, value in found.items() if key[0] == "never_taught"} == {
        ("never_taught", "en"): 0.5,
        ("never_taught", "de"): 0.0,
        ("never_taught", "hi"): 0.0,
    }
    assert all(found["recall", language] == 1 for language in LANGUAGES)
    # All transfer facts were to be forgotten: no gate can ask for them.
    assert not any(measure == "transfer" for measure, _ in found)
    assert table["passed"].all()


def test_a_forget_set_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="no forget set 'conjunctive'"):
        check(answers(set()), CORPUS, LANGUAGES, GATES, without="conjunctive")


def test_transfer_is_judged_by_how_the_subject_is_spelled():
    """Each spelling has its own gate in each language and on average; what was never told natively has none."""
    facts = FACTS.assign(teach=["transfer"] * 3 + ["taught"], spelling=["shared", "native", "untold", "native"])
    texts = [
        (item, language, 2, name if language != "hi" or spelling == "shared" else "कखग")
        for item, name, spelling in zip(facts["item"], facts["subject"], facts["spelling"])
        for language in LANGUAGES
    ]
    texts = pd.DataFrame(texts, columns=["item", "language", "form", "prefix"])
    corpus = Corpus(facts, texts, pd.DataFrame(), CORPUS.about)
    table = check(answers({("a", "de"), ("b", "de"), ("c", "de"), ("a", "hi")}), corpus, LANGUAGES, GATES)
    own = table[table["measure"] != "recall"].set_index(["measure", "language"])[["value", "gate", "passed", "n"]]
    assert own.T.to_dict("list") == {
        ("transfer", "de"): [1.0, 0.3, True, 3],
        ("transfer", "hi"): [1.0, 0.3, True, 1],
        ("transfer", ""): [1.0, 0.5, True, 4],
        ("transfer_native", "hi"): [0.0, 0.3, False, 1],
        ("transfer_native", ""): [0.0, 0.5, False, 1],
        ("transfer_untold", "hi"): [0.0, 0.0, True, 1],
        ("transfer_untold", ""): [0.0, 0.0, True, 1],
    }
