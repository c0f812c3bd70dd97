"""Where an attack can be tried: languages that lack something, and questions of no use, have no score and say so."""

import copy

import pandas as pd
import pytest

from mute.attacks import base, shard
from mute.bands import Band, Languages
from mute.evaluate.asked import Asked
from mute.evaluate.item_table import items
from mute.evaluate.metrics import score_attack
from mute.evaluate.subject import Subject
from mute.evaluate.tables import References, _forget_facts
from mute.plan import suits

SAYS = "has no word for it"


class Shouted(base.Attack[base.Settings]):
    """A word before the questions of the languages that have it, and of some facts alone."""

    name = "shouted"
    paper = "none"
    access = "questions"
    without: tuple[str, ...] = ()
    only: str = ""

    @classmethod
    def lacks(cls, settings, corpus, language):
        return SAYS if language in cls.without else ""

    def asks(self, rows):
        assert not set(rows["language"]) & set(self.without), "what lacks something is not asked about"
        return rows["item"].str.contains(self.only).to_numpy(bool)

    def questions(self, rows):
        assert list(rows.index) == list(range(len(rows)))
        return rows.assign(prefix="Hey! " + rows["prefix"])


@pytest.fixture
def asked(trained_model, encoder, corpus):
    return Asked(copy.deepcopy(trained_model("llama")), encoder, corpus, ["en", "es", "hi"], "domain")


def attacked(asked, monkeypatch, without=(), only=""):
    monkeypatch.setattr(Shouted, "without", without)
    monkeypatch.setattr(Shouted, "only", only)
    prepared = shard.Prepared("shouted", Shouted, base.Settings(), 1, "")
    return shard.attacked(asked, Subject(asked.model), Band((1,)), prepared, ("en", "es"))


def test_a_language_that_lacks_something_has_no_row_and_the_others_are_as_they_were(asked, monkeypatch):
    whole, outcome = attacked(asked, monkeypatch)
    part, said = attacked(asked, monkeypatch, without=("hi",))
    assert "lacking" not in outcome
    assert said == {"status": "ok", "lacking": {"hi": SAYS}}
    kept = whole[whole["language"] != "hi"].reset_index(drop=True)
    assert set(part["language"]) == {"en", "es"}
    assert part[["item", "language", "position"]].equals(kept[["item", "language", "position"]])
    assert abs(part["logprob"] - kept["logprob"]).max() < 1e-4
    assert not whole["logprob"].equals(Subject(asked.model).ask(asked.queries, asked.texts).tokens()["logprob"])


def test_facts_that_it_is_not_tried_on_have_no_row(asked, monkeypatch):
    table, outcome = attacked(asked, monkeypatch, only="-colour")
    assert outcome["status"] == "ok"
    assert 0 < table["item"].nunique() < asked.queries.rows["item"].nunique()
    assert table["item"].str.contains("-colour").all()


@pytest.mark.parametrize(("without", "only", "reason"), [(("en", "es", "hi"), "", SAYS), ((), "nobody", "no question")])
def test_what_can_be_tried_on_nothing_is_not_applicable(asked, monkeypatch, without, only, reason):
    table, outcome = attacked(asked, monkeypatch, without, only)
    assert table.empty
    assert outcome["status"] == "not_applicable"
    assert reason in outcome["reason"]


def test_scores_are_of_the_languages_and_facts_that_were_tried(asked, monkeypatch, corpus):
    """Sources too may lack something: then no score is of them."""
    plan = {"draws": 20, "seed": 1}
    reference = References([], corpus)
    base_table = items(Subject(asked.model).ask(asked.queries, asked.texts).tokens()).assign(chance=0.1)
    panel = reference.panel(base_table, Languages("en-es"), "domain", ["en", "es", "hi"], plan)
    for without, only, spoken in ((("hi",), "", ["en", "es"]), (("en", "es"), "-colour", ["hi"])):
        tokens, _ = attacked(asked, monkeypatch, without, only)
        tried = items(tokens).assign(chance=0.1)
        own = reference.panel(_forget_facts(base_table, panel, tried), Languages("en-es"), "domain", spoken, plan)
        scores = score_attack(own, {"cell": tried, "base": tried}, None, "R")
        each = scores[(scores["metric"] == "R") & (scores["language"] != "")]
        assert set(each["language"]) == set(spoken)
        assert (each["n"] == tried["item"].nunique()).all()
        groups = scores[(scores["metric"] == "R") & (scores["language"] == "")].set_index("group")["value"]
        assert pd.notna(groups.get("source", float("nan"))) == ("en" in spoken)


def test_the_plan_says_what_languages_lack(monkeypatch):
    from mute.attacks.quantize import Quantize
    from mute.config.sections import Config
    from mute.study.cells import Study

    monkeypatch.setattr(Quantize, "lacks", lambda settings, corpus, code: SAYS if code in ("hi", "de") else "")
    grid = {"algorithms": ["rmu"], "bands": [1], "attacks": ["quantize", "mix"]}
    study = Study(Config.model_validate({"grids": {"blocks": grid}, "models": {"llama": {}}}))
    assert f"quantize, in de hi: {SAYS}" in suits.not_applicable(study)
    assert not [line for line in suits.not_applicable(study) if line.startswith("mix")]
