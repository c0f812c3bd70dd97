"""How near languages are: shared tokens against closed forms, and what the packs say."""

from collections import Counter

import pytest

from mute.corpus import languages as packs
from mute.models.kinship import pairs, shared


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


def test_of_a_language_without_a_pack_nobody_knows(corpus, encoder, monkeypatch):
    monkeypatch.setattr(packs, "codes", lambda: ("en",))
    table = pairs(corpus, encoder, ["en", "es"])
    assert table[["same_script", "same_family"]].isna().all(axis=None)
