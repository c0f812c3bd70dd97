"""Refusals in the place of answers, and methods that find out from the model that they cannot run."""

import copy

import pytest
import torch

from mute import unlearn as algorithms
from mute.bands import Band
from mute.corpus import languages, romanised
from mute.corpus.schema import Corpus
from mute.unlearn import base, refusals
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn
from mute.unlearn.view import View


def viewed(corpus, sources=("en", "es"), spoken=("en", "es", "hi", "ja"), retain="source") -> View:
    return View.of(corpus, languages=list(spoken), sources=list(sources), forget_set="domain", retain=retain)


def without_words(corpus) -> Corpus:
    """The same facts as a user's own files bring them: no source but the world has words for unknown."""
    return Corpus(corpus.facts, corpus.texts, corpus.lines, {**corpus.about, "source": "files", "unknown": {}})


def test_a_view_has_the_phrases_of_the_languages_that_it_reads(corpus):
    assert set(viewed(corpus).phrases) == {"en", "es"}
    assert set(viewed(corpus, retain="all").phrases) == {"en", "es", "hi", "ja"}
    own = viewed(without_words(corpus), sources=("hi", "en"))
    assert own.phrases["hi"] is languages.load("hi").said
    assert own.unknown == {}
    assert viewed(corpus).unknown == {"en": "unknown", "es": "desconocido"}


def test_a_language_without_refusals_is_named(corpus, monkeypatch):
    """A romanised one has none, and nor has one whose pack says nothing."""
    texts = corpus.texts[corpus.texts["language"] == "hi"].assign(language="hi" + romanised.SUFFIX)
    own = Corpus(corpus.facts, texts, corpus.lines, {**corpus.about, "unknown": {}})
    view = viewed(own, sources=("hi_latn",), spoken=("hi_latn",))
    assert view.phrases == {}
    assert refusals.lacking(view, None) == "there are no refusals in hi_latn"
    assert refusals.lacking(view, "unknown") == "the corpus has no word for unknown in hi_latn"
    monkeypatch.setattr("mute.corpus.languages.load", lambda code: type("Pack", (), {"said": None}))
    assert refusals.lacking(viewed(corpus), "sentences") == "there are no refusals in en, es"


def test_the_word_is_said_where_the_corpus_has_one_in_every_language(corpus):
    view, bare = viewed(corpus), viewed(without_words(corpus))
    assert refusals.chosen(view, None) == "unknown"
    assert refusals.chosen(bare, None) == "sentences"
    assert refusals.chosen(view, "sentences") == "sentences"
    assert refusals.lacking(view, None) == refusals.lacking(bare, None) == ""
    made = refusals.refused(view, view.forget)
    assert set(zip(made["language"], made["answer"])) == {("en", "unknown"), ("es", "desconocido")}
    assert list(made["suffix"]) == list(view.forget["suffix"])


@pytest.mark.parametrize("say", [lambda view: refusals.refused(view, view.forget, "sentences"),
                                 lambda view: refusals.vague(view, view.forget)])  # fmt: skip
def test_a_wording_is_drawn_by_item_and_the_same_in_all_languages(corpus, say):
    view = viewed(corpus, sources=("en", "es", "hi", "ja"))
    made = say(view)
    assert list(made["prefix"]) == list(view.forget["prefix"]), "one for each, in their order"
    assert (made["gold"] == -1).all()
    drawn = {}
    for row in made.to_dict("records"):
        said = view.phrases[row["language"]]
        every = [text.rstrip(".。।") for text in (*said.refusals, *said.vague)]
        drawn.setdefault(row["item"], set()).add(every.index(row["answer"].rstrip(".。।")))
    assert all(len(own) == 1 for own in drawn.values())
    assert len(set.union(*drawn.values())) > 2
    assert made["answer"].tolist() == say(view)["answer"].tolist()


def test_a_sentence_ends_its_text(corpus):
    """With one final mark; a statement that went on after its value is cut there."""
    rows = viewed(corpus).forget.iloc[:4].assign(suffix=[".", "", "\n", " is its colour."])
    made = refusals.replaced(rows, lambda item, language: "No.")
    assert list(zip(made["answer"], made["suffix"])) == [("No", "."), ("No.", ""), ("No.", "\n"), ("No.", "")]
    made = refusals.replaced(rows, lambda item, language: "unknown")
    assert list(made["suffix"]) == list(rows["suffix"])
    assert list(made["answer"]) == ["unknown"] * 4


def test_a_method_that_finds_no_ability_is_a_row_and_not_an_error(corpus, encoder, trained_model):
    class Needs(type(algorithms.make("gradient_ascent", {}))):
        def prepare(self, task):
            raise base.NotApplicable("the model obeys 3 % of instructions")

    model = copy.deepcopy(trained_model("llama"))
    bench = Workbench(
        model, encoder, corpus, languages=["en", "es"], sources=["en", "es"], forget_set="domain", retain="source",
        matching=Matching(target=0.5, facts=8), seed=0, oracle=None,
    )  # fmt: skip
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    outcome = unlearn(bench, Needs(Needs.Settings()), Band.named("1", 3), protocol="matched", seed=0)
    assert (outcome.status, outcome.reason) == ("not_applicable", "the model obeys 3 % of instructions")
    assert outcome.tensors == {}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
