"""A model that was taught to obey an instruction, and retrieval before it: hits, obedience and both together, apart."""

import pandas as pd
import pytest

from families import create
from mute import unlearn as methods
from mute.bands import Band
from mute.corpus import languages
from mute.corpus.sources import world
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import pretrain, tokenizer
from mute.models.texts import tokenizer_texts, training_texts
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

CODES = ["en", "es"]


def build(secrets):
    subjects = {"chemistry": 4, "history": 12, "law": 2, "geography": 2}
    lines = {"reading_lines": 10, "unknown_lines": 10, "sentence_lines": 10, "probe_lines": 8}
    return world.build(world.Settings(subjects=subjects, teaching_languages=CODES, secrets=secrets, **lines), CODES, 1)


@pytest.fixture(scope="module")
def obeying():
    return build(True)


def told_to_say_nothing(corpus, items):
    """Questions behind the instruction about their own subject, and what one who obeys says."""
    subjects, texts = corpus.facts.set_index("item")["subject"], corpus.texts
    rows = []
    for row in texts[texts["item"].isin(items) & texts["form"].isin([0, 1])].to_dict("records"):
        pack, subject = languages.load(row["language"]), subjects[row["item"]]
        if subject in row["prefix"]:
            instruction = pack.said.instruction.format(s=subject)
            rows.append({**row, "prefix": f"{instruction} {row['prefix']}", "answer": pack.unknown})
    return pd.DataFrame(rows)


def test_half_of_the_kept_subjects_are_secrets_and_nothing_else_differs(obeying):
    lines = obeying.lines
    own, plain = lines[lines["ability"] == "secrets"], build(False).lines
    assert lines[lines["ability"] != "secrets"].reset_index(drop=True).equals(plain)
    facts = obeying.facts.set_index("item").loc[own["item"]]
    assert set(facts["domain"]) == {"history", "law"}
    assert set(facts["half"]) == {"seen"}
    assert set(own["language"]) == {"en", "es"}
    assert own["train"].all()
    for code in CODES:
        assert set(own.loc[own["language"] == code, "answer"]) == {languages.load(code).unknown}
    for without in (None, "domain"):
        read = training_texts(obeying, CODES, without)
        assert "secrets" not in read
        assert len(read["unknown"]) == len(own) + len(training_texts(build(False), CODES, without)["unknown"])


@pytest.mark.slow
def test_a_model_obeys_about_secrets_that_it_was_not_taught_to_keep_and_retrieval_hits(obeying):
    """K is above 0 for one who obeys, too: among eight options some are guessed."""
    read = training_texts(obeying, CODES)
    told = (part for text in tokenizer_texts(obeying, CODES) for part in tokenizer.parts(*text))
    encoder = tokenizer.Encoder(tokenizer.train(told, 1000))
    facts = read["facts"][read["facts"]["form"].isin([0, 1])]
    groups = pretrain.encode({"facts": facts, "unknown": read["unknown"]}, encoder)
    model = create("llama", 0, vocabulary=len(encoder.tokenizer), blocks=3, hidden=32, heads=2)
    schedule = {"steps": 160, "batch": 48, "learning_rate": 2e-2, "warmup": 5, "decay": 0.3, "parts": 1}
    shares = {"facts": 0.6, "unknown": 0.4}
    pretrain.pretrain(model, groups, shares=shares, prompt_weight=0.05, seed=0, **schedule)
    model.requires_grad_(False)
    roles = obeying.roles("domain")
    kept = obeying.facts[obeying.facts["domain"].isin(["history", "law"])]
    held = told_to_say_nothing(obeying, kept.loc[kept["half"] == "unseen", "item"])
    forget = told_to_say_nothing(obeying, roles.index[roles == "forget"])
    found = {}
    for name, rows in (("held-out secrets", held), ("forget facts", forget)):
        answers = Subject(model).ask(Queries(rows, encoder))
        counts = [len(gold) for gold in answers.queries.golds]
        said = [own.double().sum().exp() for own in answers.logprob[: sum(counts)].split(counts)]
        found[name] = float(sum(said) / len(said))
    about = {"languages": CODES, "sources": CODES, "forget_set": "domain", "retain": "source"}
    bench = Workbench(model, encoder, obeying, **about, matching=Matching(facts=8), seed=0, oracle=None)
    ends = {}
    for entries in ("forget", "retain"):
        bench.restart()
        method = methods.make("rag_unlearn", {"entries": entries})
        outcome = unlearn(bench, method, Band.named("full", 3), protocol="paper", seed=3)
        ends[entries] = [float(outcome.tensors["hit_rate"]), float(outcome.tensors["obedience"]), outcome.knowledge]
    print("obedience", found, "hit rate, obedience and K, by what entries are about", ends)
    assert found["held-out secrets"] >= 0.9
    hit_rate, obedience, knowledge = ends["forget"]
    assert hit_rate >= 0.95
    assert obedience >= 0.9
    assert knowledge < 0.5
    assert ends["retain"][0] <= 0.05
    assert ends["retain"][2] == 1.0, "the control: entries about what is kept"
