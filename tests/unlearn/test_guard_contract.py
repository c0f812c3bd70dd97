"""What every registered guard keeps to, on every embedded family; a guard's new file joins here."""

import copy
from functools import cache

import pytest
import torch

from families import EMBEDDED
from mute import unlearn as methods
from mute.analyses.base import Case
from mute.analyses.lens import Lens
from mute.bands import Band
from mute.engine import sections
from mute.evaluate.asked import Asked
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import hooks, patches
from mute.models.treatment import overrides
from mute.unlearn.base import Guard
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.methods.word_filter import Filter
from mute.unlearn.run import unlearn
from mute.unlearn.speaking import Guarded, How

DEPTH = 3
GUARDS = [name for name in methods.names() if issubclass(methods.load(name), Guard)]
# On all families in the fast set: one that acts on embeddings, and two behind the model.
EVERYWHERE = ("word_filter", "output_bias", "exact_refuser")
CASES = [
    pytest.param(family, name, marks=[] if family == EMBEDDED[0] or name in EVERYWHERE else pytest.mark.in_turn)
    for family in EMBEDDED
    for name in GUARDS
]
# Settings with which a guard is fitted in no time; what is said of it here holds of all.
CHEAP: dict[str, dict] = {
    "canonicalisation": {"steps": 3},
    "colbert_xm": {"detector_settings": {"head_steps": 2}, "false_alarms": 0.4},
    "eco": {"sigma": 3.0, "false_alarms": 0.4},
    "icul": {"tolerance": 1.0},
    "neuron_adjust": {"share": 0.2},
    "uld": {"steps": 3},
    "whp_offset": {"steps": 3},
}
# What turns off a guard that has no threshold; those of which nothing is said have tests of their own.
OFF: dict[str, dict] = {
    "canonicalisation": {"scale": 0.0},
    "icu": {"subjects": 0},
    "icul": {"flipped": 0, "shots": 0},
    "neuron_adjust": {"share": 0.0},
    "output_bias": {"bias": 0.0},
    "uld": {"weight": 0.0},
    "whp_offset": {"alpha": 0.0},
}
OWN_TESTS = ("exact_refuser", "word_filter")


class Fits:
    """Workbenches by family, and what guards were fitted to on them, each once."""

    def __init__(self, trained_model, corpus, encoder):
        self.trained_model, self.corpus, self.encoder = trained_model, corpus, encoder
        self.tokenizer = encoder.tokenizer
        self.bench, self.of = cache(self._bench), cache(self.fit)
        self.asked = cache(lambda family: Asked(self.bench(family).model, encoder, corpus, ["en", "es"], "domain"))

    def _bench(self, family):
        return Workbench(
            copy.deepcopy(self.trained_model(family)),
            self.encoder,
            self.corpus,
            languages=["en", "es", "hi"],
            sources=["en", "es"],
            forget_set="domain",
            retain="source",
            matching=Matching(facts=8),
            seed=0,
            oracle=None,
        )

    def fit(self, family, name):
        method, bench = methods.make(name, CHEAP.get(name, {})), self.bench(family)
        bench.restart()
        band = (method.bands or ("1",))[0]
        return method, unlearn(bench, method, Band.named(band, DEPTH), protocol="paper", seed=3)


@pytest.fixture(scope="module")
def fits(trained_model, corpus, encoder):
    return Fits(trained_model, corpus, encoder)


@pytest.mark.parametrize(("family", "name"), CASES)
def test_a_guard_that_is_read_again_gives_the_same_answers_and_no_weight_differs(fits, family, name, tmp_path):
    model, asked = fits.bench(family).model, fits.asked(family)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    standing = hooks.on([("model", model)])
    method, outcome = fits.of(family, name)
    assert outcome.status in ("ok", "not_reached"), outcome.reason
    assert all(bool(tensor.isfinite().all()) for tensor in outcome.tensors.values())
    again = fits.fit(family, name)[1].tensors
    assert all(torch.equal(tensor, again[key]) for key, tensor in outcome.tensors.items()), "the same each time"
    patches.save(tmp_path, outcome.tensors, patches.FITTED)
    base, answers = Subject(model).ask(asked.queries), []
    for tensors in (outcome.tensors, patches.load(tmp_path, patches.FITTED)):
        subject = Subject(model, [method.treatment(tensors)])
        with subject.installed():
            answers.append(subject.ask(asked.queries))
    assert torch.equal(answers[0].logprob, answers[1].logprob)
    assert torch.equal(Subject(model).ask(asked.queries).logprob, base.logprob)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert hooks.on([("model", model)]) == standing


@pytest.mark.parametrize(("family", "name"), CASES)
def test_the_lens_inside_a_guard_that_acts_outside_is_the_bases(fits, family, name):
    asked, (method, outcome) = fits.asked(family), fits.of(family, name)
    guard = method.treatment(outcome.tensors)
    lens, subject = Lens(Lens.Settings()), Subject(fits.bench(family).model, [guard])
    case = Case(0, Band((0,)), ())
    own = lens.run(Subject(subject.model), asked, case)
    with subject.installed():
        inside = lens.run(subject, asked, case)
    acts_inside = any(overrides(guard, point) for point in ("states", "embeddings", "weights"))
    assert inside.equals(own) is not acts_inside


