"""Every attack on every guard: the guard stands while it is asked, or the attack says why it cannot be tried."""

import copy
from functools import cache

import pytest
import torch
from test_no_strength import is_as_before, standing

from mute import attacks
from mute import unlearn as methods
from mute.attacks import shard
from mute.attacks.base import Victim
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import patches
from mute.models.treatment import POINTS, does
from mute.unlearn.base import Guard
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

DEPTH = 3
GUARDS = [name for name in methods.names() if methods.load(name).intent == "guard"]
# Settings with which a guard is fitted in no time; false alarms so many that it fires on something.
CHEAP: dict[str, dict] = {
    "canonicalisation": {"steps": 3},
    "chain": {"chain": [{"method": "rmu", "steps": 2, "batch_size": 4}, "ksd"]},
    "colbert_xm": {"detector_settings": {"head_steps": 2}, "false_alarms": 0.4},
    "eco": {"sigma": 3.0, "false_alarms": 0.4},
    "icul": {"tolerance": 1.0},
    "neuron_adjust": {"share": 0.2},
    "uld": {"steps": 3},
    "whp_offset": {"steps": 3},
}
# The smallest dose of attacks that train or search.
FEW = {"steps": 1, "batch_size": 2}
DOSE: dict[str, dict] = dict.fromkeys(("finetuning", "interpolation", "relearning", "retraining", "steering"), FEW)
DOSE |= {"search": {"budget": 1}, "evasion": {"budget": 1}}
# Languages of those that are not tried in English.
SPOKEN = {"romanised": ["hi"]}
# Those that cannot be tried on a guard of one block, or of the whole model.
NOT_ON_GUARDS = {"bypass", "mix"}
# It acts on the very prompts that it has read, and on no others.
EXACT = "exact_refuser"
FAST = {("word_filter", None), ("icu", "forms"), ("alu", "relearning"), ("canonicalisation", "quantize")}


class Spy:
    """A guard that counts how often each of its points was asked for, and what its questions were."""

    def __init__(self, guard):
        self.guard, self.seen, self.open, self.heard = guard, dict.fromkeys(POINTS, 0), 0, None

    def watched(self):
        """The guard, an instance of a class of its own of which each point that does something is counted."""
        spy, kind = self, type(self.guard)

        def counted(point):
            def call(own, *given):
                spy.seen[point] += 1
                made = getattr(kind, point)(own, *given)
                if point == "questions":
                    spy.heard = given[0], made
                return made

            return call

        points = {point: counted(point) for point in POINTS if does(kind, point)}
        watched = copy.copy(self.guard)
        watched.__class__ = type(kind.__name__, (kind,), points)
        for name, own in vars(self.guard).items():
            # What it calls of itself is of the copy.
            if getattr(own, "__self__", None) is self.guard:
                setattr(watched, name, getattr(watched, own.__name__))
        return watched


class Guarded:
    """Guards that were fitted to one model, each once, and the two facts that are asked."""

    def __init__(self, model, encoder, corpus):
        self.model, self.encoder, self.corpus = model, encoder, corpus
        self.bench = Workbench(
            model,
            encoder,
            corpus,
            languages=["en", "es", "hi"],
            sources=["en", "es"],
            forget_set="domain",
            retain="source+text",
            matching=Matching(facts=4),
            seed=0,
            oracle=None,
        )
        self.fitted = cache(self._fitted)
        self.items = self._items()

    def victim(self, languages):
        sources = ("en", "es")
        return Victim(self.model, self.encoder, self.corpus, Band((1,)), sources, tuple(languages), "domain", 1)

    def _items(self):
        """One fact that neither a search nor a training uses, and one that both do."""
        asked = Asked(self.model, self.encoder, self.corpus, ["en"], "domain")
        rows, kept = asked.queries.rows, True
        for name in ("search", "relearning"):
            kind = attacks.load(name)
            kept = kept & kind(kind.Settings(), self.victim(["en"])).asks(rows)
        return [rows["item"][kept].iloc[0], rows["item"][~kept].iloc[0]]

    def _fitted(self, name):
        """The method, what it has fitted, and its edit, of a chain."""
        method = methods.make(name, CHEAP.get(name, {}))
        self.bench.restart()
        band = Band.named((method.bands or ("1",))[0], DEPTH)
        made = unlearn(self.bench, method, band, protocol="paper", seed=3)
        assert made.status in ("ok", "not_reached"), made.reason
        return (
            (method.guard, made.tensors, {}) if isinstance(method, Guard) else (method.guard, made.fitted, made.tensors)
        )

    def loud(self, name):
        """The guard that fires on everything, and the edit below it."""
        guard, fitted, edit = self.fitted(name)
        fitted = dict(fitted)
        if "threshold" in fitted:
            fitted["threshold"] = torch.full_like(fitted["threshold"], -float("inf"))
        if name == "word_filter":
            fitted["bias"] = torch.full_like(fitted["bias"], 1e6)
        return guard.treatment(fitted), edit

    def asked(self, languages):
        """The two facts in the headline form."""
        asked = Asked(self.model, self.encoder, self.corpus, languages, "domain")
        rows = asked.queries.rows
        asked.queries = Queries(rows[rows["item"].isin(self.items)].reset_index(drop=True), self.encoder)
        asked.texts = asked.queries.texts(self.model)
        return asked


