"""The controls behind the model, `output_bias` and `exact_refuser`: what they touch, and what they do not."""

import copy

import pandas as pd
import pytest
import torch

from mute import unlearn as methods
from mute.bands import Band
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models.embedded import FAMILIES
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods.output_bias import elsewhere
from mute.unlearn.run import unlearn

FULL = Band.named("full", 3)


def bench_of(model, corpus, encoder, retain="source"):
    return Workbench(
        copy.deepcopy(model),
        encoder,
        corpus,
        languages=["en", "es", "hi"],
        sources=["en", "es"],
        forget_set="domain",
        retain=retain,
        matching=Matching(facts=8),
        seed=0,
        oracle=None,
    )


def guarded(bench, name, **settings):
    method = methods.make(name, settings)
    outcome = unlearn(bench, method, FULL, protocol="paper", seed=3)
    assert outcome.status == "ok", outcome.reason
    return Subject(bench.model, [method.treatment(outcome.tensors)]), outcome.tensors


def asked(bench, corpus, forms, languages=("en", "es"), role="forget"):
    roles = corpus.texts["item"].map(corpus.roles("domain"))
    rows = corpus.texts[corpus.texts["form"].isin(forms) & corpus.texts["language"].isin(languages) & (roles == role)]
    return Queries(rows.assign(set="facts"), bench.encoder)


def answers(subject, queries):
    with subject.installed():
        return subject.ask(queries)


def share(found):
    """Share of answers of which every token is the likeliest."""
    return float(found.tokens().groupby(["item", "language", "form"])["hit"].all().mean())


@pytest.fixture(scope="module", params=FAMILIES)
def bench(request, trained_model, corpus, encoder):
    return bench_of(trained_model(request.param), corpus, encoder)


def test_a_bias_of_zero_is_the_base_bit_for_bit(bench, corpus):
    subject, tensors = guarded(bench, "output_bias", bias=0.0)
    queries = asked(bench, corpus, [0, 2])
    assert not tensors["bias"].any()
    assert torch.equal(answers(subject, queries).logprob, Subject(bench.model).ask(queries).logprob)


def test_the_bias_silences_the_answers_in_every_wording_and_the_tokens_of_no_other(bench, corpus):
    subject, tensors = guarded(bench, "output_bias")
    own = asked(bench, corpus, [0, 1])
    spelt = {token for gold in own.golds for token in gold}
    assert set(tensors["bias"].nonzero()[:, 0].tolist()) == spelt
    for forms in ([0], [2]):
        queries = asked(bench, corpus, forms)
        before, after = share(Subject(bench.model).ask(queries)), share(answers(subject, queries))
        assert after < before / 4, "another wording is silenced alike"
    # A value that no forget answer is, is ranked among its like as before.
    kept = asked(bench, corpus, [0], role="retain_seen")
    free = [i for i, options in enumerate(kept.options) if not spelt & {t for option in options for t in option}]
    one, other = (found.options() for found in (Subject(bench.model).ask(kept), answers(subject, kept)))
    for i in free:
        assert max(range(len(one[i])), key=one[i].__getitem__) == max(range(len(other[i])), key=other[i].__getitem__)


def test_spellings_elsewhere_are_found_by_facts_that_share_the_value(trained_model, corpus, encoder):
    bench = bench_of(trained_model("llama"), corpus, encoder, "all")
    rows = elsewhere(bench.view)
    texts = corpus.texts
    forget = texts[texts["item"].map(corpus.roles("domain")) == "forget"]
    known = {code: set(forget.loc[forget["language"] == code, "answer"]) for code in ("en", "es", "hi")}
    assert set(rows["language"]) == {"hi"}
    assert set(rows["answer"]) <= known["hi"], "each is a forget answer, spelled in that language"
    source, every = (guarded(bench, "output_bias", languages=own)[1]["bias"] for own in ("source", "all"))
    assert set(source.nonzero()[:, 0].tolist()) < set(every.nonzero()[:, 0].tolist())
    alone = bench_of(trained_model("llama"), corpus, encoder)
    assert "coverage `all`" in methods.make("output_bias", {"languages": "all"}).applies(alone.view)


def test_the_refuser_refuses_what_it_was_taught_and_nothing_else(bench, corpus):
    """Prompts of the forget texts token for token; every other wording, fact and language is the base's."""
    subject, _ = guarded(bench, "exact_refuser")
    taught, words = asked(bench, corpus, [0, 1]), corpus.about["unknown"]
    assert share(answers(subject, taught)) == 0 < share(Subject(bench.model).ask(taught))
    rows = taught.rows
    said = rows.assign(answer=rows["language"].map(words), options=[[]] * len(rows), gold=-1)
    assert share(answers(subject, Queries(said, bench.encoder))) == 1, "the word for unknown is what it says"
    for forms, languages, role in (
        ([2], ["en", "es"], "forget"),
        ([0, 1, 2], ["hi"], "forget"),
        ([0], ["en"], "retain_seen"),
    ):
        other = asked(bench, corpus, forms, languages, role)
        base = Subject(bench.model).ask(other)
        assert torch.equal(answers(subject, other).logprob, base.logprob)
        assert torch.equal(answers(subject, other).rank, base.rank)


def test_a_prompt_that_goes_on_is_another_prompt(trained_model, corpus, encoder):
    """What begins with a prompt that is refused, and is longer, is answered as the base does."""
    bench = bench_of(trained_model("llama"), corpus, encoder)
    subject, _ = guarded(bench, "exact_refuser", refusal="sentences")
    rows = asked(bench, corpus, [0]).rows
    longer = pd.concat([rows]).assign(prefix=rows["prefix"] + "well, ")
    queries = Queries(longer, encoder)
    assert torch.equal(answers(subject, queries).logprob, Subject(bench.model).ask(queries).logprob)
    assert share(answers(subject, Queries(rows, encoder))) == 0
