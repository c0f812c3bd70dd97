"""Surrogates: how far texts are, which languages pass, and illusions on tables of models whose kind is known."""

import math

import numpy as np
import pandas as pd
import pytest
from test_golden_measures import ENTRIES, matches

from made_up import ABOUT, KEYS, THE_PAPER, make_tables
from mute import attacks
from mute.attacks.base import Victim
from mute.bands import Band
from mute.evaluate import rouge, surrogates
from mute.evaluate.item_table import KEYS as ROWS
from mute.evaluate.panel import Panel
from mute.findings import illusion
from mute.findings.results import Results

SOURCES = ["en", "es"]
LANGUAGES = [*SOURCES, "hi"]
FACTS = 60


@pytest.fixture(scope="module")
def distance(corpus):
    return surrogates.Distance(corpus, "domain", SOURCES)


def headline(corpus):
    """The forget facts as they are asked plainly."""
    texts = corpus.texts[corpus.texts["language"].isin(LANGUAGES) & (corpus.texts["form"] == 2)]
    forget = corpus.facts.loc[corpus.in_forget_set("domain"), "item"]
    return texts[texts["item"].isin(forget)].assign(set="facts").reset_index(drop=True)


def test_numbers_of_the_formula():
    name = "psg delta"
    matches(surrogates.delta(np.array(0.40), np.array(0.05)), name, "Delta accuracy")
    matches(surrogates.delta(np.array(0.3), np.array(0.1)), name, "Delta probability")
    wanted = ENTRIES[name]["value"]["illusion (passes <= .1 on D_u, fails on surrogates)"]
    assert illusion.is_illusion(0.05, 0.40) == wanted
    assert not illusion.is_illusion(0.05, 0.1)
    assert not illusion.is_illusion(0.4, 0.5), "what does not pass plainly is no illusion"


def test_what_unlearning_read_is_near_and_what_says_something_else_is_far(corpus, distance):
    texts, forget = corpus.texts, corpus.facts.loc[corpus.in_forget_set("domain"), "item"]
    read = texts[texts["item"].isin(forget) & texts["language"].isin(SOURCES)]
    read = read[read["form"].isin(corpus.about["unlearning_forms"])]
    assert 0 < distance.line < 1
    for text in surrogates.whole(read)[::7]:
        assert distance.nearest(text) == pytest.approx(1)
        assert not distance.far(text)
    assert distance.far("völlig andere Worte über das Wetter")
    assert distance.nearest("") == 0
    # A text with six of its words, wherever these stand, is no surrogate; with five of them it may be.
    words = next(words for words in map(rouge.words, surrogates.whole(read)) if len(words) > 6)
    rest = " ".join(f"x{i}y{i}z{i}" for i in range(60))
    assert not distance.far(f"{rest} {' '.join(words[:6])} {rest}")
    assert distance.far(f"{rest} {' '.join(words[:5])} {rest}")