@pytest.fixture(scope="module")
def guarded(trained_model, encoder, corpus):
    return Guarded(copy.deepcopy(trained_model("llama")), encoder, corpus)


def pairs():
    for guard in GUARDS:
        for attack in attacks.names():
            fast = {(guard, None), (guard, attack)} & FAST
            yield pytest.param(guard, attack, marks=[] if fast else pytest.mark.in_turn)


def tried(asked, treatments, attack, monkeypatch, band):
    """The table and the outcome of an attack, and the questions that were asked at last."""
    kind, questions = attacks.load(attack), []
    prepared = shard.Prepared(attack, kind, kind.Settings(**DOSE.get(attack, {})), 1, "")

    def ask(self, queries, texts=None, watch=None, own=Subject.ask):
        questions.append(queries.rows)
        return own(self, queries, texts, watch)

    with monkeypatch.context() as patch:
        patch.setattr(Subject, "ask", ask)
        table, outcome = shard.attacked(asked, Subject(asked.model, treatments), band, prepared, ("en", "es"))
    return table, outcome, questions


@pytest.mark.parametrize(("name", "attack"), list(pairs()))
def test_a_guard_stands_under_an_attack_or_the_attack_says_why_not(guarded, monkeypatch, name, attack):
    kind, model = attacks.load(attack), guarded.model
    guard, edit = guarded.loud(name)
    band = Band.named((methods.make(name, CHEAP.get(name, {})).bands or ("1",))[0], DEPTH)
    reason = kind.applies(kind.Settings(**DOSE.get(attack, {})), str(band), "guard")
    assert bool(reason) is (attack in NOT_ON_GUARDS)
    if reason:
        assert len(reason.split()) > 2, "a reason in words"
        return
    asked = guarded.asked(SPOKEN.get(attack, ["en"]))
    with patches.kept(model, edit):
        patches.put(model, edit)
        alone, _, _ = tried(asked, [], attack, monkeypatch, band)
        before, spy = standing(model), Spy(guard)
        asked.texts.restart()
        table, outcome, questions = tried(asked, [spy.watched()], attack, monkeypatch, band)
        assert is_as_before(model, before)
    if outcome["status"] == "not_applicable":
        assert len(outcome["reason"].split()) > 2, "a reason in words"
        return
    assert outcome["status"] == "ok"
    assert table["logprob"].notna().all()
    assert len(table)
    for point in POINTS:
        # Nobody has asked for replies: no text is written.
        if does(type(guard), point) and point != "reply":
            assert spy.seen[point], point
    if spy.heard is not None:
        heard, made = spy.heard
        assert questions[-1]["prefix"].tolist() == made["prefix"].tolist(), "what the guard made of it is asked"
        assert all(each.endswith(own) for own, each in zip(heard["prefix"], made["prefix"]))
    if name != EXACT:
        assert not table["logprob"].equals(alone["logprob"]), "the guard does something"


@pytest.mark.parametrize("attack", ["latent", "steering"])
def test_states_are_moved_at_the_end_of_what_a_guard_has_made_of_a_question(guarded, monkeypatch, attack):
    kind, asked = attacks.load(attack), guarded.asked(["en"])
    guard, _ = guarded.loud("icu")
    settings = kind.Settings(**DOSE.get(attack, {}))
    own = kind(settings, guarded.victim(["en"]))
    subject = Subject(guarded.model, [guard, own])
    queries = Queries(subject.questions(asked.queries.rows), guarded.encoder)
    with subject.installed():
        subject.ask(queries)
    assert own.prompts == set(map(tuple, queries.prompts))
    assert not own.prompts & set(map(tuple, asked.queries.prompts)), "the guard has put a text before each"


def test_a_guard_hears_what_an_attack_has_made_of_a_question(guarded):
    """The other way round a question in another form would have put the guard's words away."""
    kind, asked = attacks.load("forms"), guarded.asked(["en"])
    guard, _ = guarded.loud("icu")
    plain, rows = kind(kind.Settings(form="question"), guarded.victim(["en"])), asked.queries.rows
    made = Subject(guarded.model, [guard, plain]).questions(rows)
    assert made["prefix"].equals(guard.questions(plain.questions(rows))["prefix"])
    assert not made["prefix"].equals(guard.questions(rows)["prefix"])
    assert all(text.startswith(guard.other) for text in made["prefix"])
