"""What a small model answers along the graph of its world: of facts that it knows, and of others it was never told.

One model is both: it is trained without the forget set `subject`, so that on these facts it is its own oracle.
"""

import pytest

from families import create
from mute import attacks
from mute.attacks.base import Victim
from mute.bands import Band
from mute.corpus.sources import world
from mute.evaluate.item_table import items
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import pretrain, tokenizer
from mute.models.texts import tokenizer_texts, training_texts
from mute.models.tokenizer import Encoder

CODES = ("en", "es")
FORMS = [("rwku", "synonym"), ("rwku", "reverse"), ("forms", "choice"), ("graph", "surrogate")]
FORMS += [("graph", "two_hop"), ("graph", "three_hop"), ("graph", "comparison")]
CHANCE = 1 / 8


@pytest.fixture(scope="module")
def answered():
    """By form, and '' for the plain question: share right of known facts and of facts never told, and how many."""
    settings = world.Settings(
        subjects={"chemistry": 16, "history": 12, "law": 12, "geography": 1},
        teaching_languages=list(CODES),
        transfer_share=0.0,
        reading_lines=20,
        unknown_lines=20,
        sentence_lines=20,
        probe_lines=8,
        graph=["alias", "two_hop", "comparison"],
    )
    corpus = world.build(settings, list(CODES), 1)
    texts = tokenizer_texts(corpus, list(CODES))
    words = tokenizer.train((part for text in texts for part in tokenizer.parts(*text)), 1000)
    encoder = Encoder(words)
    model = create("llama", 0, vocabulary=len(words), blocks=4, hidden=64, heads=4)
    groups = pretrain.encode(training_texts(corpus, list(CODES), "subject"), encoder)
    schedule = {"steps": 250, "batch": 64, "learning_rate": 1e-2, "warmup": 20, "decay": 0.5}
    pretrain.pretrain(model, groups, shares={"facts": 1.0}, prompt_weight=0.05, seed=0, **schedule)
    gone, never = (corpus.facts.loc[corpus.in_forget_set(own), "item"] for own in ("domain", "subject"))
    rows = corpus.texts[(corpus.texts["form"] == 2) & corpus.texts["item"].isin(gone)]
    rows = rows.assign(set="facts").reset_index(drop=True)
    victim = Victim(model, encoder, corpus, Band((1,)), CODES, CODES, "domain", 1)
    found = {"": _right(model, encoder, rows, never)}
    for name, form in FORMS:
        method = attacks.load(name)
        attack = method(method.Settings(form=form), victim)
        own = rows[attack.asks(rows)].reset_index(drop=True)
        found[form] = _right(model, encoder, attack.questions(own), never)
    for form, (known, other, n) in found.items():
        print(f"{form or 'plain':11} known {known:.2f} never told {other:.2f} of {n}")
    return found


def _right(model, encoder, rows, never):
    own = items(Subject(model).ask(Queries(rows, encoder)).tokens())
    untold = own["item"].isin(never)
    return own.loc[~untold, "option"].mean(), own.loc[untold, "option"].mean(), int(untold.sum())


@pytest.mark.slow
def test_who_knows_a_fact_knows_it_by_a_second_name_and_in_a_new_wording(answered):
    plain = answered[""][0]
    assert plain > 0.9
    for form in ("synonym", "surrogate"):
        assert answered[form][0] > 0.7 * plain, form


@pytest.mark.slow
@pytest.mark.parametrize("form", ["", *(form for _, form in FORMS)])
def test_no_form_tells_a_fact_to_one_that_never_knew_it(answered, form):
    """Within three standard errors of chance."""
    _, other, n = answered[form]
    assert other < CHANCE + 3 * (CHANCE * (1 - CHANCE) / n) ** 0.5 + 0.02