def test_the_cosine_is_that_of_vectors_in_full(corpus, distance):
    """Against a second implementation over all runs of letters of both texts."""
    texts, forget = corpus.texts, corpus.facts.loc[corpus.in_forget_set("domain"), "item"]
    read = texts[texts["item"].isin(forget) & texts["language"].isin(SOURCES)]
    said = surrogates.whole(read[read["form"].isin(corpus.about["unlearning_forms"])])

    def runs(text):
        own = " ".join(text.lower().split())
        return [own[i : i + n] for n in (3, 4, 5) for i in range(len(own) - n + 1)]

    asked = headline(corpus).iloc[3]
    text = asked["prefix"] + asked["answer"] + asked["suffix"]
    documents = [runs(one) for one in said]
    every = sorted({run for own in documents for run in own} | set(runs(text)))
    counts = np.array([[own.count(run) for run in every] for own in (*documents[:5], runs(text))], float)
    sets = [set(own) for own in documents]
    shared = np.array([sum(run in own for own in sets) for run in every])
    vectors = counts * (1 + np.log((1 + len(said)) / (1 + shared)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors[:5] @ vectors[5]).tolist() == pytest.approx(distance.cosines(text)[:5].tolist())


def test_one_wording_alone_has_no_surrogates(corpus):
    one = type(corpus)(corpus.facts, corpus.texts, corpus.lines, {**corpus.about, "unlearning_forms": [0]})
    made = surrogates.Distance(one, "domain", SOURCES)
    assert math.isnan(made.line)
    assert not made.far("völlig andere Worte")


def test_accepted_surrogates_of_attacks_keep_to_both_rules(corpus, encoder, distance):
    """Translations and reversed questions are taken in some language; what adds to the plain question is not at all."""
    rows, share = headline(corpus), {}
    plain = dict(zip(zip(rows["item"], rows["language"]), surrogates.whole(rows)))
    for name, settings in (
        ("cross_lingual", {"language": "ja"}),
        ("rwku", {"form": "reverse"}),
        ("language_prefix", {"language": "none"}),
    ):
        kind = attacks.load(name)
        victim = Victim(None, encoder, corpus, Band((1,)), tuple(SOURCES), tuple(LANGUAGES), "domain", 1)
        attack = kind(kind.Settings(**settings), victim)
        tried = rows[attack.asks(rows)].reset_index(drop=True)
        asked = attack.questions(tried)
        texts = dict(zip(zip(asked["item"], asked["language"]), surrogates.whole(asked)))
        kept = surrogates.accepted(texts, plain, distance)
        share[name] = len(kept) / len(texts)
        for key in kept:
            assert not set(surrogates.runs(texts[key])) & distance.runs
            assert distance.nearest(texts[key]) < distance.line
            assert texts[key] != plain[key]
    assert share["cross_lingual"] > 0.2
    assert share["language_prefix"] == 0


def tables(right, *, seed=0):
    """An item table in which so large a share of facts is right in each language."""
    rows = pd.MultiIndex.from_product([[f"f{i:02}" for i in range(FACTS)], LANGUAGES], names=["item", "language"])
    made = rows.to_frame(index=False).assign(set="facts", form=0, chance=0.125, tokens=2, strict=True)
    place = made["item"].str[1:].astype(int)
    drawn = np.random.default_rng(seed).permutation(FACTS)
    option = (drawn[place] < right * FACTS).astype(float)
    made = made.assign(option=option, logprob=np.where(option == 1, -0.2, -6.0), min_k=np.where(option == 1, 0.1, 3.0))
    return made.sort_values(ROWS, ignore_index=True)


def scored(plain, asked, kept=None):
    """Values by metric, and language or group; both by victim: shares of right answers."""
    made = [{name: tables(right, seed=i) for i, (name, right) in enumerate(own.items())} for own in (plain, asked)]
    base = made[0]["base"]
    items = sorted(set(base["item"]))
    facts, roles = pd.DataFrame({"item": items, "validation": False}), pd.Series("forget", index=items)
    panel = Panel(base, facts, roles, source=SOURCES, heldout=["hi"], headline_form=0, draws=60, seed=0)
    pairs = set(zip(base["item"], base["language"])) if kept is None else kept
    found = surrogates.score(panel, made[1], made[0], pairs)
    return {(row.metric, row.language or row.group): (row.value, row.low, row.high) for row in found.itertuples()}


KNOWN = {"base": 1.0, "oracle": 0.1}


def test_a_refuser_of_the_plain_question_is_an_illusion_and_an_edit_that_forgot_is_not():
    refuser = scored({"cell": 0.1, **KNOWN}, {"cell": 1.0, **KNOWN})
    forgot = scored({"cell": 0.1, **KNOWN}, {"cell": 0.1, **KNOWN})
    for code in (*LANGUAGES, "all"):
        for metric in surrogates.METRICS:
            assert illusion.is_illusion(refuser[f"psg_plain_{metric}", code][0], refuser[f"psg_{metric}", code][0])
            assert refuser[f"psg_delta_{metric}", code][1] > 0
            assert not illusion.is_illusion(forgot[f"psg_plain_{metric}", code][0], forgot[f"psg_{metric}", code][0])
            low, high = forgot[f"psg_delta_{metric}", code][1:]
            assert low <= 0 <= high
        # The oracle is told by neither: its difference holds nothing but noise.
        low, high = refuser["psg_delta_accuracy_oracle", code][1:]
        assert low <= 0 <= high
    assert refuser["psg_delta_accuracy", "en"][0] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"cell": 1.0, "base": 0.7, "oracle": 0.1}, "a base that cannot answer"),
        ({"cell": 1.0, "base": 1.0, "oracle": 0.9}, "facts to be kept, which the oracle knows"),
    ],
)
def test_what_nobody_or_everybody_knows_says_nothing(asked, why):
    """The second is what shuffled surrogates are: random facts that were to be kept."""
    found = scored({"cell": 0.1, **KNOWN}, asked)
    assert not [key for key in found if key[0].startswith("psg_")], why
    assert found["surrogate_far", "en"][0] == 1
    assert found["surrogate_base", "en"][0] == pytest.approx(asked["base"])
    assert found["surrogate_oracle", "en"][0] == pytest.approx(asked["oracle"] - 0.125, abs=0.02)


