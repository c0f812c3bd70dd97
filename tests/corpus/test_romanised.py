"""Romanised languages: the same facts in Latin letters, whatever the source, and which languages cannot be."""

import re

import pytest

from mute.corpus import romanised
from mute.corpus.sources import cldr, world

LETTERS = re.compile(r"[\u0900-\u097F]")


def texts_of(corpus, code):
    return corpus.texts[corpus.texts["language"] == code].reset_index(drop=True)


@pytest.fixture(scope="module", params=["cldr", "world"])
def pair(request):
    """A corpus in English and Hindi with Hindi romanised, and the same without."""
    source = {"cldr": cldr, "world": world}[request.param]
    settings = source.Settings(**({"limit": 12} if source is cldr else {"subjects": {"chemistry": 4, "history": 4}}))
    codes = ["en", "hi", "hi_latn"]
    return romanised.build(source, settings, codes, 1), source.build(settings, ["en", "hi"], 1)


def test_the_variant_says_the_same_in_latin_letters(pair):
    corpus, plain = pair
    own, of = texts_of(corpus, "hi_latn"), texts_of(corpus, "hi")
    assert own[["item", "form", "gold"]].equals(of[["item", "form", "gold"]])
    whole = own["prefix"] + own["answer"] + own["suffix"]
    assert not whole.map(LETTERS.search).any()
    assert (whole != of["prefix"] + of["answer"] + of["suffix"]).all()
    assert all(row.options[row.gold] == row.answer for row in own.itertuples())
    assert [corpus.about["scripts"][code] for code in ("hi", "hi_latn")] == ["Devanagari", "Latin"]
    assert corpus.about["languages"] == ["en", "hi", "hi_latn"]
    # Nothing else has changed.
    assert corpus.facts.equals(plain.facts)
    assert all(texts_of(corpus, code).equals(texts_of(plain, code)) for code in ("en", "hi"))


def test_lines_are_romanised_and_none_takes_a_word_of_another_language(pair):
    corpus, plain = pair
    lines = corpus.lines[corpus.lines["language"] == "hi_latn"]
    assert len(lines) == ((plain.lines["language"] == "hi") & (plain.lines["other"] == "")).sum() > 0
    assert (lines["other"] == "").all()
    assert not lines["answer"].map(LETTERS.search).any()


def test_a_language_may_be_there_for_its_romanisation_alone():
    corpus = romanised.build(cldr, cldr.Settings(limit=12), ["en", "hi_latn"], 1)
    assert set(corpus.texts["language"]) == {"en", "hi_latn"} == set(corpus.lines["language"])


def test_spaces_at_the_ends_stay():
    assert romanised.romanise("  भारत ") == "  bhaarat "
    assert [romanised.romanise(text) for text in (" ", "")] == [" ", ""]
    assert romanised.romanise("already Latin") == "already Latin"


def test_without_a_variant_the_source_is_asked_as_it_is():
    settings = cldr.Settings(limit=12)
    corpus, plain = romanised.build(cldr, settings, ["en", "hi"], 1), cldr.build(settings, ["en", "hi"], 1)
    assert corpus.texts.equals(plain.texts)
    assert corpus.about == plain.about


@pytest.mark.parametrize(("code", "why"), [("ja_latn", "several readings"), ("ar_latn", "no short vowels")])
def test_what_cannot_be_read_is_refused(code, why):
    assert why in romanised.unreadable(code)
    assert romanised.unreadable(romanised.base(code)) == romanised.unreadable("hi_latn") == ""
