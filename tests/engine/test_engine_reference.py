"""The engine against the plain path of whole models, for every algorithm and family.

Bit for bit where both see the same padded length; otherwise within rounding. Batches have a multiple of four rows:
torch sums what is left over of fours in another order, on either path.
"""

import copy
import dataclasses
import itertools
import zlib

import pytest
import torch

from families import EMBEDDED, OTHERS
from mute import unlearn as algorithms
from mute.bands import Band
from mute.corpus import strangers
from mute.engine.band import Task, TextSet
from mute.engine.reference import WholeModel
from mute.unlearn.base import Descent, Edit
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn
from mute.unlearn.view import View

DEPTH = 3
# Models that were never taught to obey an instruction are asked to all the same.
ABLE = {"bidi_distill": {"obeys": 0.0}}
METHODS = [name for name in algorithms.names() if issubclass(algorithms.load(name), Descent | Edit)]
VARIANTS = [
    *((name, ABLE.get(name, {})) for name in METHODS),
    ("rmu", {"variant": "reference"}),
    ("simnpo", {"variant": "as_written"}),
    ("slug", {"variant": "reference"}),
    ("slug", {"variant": "retain_mse"}),
]
# They derive gradients again: through the whole model the same sums come in another order.
AGAIN = {"ofmu"}
# One method of each family of methods meets all bands.
FIRST = {algorithms.load(name).family: name for name, _ in reversed(VARIANTS)}
LENGTHS = ("one length", "many lengths")


def cases(bands=("1",)):
    """(name, settings, family, lengths, band): of each kind of method one in the fast set, the others in turn."""
    found = []
    for name, settings in VARIANTS:
        label = " ".join([name, *map(str, settings.values())])
        turn = zlib.crc32(label.encode())
        first = name == FIRST[algorithms.load(name).family] and settings == ABLE.get(name, {})
        for (place, family), (number, lengths), band in itertools.product(
            enumerate(EMBEDDED), enumerate(LENGTHS), bands
        ):
            if not first and (band != bands[0] or number != (turn + place) % 2):
                continue
            quick = first and place == turn % len(EMBEDDED) and number == 0
            case = f"{label}-{family} {lengths}-{band}"
            marks = () if quick else pytest.mark.in_turn
            found.append(pytest.param(name, settings, family, lengths, band, marks=marks, id=case))
    return found


class Rows(Workbench):
    """A workbench on given rows of text, with nothing to ask."""

    def __init__(self, model, view, encoder) -> None:
        self.model, self.matching, self.sources, self.encoder = model, Matching(), [], encoder
        self.view, forget, retain = view, view.forget, view.retain
        self.forget, self.retain = TextSet(model, forget, encoder), TextSet(model, retain, encoder)
        self.asked, self.questions, self.base, self.floor = {}, {}, {"forget": 0.0}, 0.0

    def knowledge(self, band):
        return 0.0


@pytest.fixture
def bench_of(trained_model, corpus, encoder):
    """bench_of(family, lengths): forget and retain texts, of one length each or not."""
    return lambda family, lengths: _bench(copy.deepcopy(trained_model(family)), lengths, corpus, encoder)


def _bench(model, lengths, corpus, encoder):
    languages = ["en", "es", "pt"]
    view = View.of(corpus, languages=languages, sources=languages, forget_set="domain")
    texts = corpus.texts[corpus.texts["language"].isin(languages) & (corpus.texts["form"] != 2)]
    texts = texts.assign(subject=texts["item"].map(corpus.facts.set_index("item")["subject"]))
    length = [len(encoder.whole(*row)) for row in texts[["prefix", "answer", "suffix"]].itertuples(index=False)]
    sides = []
    for domain in ("chemistry", "history"):
        rows = texts.assign(length=length)[texts["item"].str.startswith(domain)]
        if lengths == "one length":
            rows = rows[rows["length"] == rows["length"].mode()[0]]
        assert len(rows) >= 10
        sides.append(rows)
    named = sorted({*sides[0]["subject"], *sides[1]["subject"]})
    told = {"forget": sides[0], "retain": sides[1], "strangers": strangers.of(corpus, named)}
    made = Rows(model, dataclasses.replace(view, **told), encoder)
    made.exact = lengths == "one length"
    return made


def make(name, settings, **common):
    method = algorithms.load(name)
    return method(method.Settings(**common, **settings))


def same(one: torch.Tensor, other: torch.Tensor, exact: bool) -> None:
    if exact:
        assert torch.equal(one, other)
    else:
        assert (one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize(("name", "settings", "family", "lengths", "band"), cases(("0-1", "0", "1", "2")))
def test_loss_and_gradients_are_those_of_the_whole_model(bench_of, name, settings, family, lengths, band):
    compare(bench_of(family, lengths), name, settings, band)


@pytest.mark.parametrize("name", ["rmu", "simnpo", "slug"])
@pytest.mark.parametrize("family", OTHERS)
def test_loss_and_gradients_of_every_known_family(bench_of, family, name):
    """One loss on a block's output, one on the answers, one edit: every way in which the engine runs a model."""
    compare(bench_of(family, "one length"), name, {}, "0-1")
    compare(bench_of(family, "one length"), name, {}, "2")


def compare(bench, name, settings, band):
    chosen, found = Band.named(band, DEPTH), []
    rows = {"forget": torch.arange(8)}
    for path in (WholeModel, Task):
        algorithm = make(name, settings)
        sides = bench.sides(algorithm)
        bench.restart()
        bench.advance(chosen.start)
        task = path(bench.model, chosen, sides["forget"], sides["retain"], 3, sides)
        names = algorithm.parameters(bench.model, chosen)
        task.train(names)
        algorithm.prepare(task)
        if isinstance(algorithm, Edit):
            found.append(list(algorithm.change(task).values()))
        else:
            batches = {side: task.batch(side, rows.get(side, torch.arange(2, 10) % len(sides[side]))) for side in sides}
            loss, gradients = algorithm.gradients(task, batches, names)
            assert all(gradient is not None for gradient in gradients)
            found.append([loss.detach(), *gradients])
        bench.model.requires_grad_(False)
    assert len(found[0]) == len(found[1]) >= 1
    for whole, engine in zip(*found):
        # A bias without any gradient but rounding is moved all the same by an edit's own steps of AdamW.
        if bench.exact or engine.ndim != 1 or not isinstance(algorithm, Edit):
            same(engine, whole, bench.exact and not bench.further and name not in AGAIN)


@pytest.mark.parametrize(("name", "settings", "family", "lengths", "band"), cases())
def test_twenty_steps_give_the_whole_models_patch(bench_of, name, settings, family, lengths, band):
    bench = bench_of(family, lengths)
    # A small step: AdamW divides by the gradient's size, and would make steps of what is only rounding.
    algorithm = make(name, settings, steps=20, batch_size=8, learning_rate=1e-4)
    whole, engine = (
        (bench.restart(), unlearn(bench, algorithm, Band.named(band, DEPTH), protocol="paper", seed=3, path=path))[1]
        for path in (WholeModel, Task)
    )
    assert whole.status == engine.status == "ok"
    assert whole.tensors.keys() == engine.tensors.keys()
    assert engine.size > 0
    # What a method makes of the texts may be of other lengths.
    if bench.exact and not bench.further and name not in AGAIN:
        assert whole.curve == engine.curve
        assert all(torch.equal(whole.tensors[key], engine.tensors[key]) for key in whole.tensors)
    else:
        for one, other in zip(whole.curve, engine.curve, strict=True):
            assert one["loss"] == pytest.approx(other["loss"], rel=1e-5, abs=1e-5)