@pytest.mark.parametrize("name", [name for name in GUARDS if name not in OWN_TESTS])
def test_a_guard_that_is_off_is_the_base_bit_for_bit(fits, name):
    """With a threshold that nothing passes, as after a forget list that is empty; or with its strength at nothing."""
    asked, (method, outcome) = fits.asked(EMBEDDED[0]), fits.of(EMBEDDED[0], name)
    model, tensors = fits.bench(EMBEDDED[0]).model, dict(outcome.tensors)
    if "threshold" in tensors:
        tensors["threshold"] = torch.full_like(tensors["threshold"], float("inf"))
    else:
        method = methods.make(name, {**CHEAP.get(name, {}), **OFF[name]})
        fits.bench(EMBEDDED[0]).restart()
        band = Band.named((method.bands or ("1",))[0], DEPTH)
        tensors = unlearn(fits.bench(EMBEDDED[0]), method, band, protocol="paper", seed=3).tensors
    lens, case, subject = Lens(Lens.Settings()), Case(0, Band((0,)), ()), Subject(model, [method.treatment(tensors)])
    with subject.installed():
        found, inside = subject.ask(asked.queries), lens.run(subject, asked, case)
    base, own = Subject(model).ask(asked.queries), lens.run(Subject(model), asked, case)
    assert torch.equal(found.logprob, base.logprob)
    assert torch.equal(found.rank, base.rank)
    assert inside.equals(own)
    assert subject.questions(asked.queries.rows) is asked.queries.rows
    prompts = asked.queries.rows["prefix"].tolist()[:4]
    guarded, plain = Guarded(model, fits.tokenizer, subject.treatments), Guarded(model, fits.tokenizer)
    assert guarded.say(prompts, How(3)) == plain.say(prompts, How(3))


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_says_the_same_on_the_models_own_path(fits, name):
    """Where nobody said what the prompt is, all that has been read is one: the same, at a prompt's last token."""
    asked, (method, outcome) = fits.asked(EMBEDDED[0]), fits.of(EMBEDDED[0], name)
    guard = method.treatment(outcome.tensors)
    subject, q = Subject(fits.bench(EMBEDDED[0]).model, [guard]), asked.queries
    with subject.installed():
        answers = subject.ask(q)
    first = [0, *torch.tensor([len(gold) for gold in q.golds]).cumsum(0).tolist()]
    for question in (0, len(q.prompts) - 1):
        with subject.installed(plain=True):
            logits = subject.model(input_ids=torch.tensor([q.prompts[question]])).logits[0, -1]
        plain = logits.log_softmax(-1)[q.golds[question][0]]
        assert torch.allclose(plain, answers.logprob[first[question]], atol=2e-4)


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_in_use_says_and_scores_what_it_does_in_the_study(fits, name):
    """Token by token with a cache, as when all of it is read again; each token is the likeliest of what is asked."""
    asked, (method, outcome) = fits.asked(EMBEDDED[0]), fits.of(EMBEDDED[0], name)
    guard, model = method.treatment(outcome.tensors), fits.bench(EMBEDDED[0]).model
    rows = asked.queries.rows.iloc[:6]
    own = Guarded(model, fits.tokenizer, [guard])
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    standing = hooks.on([("model", model)])
    subject = Subject(model, [guard])
    queries = Queries(subject.questions(rows.assign(language="en")), fits.encoder)
    with subject.installed():
        answers = subject.ask(queries)
    counts = [len(gold) for gold in queries.golds]
    wanted = torch.stack([part.double().sum() for part in answers.logprob[: sum(counts)].split(counts)])
    found = torch.tensor(own.score(rows["prefix"].tolist(), rows["answer"].tolist(), language="en")).double()
    assert torch.allclose(found, wanted, atol=1e-3)
    said = own.say(rows["prefix"].tolist(), How(3), language="en")
    assert own.caches is not any(overrides(guard, point) for point in ("states", "weights"))
    for each, prefix in zip(said, subject.questions(rows.assign(language="en"))["prefix"]):
        read = fits.encoder.prompt(prefix)
        assert each.read == len(read)
        for token in each.tokens:
            with subject.installed():
                guard.asked(model, [fits.encoder.prompt(prefix)])
                hidden = sections.run(
                    model, sections.embed(model, torch.tensor([read])), 0, DEPTH, ids=torch.tensor([read])
                )
                logits = subject.treat(*_last(model, hidden, read)) if subject.treat else _last(model, hidden, read)[0]
            assert float(logits[0, token]) >= float(logits.max()) - 1e-3
            read = [*read, token]
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert hooks.on([("model", model)]) == standing


def _last(model, hidden, read):
    return sections.read_out(model, hidden[:, -1]), [read]


@pytest.mark.parametrize("family", EMBEDDED)
def test_a_filter_whose_condition_is_empty_gives_the_bases_bits(fits, corpus, encoder, family):
    model = fits.bench(family).model
    asked, width = Asked(model, encoder, corpus, ["en", "es"], "domain"), model.config.hidden_size
    never = Subject(model, [Filter(torch.zeros(width), torch.tensor([-1.0]), torch.ones(width))])
    base = Subject(model).ask(asked.queries, asked.texts)
    with never.installed():
        found = never.ask(asked.queries, asked.texts)
    assert torch.equal(found.logprob, base.logprob)
    assert torch.equal(found.rank, base.rank)
