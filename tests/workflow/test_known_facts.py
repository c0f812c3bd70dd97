"""A pretrained model on facts that it knows already, from the gate to the page; one language of it romanised."""

import html
import itertools
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from test_workflow import call, copy_project

from mute.corpus import romanised
from mute.corpus.sources import cldr
from mute.models.embedded import create
from mute.models.tokenizer import train
from mute.store import artifacts

pytestmark = pytest.mark.slow

LANGUAGES = ["en", "es", "pt", "de", "hi", "hi_latn"]
# A model that was never trained knows some facts by luck: enough to count in some languages.
STUDY = {
    "study": {"name": "known", "results": "results/known", "corpus": "countries", "models": ["own"]},
    "corpora": {
        "countries": {
            "source": "cldr",
            "settings": {
                "limit": 40,
                "forget_relations": ["currency", "language", "continent"],
                "sentence_lines": 8,
                "probe_lines": 8,
                "validation_lines": 8,
            },
        }
    },
    "analyses": {"alignment": {"facts": ["sentences"]}},
    "models": {
        "own": {
            "pretrained": "data/own",
            "adaptation": None,
            "known": {"languages": ["en", "es", "pt"], "right_in": 1, "least": 12},
            "languages": LANGUAGES,
        }
    },
    "engine": {"device": "cpu"},
    "grids": {
        "blocks": {
            "algorithms": ["rmu"],
            "sources": [["en", "es", "pt"]],
            "forget_sets": ["subjects"],
            "attacks": ["bypass", "retrain_1"],
        }
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("known"))
    settings = cldr.Settings.model_validate(STUDY["corpora"]["countries"]["settings"])
    corpus = romanised.build(cldr, settings, LANGUAGES, 1)
    words = train(itertools.chain(corpus.texts["prefix"], corpus.texts["answer"]), 1200)
    model = create("llama", 0, vocabulary=len(words), blocks=2, hidden=32, heads=2)
    model.save_pretrained(project / "data/own")
    words.save_pretrained(project / "data/own")
    study = {**STUDY, "study": {**STUDY["study"], "grids": ["blocks"], "analyses": ["alignment", "lens"]}}
    (project / "own.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    done = call(project, "snakemake", "--cores", "1", "--configfile", "config/micro.yaml", "own.yaml", "--", "all")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return project / "results/known"


@pytest.fixture(scope="module")
def known(results) -> pd.DataFrame:
    """Known facts to forget: item and language."""
    table = artifacts.read_table(results / "models/own-s0/known.csv")
    facts = artifacts.read_table(results / "corpus/facts.csv").set_index("item")
    forget = table["item"].map(facts["forget_sets"].fillna("").str.contains("subjects"))
    return table[table["known"] & forget]


def test_scores_ask_what_is_known_and_nothing_else(results, known):
    scores = artifacts.read_table(results / "tables/scores.csv")
    own = scores[(scores["metric"] == "accuracy_option") & (scores["facts"] == "all") & (scores["algorithm"] == "rmu")]
    asked = own[own["language"].notna()].groupby("language")["n"].first()
    counts = known.groupby("language").size()
    assert len(counts) > 3
    assert asked.to_dict() == counts.to_dict()
    assert 0 < counts.max() < 60
    assert set(scores.loc[scores["metric"] == "guess", "language"].dropna()) == set(counts.index)
    floors = scores.loc[scores["metric"] == "K", "floor"].dropna().unique()
    assert list(floors) == ["guess"]


def test_unlearning_reads_what_is_known_and_stops_by_the_guess(results):
    guesses = artifacts.read_table(results / "models/own-s0/guesses.csv")
    for path in sorted((results / "cells").glob("*/record.json")):
        record = artifacts.read_json(path)
        # The wording that decides is the one that the dose asks.
        assert record["base"]["forget"] == 1.0
        assert 0 <= record["floor"] < 1
        assert guesses["guess"].isin([0.0, 1.0]).all()
        assert "known.csv" in record["inputs"]["model"]
        assert "guesses.csv" in record["inputs"]["model"]


def test_attacks_and_analyses_are_of_the_same_facts(results, known):
    scores = artifacts.read_table(results / "tables/scores.csv")
    attacked = scores[scores["attack"].fillna("") == "retrain_1"]
    assert len(attacked)
    assert set(attacked["status"]) <= {"ok", "not_reached", "nothing_to_forget"}
    assert len(artifacts.read_table(results / "tables/attacks.csv")) >= 4
    profiles = artifacts.read_table(results / "tables/profiles.csv")
    pairs = set(profiles.loc[profiles["measure"] == "retrieval", "language"])
    # On sentences that every language has, whatever is known there.
    assert {"en-hi", "hi-hi_latn"} <= pairs


def test_figures_say_what_zero_is_and_find_the_alignment(results):
    assert "K = 0 is a guess" in (results / "figures/frontier.svg").read_text(encoding="utf-8")
    assert "has no analysis of alignment" not in (results / "figures/alignment.svg").read_text(encoding="utf-8")


def test_the_page_says_what_was_known(results, known):
    text = html.unescape(re.sub(r"<[^>]+>", " ", (results / "index.html").read_text(encoding="utf-8")))
    words = " ".join(text.split())
    assert "What the model knew" in words
    assert "K = 0 is what the untouched model answers when another subject is named" in words
    for code, count in known.groupby("language").size().items():
        group = "source" if code in ("en", "es", "pt") else "held out"
        assert f"own {code} {group} {count} " in words
