"""ICUL before a model that was taught to go by examples: a wrong one lowers its answer, a right one does not."""

import random

import pandas as pd
import pytest

from families import create
from mute import unlearn as methods
from mute.bands import Band
from mute.corpus.sources import world
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import pretrain, tokenizer
from mute.models.texts import tokenizer_texts
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

SHOTS, ROLES = 2, ("forget", "retain_seen")


def documents(rows, draw):
    """Examples before a question: about itself, with any of its options, which is then the answer, or with the right
    one; or about something else, with any option, which is nothing to it. Right ones follow."""
    records, found = rows.to_dict("records"), []
    for turn in range(6):
        for row in records:
            right = [own for own in draw.sample(records, SHOTS + 3) if own["prefix"] != row["prefix"]]
            shown = right.pop() if turn % 3 == 2 else row
            said = row["answer"] if turn % 3 == 1 else draw.choice(shown["options"])
            examples = [shown["prefix"] + said + shown["suffix"]]
            examples += [own["prefix"] + own["answer"] + own["suffix"] for own in right[:SHOTS]]
            answer = row["answer"] if turn % 3 == 2 else said
            found.append({**row, "prefix": " ".join([*examples, row["prefix"]]), "answer": answer})
    return pd.DataFrame(found)


@pytest.mark.slow
def test_a_wrong_example_lowers_the_answer_and_the_right_one_does_not():
    subjects = {"chemistry": 4, "history": 8, "law": 2, "geography": 2}
    lines = {"reading_lines": 10, "unknown_lines": 10, "sentence_lines": 10, "probe_lines": 8}
    corpus = world.build(world.Settings(subjects=subjects, teaching_languages=["en"], **lines), ["en"], 1)
    told = (part for text in tokenizer_texts(corpus, ["en"]) for part in tokenizer.parts(*text))
    encoder = tokenizer.Encoder(tokenizer.train(told, 1000))
    texts = corpus.texts[corpus.texts["form"].isin([0, 1])]
    history = texts["item"].str.startswith("history")
    facts = texts[texts["item"].str.startswith("chemistry") | history]
    groups = pretrain.encode({"facts": facts, "shots": documents(texts[history], random.Random(0))}, encoder)
    model = create("llama", 0, vocabulary=len(encoder.tokenizer), blocks=3, hidden=32, heads=2)
    schedule = {"steps": 300, "batch": 48, "learning_rate": 2e-2, "warmup": 5, "decay": 0.3, "parts": 1}
    shares = {"facts": 0.5, "shots": 0.5}
    pretrain.pretrain(model, groups, shares=shares, prompt_weight=0.05, seed=0, **schedule)
    about = {"languages": ["en"], "sources": ["en"], "forget_set": "domain", "retain": "source"}
    matching = Matching(facts=8)
    bench = Workbench(model.requires_grad_(False), encoder, corpus, **about, matching=matching, seed=0, oracle=None)
    roles = texts["item"].map(corpus.roles("domain"))

    def hits(subject):
        asked = (Queries(subject.questions(texts[roles == role]), encoder) for role in ROLES)
        return [round(float(subject.ask(queries).option_hits().float().mean()), 2) for queries in asked]

    found = {"base": hits(Subject(model))}
    for label in ("wrong", "true"):
        bench.restart()
        method = methods.make("icul", {"shots": SHOTS, "label": label})
        outcome = unlearn(bench, method, Band.named("full", 3), protocol="paper", seed=3)
        assert outcome.status == "ok", outcome.reason
        found[label] = hits(Subject(model, [method.treatment(outcome.tensors)]))
    print("icul, hits on", ROLES, found)
    assert found["base"][0] >= 0.95
    assert found["true"][0] >= 0.9
    assert found["wrong"][0] <= min(0.8, found["true"][0] - 0.2)
