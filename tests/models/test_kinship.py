"""How near languages are: shared tokens against closed forms, and what the packs say."""

from collections import Counter

import pandas as pd
import pytest

from mute.corpus import cldr, kin, romanised, scripts
from mute.corpus import languages as packs
from mute.corpus.schema import Corpus
from mute.models.kinship import pairs, properties, shared


def test_shared_mass_of_two_distributions():
    assert shared(Counter("aabb"), Counter("ab")) == 1
    assert shared(Counter("aa"), Counter("bb")) == 0
    assert shared(Counter("aab"), Counter("abb")) == pytest.approx(2 / 3)


def test_every_pair_once_with_script_and_family(corpus, encoder):
    languages = ["en", "es", "hi"]
    table = pairs(corpus, encoder, languages).set_index(["language", "other"])
    assert list(table.index) == [("en", "es"), ("en", "hi"), ("es", "hi")]
    assert table.loc[("en", "es"), "same_script"] == 1
    assert table.loc[("en", "hi"), "same_script"] == 0
    assert table["same_family"].eq(1).all(), "Germanic, Romance and Indo-Aryan are Indo-European"
    assert table["overlap"].between(0, 1).all()
    assert table.loc[("en", "es"), "overlap"] > table.loc[("en", "hi"), "overlap"]


def test_of_a_language_without_a_pack_texts_say_the_script_and_nobody_a_family(corpus, encoder, monkeypatch):
    monkeypatch.setattr(packs, "codes", lambda: ("en",))
    table = pairs(corpus, encoder, ["en", "es", "hi"]).set_index(["language", "other"])
    assert table["same_script"].tolist() == [1, 0, 0]
    assert table["same_family"].isna().all()


# To source languages

SETTINGS = [(["en", "es"], "domain")]


@pytest.fixture(scope="module")
def found(corpus, encoder):
    return properties(corpus, encoder, ["en", "es", "pt", "hi", "ja"], SETTINGS).set_index("language")


def test_a_held_out_language_is_held_against_all_sources(found):
    assert found["script"].to_dict() | {"ja": ""} == {
        "en": "Latin",
        "es": "Latin",
        "pt": "Latin",
        "hi": "Devanagari",
        "ja": "",
    }
    assert found.loc[["pt", "hi", "ja"], "same_script"].tolist() == [1, 0, 0]
    assert found.loc[["pt", "hi", "ja"], "same_family"].tolist() == [1, 1, 0]
    assert found.loc[["pt", "hi", "ja"], "same_branch"].tolist() == [1, 0, 0]
    compared = ["same_script", "same_family", "same_branch", "answer_overlap", "prompt_overlap"]
    assert found.loc[["en", "es"], compared].isna().all(axis=None), "sources are not compared with themselves"
    shares = found.loc[["pt", "hi", "ja"], ["answer_overlap", "prompt_overlap"]]
    assert shares.stack().between(0, 1).all()
    assert (shares.loc["pt"] > shares.loc["hi"]).all()


def test_shares_are_of_the_facts_to_be_forgotten_and_of_what_unlearning_reads(corpus, encoder, found):
    """Counted by hand, over a forget set that is half of another."""
    about, forget = corpus.about, corpus.facts.loc[corpus.in_forget_set("domain"), "item"]
    own = corpus.texts[corpus.texts["item"].isin(forget)]
    read = own[own["language"].isin(["en", "es"]) & own["form"].isin(about["unlearning_forms"])]
    seen = {
        token
        for row in read.itertuples()
        for part in (encoder.prompt(row.prefix), encoder.answer(row.prefix, row.answer), encoder.after(row.suffix))
        for token in part
    }
    asked = own[(own["language"] == "pt") & (own["form"] == about["headline_form"])]
    tokens = [token for row in asked.itertuples() for token in encoder.answer(row.prefix, row.answer)]
    assert found.loc["pt", "answer_overlap"] == pytest.approx(sum(token in seen for token in tokens) / len(tokens))
    half = properties(corpus, encoder, ["pt"], [(["en"], "subject")])
    assert half["answer_overlap"][0] < found.loc["pt", "answer_overlap"], "of fewer facts and sources there is less"


def test_a_romanised_language_has_the_kin_of_its_own_and_the_script_of_others(corpus, encoder):
    pytest.importorskip("uroman")
    texts = [corpus.texts, romanised._romanised(corpus.texts, "hi_latn")]
    both = Corpus(corpus.facts, pd.concat(texts, ignore_index=True), corpus.lines, corpus.about)
    table = properties(both, encoder, ["hi", "hi_latn"], SETTINGS).set_index("language")
    assert table[["family", "branch", "same_family", "same_branch"]].nunique().eq(1).all()
    assert table["script"].to_dict() == {"hi": "Devanagari", "hi_latn": "Latin"}
    assert table["same_script"].to_dict() == {"hi": 0, "hi_latn": 1}
    assert table.loc["hi_latn", "answer_overlap"] != table.loc["hi", "answer_overlap"]


def test_every_language_of_cldr_has_kin_and_no_table_contradicts_a_pack():
    for code in cldr.codes():
        assert all(kin.kin(code)), code
    assert kin.kin("fa") == ("Indo-European", "Iranian")
    assert kin.kin("xx") == ("", "")
    for code in set(kin._KNOWN) & set(packs.codes()):
        assert kin._KNOWN[code] == kin.kin(code), f"{code}: its pack says otherwise than the table in kin.py"
    named = {packs.load(code).family for code in packs.codes()}
    assert {"Indo-European", "Austronesian", "Afro-Asiatic", "Turkic", "Sino-Tibetan"} <= named & set(kin._KIN)


def test_scripts_are_told_by_unicode_and_equal_ones_by_name():
    assert scripts.letters("Ünder \u0928\u092e\u0938\u094d\u0924\u0947 12") == {"Latin": 5, "Devanagari": 4}
    assert scripts.main(scripts.letters("ab \u4e2d\u6587")) == "Han"
    assert scripts.main(scripts.letters("12")) == ""


def test_texts_without_letters_and_kin_that_nobody_knows_leave_a_gap(corpus, encoder):
    numbers = corpus.texts.assign(answer="7", prefix="1 + 2 = ", suffix="")
    strange = pd.concat([corpus.texts, numbers[numbers["language"] == "en"].assign(language="xx")])
    table = properties(Corpus(corpus.facts, strange, corpus.lines, corpus.about), encoder, ["xx"], SETTINGS)
    assert table[["same_script", "same_family", "same_branch"]].isna().all(axis=None)
    assert table["script"][0] == table["family"][0] == ""