def test_questions_that_are_near_are_in_no_score_and_few_facts_are_none():
    few = {("f00", "en"), ("f01", "en")} | {(f"f{i:02}", "hi") for i in range(30)}
    found = scored({"cell": 0.1, **KNOWN}, {"cell": 1.0, **KNOWN}, few)
    assert {code for metric, code in found if metric == "psg_accuracy"} >= {"hi"}
    assert ("psg_accuracy", "en") not in found
    assert ("psg_accuracy", "es") not in found
    assert found["surrogate_far", "hi"][0] == 0.5
    assert not scored({"cell": 0.1, "base": 1.0}, {"cell": 1.0, "base": 1.0}), "without an oracle nothing is said"


def study(plain, asked, *, half=0.05, far=1.0):
    """Tables of one edit and one attack that gives surrogates: what is kept plainly, and on them, by language."""
    made = make_tables(THE_PAPER)
    cell = {**KEYS, "algorithm": "rmu", "band": "1", "protocol": "matched", "seed": 0, "status": "ok", "facts": "all"}
    rows = []
    for code, group in (("en", "source"), ("es", "source"), ("de", "heldout"), ("xx", "heldout")):
        numbers = {"surrogate_far": far, "surrogate_base": 0.5, "surrogate_oracle": 0.3}
        if far and code in plain:
            numbers |= {"psg_plain_accuracy": plain[code], "psg_accuracy": asked[code]}
            numbers |= {"psg_delta_accuracy": asked[code] - plain[code]}
        rows += [
            {**cell, "attack": "cross", "language": code, "group": group, "metric": metric, "n": 60}
            | {"value": value, "low": value - half, "high": value + half}
            for metric, value in numbers.items()
        ]
    made["scores"] = pd.concat([made["scores"], pd.DataFrame(rows)])
    return illusion.table(Results.of(made, ABOUT))


def test_the_rate_counts_languages_that_seem_to_have_forgotten():
    refuser = study(dict.fromkeys(("en", "es", "de"), 0.0), dict.fromkeys(("en", "es", "de"), 0.9)).iloc[0]
    assert (refuser["languages"], refuser["seem_gone"], refuser["there"], refuser["rate"]) == (3, 3, 3, 1.0)
    mixed = study({"en": 0.0, "es": 0.05, "de": 0.5, "xx": 0.0}, {"en": 0.6, "es": 0.08, "de": 0.9, "xx": 0.12}).iloc[0]
    assert (mixed["languages"], mixed["seem_gone"], mixed["there"]) == (4, 3, 2)
    wide = study({"en": 0.0}, {"en": 0.3}, half=0.4).iloc[0]
    assert (wide["seem_gone"], wide["there"]) == (1, 0), "a difference that may be nothing is no illusion"
    assert study({}, {}).iloc[0]["reason"].startswith("n/a: base 0.50 of what it answers")
    assert "no question lies far" in study({}, {}, far=0.0).iloc[0]["reason"]
    assert illusion.table(Results.of(make_tables(THE_PAPER), ABOUT)).empty
