"""What a model knows already: which facts count in which languages, and what is left of a corpus."""

import pandas as pd
import pytest

from mute.corpus import known
from mute.corpus.schema import Corpus
from mute.corpus.sources import cldr
from mute.store import artifacts

CODES = ["en", "es", "pt", "de"]


def table(rights: dict[str, str]) -> pd.DataFrame:
    """item, language, right: `rights` has by item the languages in which it is right."""
    rows = [(item, code, code in own.split()) for item, own in rights.items() for code in CODES]
    return pd.DataFrame(rows, columns=["item", "language", "right"])


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return cldr.build(cldr.Settings(limit=16), CODES, 1)


def test_a_fact_counts_where_it_is_right_and_enough_others_know_it():
    found = known.gated(table({"a": "en es de", "b": "en de", "c": "pt es", "d": "de"}), ["en", "es", "pt"], 2)
    pairs = set(map(tuple, found.loc[found["known"], ["item", "language"]].to_numpy()))
    assert pairs == {("a", "en"), ("a", "es"), ("a", "de"), ("c", "pt"), ("c", "es")}
    # What was right by itself stays told.
    assert found.loc[(found["item"] == "d") & (found["language"] == "de"), "right"].all()


@pytest.mark.parametrize(("right_in", "expected"), [(1, {"a", "b"}), (2, {"a"}), (3, set())])
def test_how_many_languages_must_know_it(right_in, expected):
    rights = table({"a": "en es", "b": "pt"})
    if not expected:
        with pytest.raises(ValueError, match=r"knows no fact.*right in 3 of en, es, pt"):
            known.gated(rights, ["en", "es", "pt"], right_in)
    else:
        found = known.gated(rights, ["en", "es", "pt"], right_in)
        assert set(found.loc[found["known"], "item"]) == expected


def test_a_corpus_is_restricted_to_pairs_and_keeps_its_lines(corpus):
    items = sorted(corpus.facts["item"])
    rights = table({items[0]: "en es de", items[1]: "es pt", items[2]: "de"})
    own = corpus.restricted(known.gated(rights, ["en", "es", "pt"], 2))
    assert list(own.facts["item"]) == sorted(items[:2], key=list(corpus.facts["item"]).index)
    pairs = set(map(tuple, own.texts[["item", "language"]].to_numpy()))
    assert pairs == {(items[0], "en"), (items[0], "es"), (items[0], "de"), (items[1], "es"), (items[1], "pt")}
    assert len(own.texts) == len(pairs) * corpus.about["forms"]
    assert own.lines is corpus.lines


def test_a_folder_says_what_its_model_knows(corpus, tmp_path):
    assert corpus.of(0, tmp_path) is corpus
    item = corpus.facts["item"].iloc[0]
    found = known.gated(table({item: "en es"}), ["en", "es", "pt"], 2)
    artifacts.write_table(tmp_path / known.FILE, found)
    assert list(corpus.of(0, tmp_path).facts["item"]) == [item]
    assert set(corpus.of(0, tmp_path).texts["language"]) == {"en", "es"}


def test_what_is_known_is_told_by_language():
    found = known.gated(table({"a": "en es", "b": "en es de"}), ["en", "es", "pt"], 2)
    assert known.told(found) == "de 1, en 2, es 2, pt 0 of 2 facts"
