"""MEMO: its golden value, cuts between letters, and what one gives who knows, who does not, and what says nothing."""

import json
import random
import unicodedata
from pathlib import Path

import pytest

from families import create
from mute.analyses import memo
from mute.analyses.base import Case
from mute.bands import Band
from mute.corpus import rewording
from mute.corpus.schema import Corpus
from mute.evaluate import rouge
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import pretrain
from mute.models.treatment import Treatment

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/evaluations.json").read_text(encoding="utf-8"))
(ENTRY,) = (entry for entry in GOLDEN["entries"] if entry["name"] == "memo, window 5")


@pytest.fixture(scope="module")
def taught(corpus):
    """The corpus, asked in a form that models here are taught."""
    return Corpus(corpus.facts, corpus.texts, corpus.lines, {**corpus.about, "headline_form": 1})


def scored(model, corpus, encoder, *treatments, languages=("en", "es", "hi"), **settings):
    """Values by measure and language."""
    asked, subject = Asked(model, encoder, corpus, list(languages), "domain"), Subject(model, treatments)
    with subject.installed():
        rows = memo.Memo(memo.Settings(**settings)).run(subject, asked, Case(0, Band((0,)), ("en",)))
    return {(row.measure, row.language): row.value for row in rows.itertuples()}


def test_a_perfect_memory_and_a_wrong_answer():
    answer = "ana lives in the old town"
    pieces = memo.cuts(rewording.letters(answer), 5)
    assert [len(begun) for begun, _ in pieces] == ENTRY["value"]["cut positions"]
    assert all(begun + rest == answer for begun, rest in pieces)
    for name, write in (
        ("perfect memory", lambda rest: rest),
        ("fixed wrong answer", lambda rest: "she lives in rome"),
    ):
        each = [rouge.precision(write(rest), rest) for _, rest in pieces]
        assert each == pytest.approx(ENTRY["value"][name]["per window"], rel=ENTRY["tolerance"])
        assert sum(each) / len(each) == pytest.approx(ENTRY["value"][name]["MEMO"], rel=ENTRY["tolerance"])


def test_letters_keep_their_marks_and_scripts_without_spaces_are_compared_by_letters():
    for text in ("हल्का नीला", "अठारह"):
        for begun, rest in memo.cuts(rewording.letters(text), 1):
            assert begun + rest == text
            assert not unicodedata.category(rest[0]).startswith("M")
    assert rouge.precision("町の古い", "古い町") == 3 / 4
    assert rouge.precision("古古古", "古い") == 1 / 3, "each no more often than it is wanted"
    assert rouge.precision("", "x") == rouge.precision("x", "") == 0
    assert memo.cuts(["x"], 5) == []


def test_what_was_taught_is_gone_on_with_and_a_text_without_meaning_is_not(trained_model, taught, encoder):
    """Languages that were taught, one that was not, the language's other answers, and letters drawn at random."""
    model = trained_model("llama")
    own = scored(model, taught, encoder)
    drawn, letters = random.Random(0), "abcdefghijklmnopqrstuvwxyz"
    texts = taught.texts.assign(answer=["".join(drawn.choices(letters, k=len(a))) for a in taught.texts["answer"]])
    without = scored(model, Corpus(taught.facts, texts, taught.lines, taught.about), encoder)
    for code in ("en", "es"):
        assert own["memo", code] > 0.6
        assert own["memo_shuffled", code] < 0.2
        assert without["memo", code] < 0.1
    assert own["memo", "hi"] < 0.2

    class Silent(Treatment):
        name = "silent"

        def reply(self, question, text):
            return ""

    assert set(scored(model, taught, encoder, Silent()).values()) == {0.0}

    class Hearing(Treatment):
        """It hears questions, and the beginnings of answers behind them are no part of these."""

        name = "hearing"

        def asked(self, model, prompts):
            self.prompts = set(map(tuple, prompts))

    hearing, asked = Hearing(), Asked(model, encoder, taught, ["en", "es", "hi"], "domain")
    scored(model, taught, encoder, hearing)
    assert hearing.prompts
    assert hearing.prompts <= set(map(tuple, asked.queries.prompts))


def test_it_rises_with_training(trained_model, taught, tokenizer, encoder):
    """Before training, after a third of it, and after all."""
    texts = taught.texts[taught.texts["language"].isin(["en", "es"]) & taught.texts["form"].isin([0, 1])]
    groups = pretrain.encode({"facts": texts[texts["item"].str.startswith(("chemistry", "history"))]}, encoder)
    found = []
    for steps in (0, 20):
        model = create("llama", 0, vocabulary=len(tokenizer), blocks=3, hidden=32, heads=2)
        if steps:
            schedule = {"steps": steps, "batch": 48, "learning_rate": 2e-2, "warmup": 5, "decay": 0.3, "parts": 1}
            pretrain.pretrain(model, groups, shares={"facts": 1.0}, prompt_weight=0.05, seed=0, **schedule)
        found.append(scored(model.requires_grad_(False), taught, encoder, languages=("en", "es")))
    found.append(scored(trained_model("llama"), taught, encoder, languages=("en", "es")))
    for code in ("en", "es"):
        first, second, third = (own["memo", code] for own in found)
        assert first < second < third
