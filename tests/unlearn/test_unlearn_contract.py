"""What every registered unlearning algorithm keeps to, on every family of models; an algorithm's new file joins here.

Then: what the workbench lets a loss read, when runs stop, and what single algorithms say of themselves.
"""

import copy
import itertools
import math
import zlib

import pandas as pd
import pytest
import torch

from families import EMBEDDED, FAMILIES
from mute import unlearn as algorithms
from mute.bands import Band
from mute.engine.band import Task, TextSet, drawn_rows
from mute.models import anatomy, patches
from mute.store.artifacts import seed_of
from mute.unlearn.base import Descent, Edit, Guard, Method, Told
from mute.unlearn.bench import Workbench
from mute.unlearn.control import Control
from mute.unlearn.dose import Matching, look_steps
from mute.unlearn.run import HALVINGS, _groups, unlearn
from mute.unlearn.view import COVERAGES

DEPTH = 3
# What changes the parameters of a band; a filter changes none.
EDITS = [name for name in algorithms.names() if not issubclass(algorithms.load(name), Guard)]
MATCHED = [name for name in EDITS if "matched" in algorithms.load(name).protocols]
# Settings under which a method runs on models that lack the ability that it asks for, as to obey an instruction; what
# it then comes to says nothing of it.
ABLE = {"bidi_distill": {"obeys": 0.0}}
BANDS = ("1", "0-1", "all", "full")
# In the fast set one method of each family of methods meets all models and bands; the others meet one.
FIRST = {algorithms.load(name).family: name for name in reversed(EDITS) if name != "chain"}
SOURCES = ["en", "es"]
BENCH = {
    "languages": ["en", "es", "hi", "ja"],
    "sources": SOURCES,
    "forget_set": "domain",
    "seed": 0,
    "oracle": None,
    # Half of the knowledge: the tiny models get there in a few steps.
    "matching": Matching(target=0.5, facts=8),
}


class Watched(Workbench):
    """A workbench that remembers what the whole model says at the end of a run, before it is restored."""

    @torch.no_grad()
    def retained(self, band: Band) -> float:
        self.seen = self.model(input_ids=self.ids).logits
        return super().retained(band)

    ids = torch.arange(3, 43).reshape(4, 10)


@pytest.fixture(scope="module")
def bench_of(trained_model, corpus, encoder):
    """bench_of(family): its workbench at block 0, with the whole model as it should stay."""
    made = {}

    def make(family, **changes):
        key = (family, *changes.items())
        if key not in made:
            model = copy.deepcopy(trained_model(family))
            made[key] = Watched(model, encoder, corpus, **{**BENCH, "retain": "source", **changes})
        made[key].restart()
        return made[key]

    return make


@pytest.fixture(params=EMBEDDED)
def bench(request, bench_of):
    return bench_of(request.param)


def cases(names, families, bands=("1",), *, fast=0):
    """(name, family, band), or (name, family) with one band: a method of each kind everywhere.

    The others meet three models, the next method others of them, and one band on each; the fast set has so many of
    these, the rest have their turn.
    """
    found = []
    for name in names:
        turn = zlib.crc32(name.encode())
        for (place, family), (number, band) in itertools.product(enumerate(families), enumerate(bands)):
            first, after = name in FIRST.values(), (place - turn) % len(families)
            if not first and (after > 2 or number != (turn + place) % len(bands)):
                continue
            case = (name, family, band) if len(bands) > 1 else (name, family)
            found.append(pytest.param(*case, marks=() if first or after < fast else pytest.mark.in_turn))
    return found


def alone(names):
    """Methods that meet one model: of each kind one in the fast set, the others have their turn."""
    return [pytest.param(name, marks=() if name in FIRST.values() else pytest.mark.in_turn) for name in names]


def make(name: str, **settings) -> Method:
    """A method with its settings; of a control those of the method inside it, of a chain those of its edit."""
    method = algorithms.load(name)
    if name in ABLE:
        settings = {**ABLE[name], **settings}
    if issubclass(method, Control):
        settings = {"of": {"method": method.Settings().of["method"], **settings}}
    if name == "chain":
        settings = {"chain": [{"method": "rmu", **settings}, "ksd"]}
    return algorithms.make(name, settings)


def everything(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def mean_logprob(bench, name: str = "forget") -> float:
    """Mean log-probability per token of the answers of a side (`forget` or `retain`), as the model is now."""
    bench.restart()
    task = Task(bench.model, Band.named("all", DEPTH), bench.forget, bench.retain, 0)
    side = task.side(name)
    with torch.no_grad():
        sums = [task.answer_logprobs(side.batch(torch.tensor(rows))) for rows in side.texts.batches]
    return float(sum(s.sum() for s, _ in sums) / sum(n.sum() for _, n in sums))


@pytest.mark.parametrize(("name", "family", "band"), cases(EDITS, FAMILIES, BANDS, fast=1))
def test_every_algorithm_changes_its_band_and_nothing_else(bench_of, name, family, band, tmp_path):
    """Only parameters of the band change, to finite values; the patch holds all of the change."""
    any_bench = bench_of(family)
    model, before = any_bench.model, everything(any_bench.model)
    chosen = Band.named(band, DEPTH)
    algorithm = make(name, steps=2, batch_size=4)
    outcome = unlearn(any_bench, algorithm, chosen, protocol="paper", seed=3)
    assert outcome.status == "ok"
    assert equal(everything(model), before), "the model is left as it was, bit for bit"
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert set(outcome.tensors) <= set(anatomy.band_parameters(model, chosen))
    assert set(outcome.tensors) == set(algorithm.parameters(model, chosen))
    assert any(not torch.equal(tensor, before[key]) for key, tensor in outcome.tensors.items())
    assert all(bool(tensor.isfinite().all()) for tensor in outcome.tensors.values())
    assert outcome.size > 0
    assert outcome.steps == len(outcome.curve) == (2 if isinstance(algorithm.runs, Descent) else 0)

    patches.save(tmp_path, outcome.tensors)
    loaded = patches.load(tmp_path)
    assert equal(loaded, outcome.tensors)
    with patches.applied(model, loaded), torch.no_grad():
        logits = model(input_ids=any_bench.ids).logits
        assert torch.equal(logits, any_bench.seen), "base and patch are the unlearned model"
    assert equal(everything(model), before)


@pytest.mark.parametrize(("name", "family"), cases(EDITS, FAMILIES))
def test_every_algorithm_gives_the_same_patch_again(bench_of, name, family):
    any_bench, outcomes = bench_of(family), []
    for _ in range(2):
        any_bench.restart()
        algorithm = make(name, steps=2, batch_size=4)
        outcomes.append(unlearn(any_bench, algorithm, Band.named("1", DEPTH), protocol="paper", seed=3))
    assert equal(outcomes[0].tensors, outcomes[1].tensors)
    assert outcomes[0].curve == outcomes[1].curve


@pytest.mark.parametrize("name", alone(name for name in EDITS if issubclass(algorithms.load(name), Descent)))
def test_every_algorithm_draws_the_same_for_every_band(bench_of, name):
    """Depths are compared on the same batches: a seed's draws do not depend on the band, nor on what ran before."""
    bench = bench_of("llama")
    algorithm = make(name, steps=2, batch_size=4)
    read = {}
    original = algorithm.gradients

    def gradients(task, batches, names):
        rows = tuple(batches[side].rows.tolist() for side in ("forget", "retain"))
        read.setdefault(task.band.blocks, []).append(rows)
        return original(task, batches, names)

    algorithm.gradients = gradients
    for band in ("0", "2"):
        unlearn(bench, algorithm, Band.named(band, DEPTH), protocol="paper", seed=5)
    assert read[0,] == read[2,]
    assert read[0,][0] != read[0,][1]


@pytest.mark.parametrize(("name", "family"), cases(EDITS, EMBEDDED))
def test_a_run_that_blows_up_has_diverged(bench_of, name, family):
    bench = bench_of(family)
    algorithm = make(name, steps=5, batch_size=4)
    before = everything(bench.model)
    if isinstance(algorithm.runs, Descent):
        algorithm.runs.settings.learning_rate = 1e30
    else:
        algorithm.change = lambda task: {
            key: torch.full_like(before[key], math.nan) for key in algorithm.parameters(task.model, task.band)
        }
    outcome = unlearn(bench, algorithm, Band.named("1", DEPTH), protocol="paper", seed=0)
    assert outcome.status == "diverged"
    assert outcome.steps < 5
    assert equal(everything(bench.model), before)
    if isinstance(algorithm, Edit):
        # An edit in no direction changes nothing.
        assert equal(outcome.tensors, {key: before[key] for key in outcome.tensors})


@pytest.mark.parametrize("protocol", ["paper", "matched"])
def test_a_last_step_that_blows_up_has_diverged(bench_of, protocol):
    """No later loss says so, and a model whose answers are no numbers must not count as one that has forgotten."""
    algorithm = make("gradient_ascent", steps=1, batch_size=4, learning_rate=1e37, strengths=[1e37])
    outcome = unlearn(bench_of("llama"), algorithm, Band.named("1", DEPTH), protocol=protocol, seed=0)
    assert (outcome.status, outcome.steps) == ("diverged", 1)


def matched(bench, name: str, **settings):
    """What a method comes to under `matched`, with its model as it was."""
    bench.restart()
    before = everything(bench.model)
    if algorithms.load(name).Settings.strength == "learning_rate":
        settings["strengths"] = [1e-2]
    algorithm = make(name, batch_size=8, **settings)
    outcome = unlearn(bench, algorithm, Band.named("1", DEPTH), protocol="matched", seed=0)
    assert equal(everything(bench.model), before)
    return algorithm, outcome


@pytest.mark.parametrize(("name", "family"), cases([name for name in MATCHED if name not in ABLE], EMBEDDED))
def test_a_matched_run_does_what_is_expected_and_ends_at_the_dose(bench_of, name, family):
    """The likelihood of forget answers falls or rises as the algorithm says; what is left is the dose, and no less."""
    bench = bench_of(family)
    target, band = bench.matching.target, Band.named("1", DEPTH)
    base = mean_logprob(bench)
    algorithm, outcome = matched(bench, name, learning_rate=1e-2)
    with patches.applied(bench.model, outcome.tensors):
        change = mean_logprob(bench) - base
        assert bench.knowledge(band) == outcome.knowledge
        assert bench.damage(band) == outcome.damage
    expected = {"falls": change < -0.1, "rises": change > 0.1, "none": abs(change) < 0.1, "open": True}
    assert expected[algorithm.expects], change
    if algorithm.expects != "falls":
        return
    assert outcome.status == "ok"
    own = [row for row in outcome.curve if row.get("strength") == outcome.strength and "knowledge" in row]
    assert outcome.knowledge in [row["knowledge"] for row in own]
    if isinstance(algorithm, Descent):
        assert outcome.strength in algorithm.settings.strengths
        looks = [row for row in own if "share" not in row]
        assert [row["step"] for row in looks] == look_steps(algorithm.settings.steps, 8)[: len(looks)]
        assert all(row["knowledge"] > target for row in looks[:-1])
        assert looks[-1]["knowledge"] <= target
        assert all(row["size"] > 0 for row in looks)
        assert own[-1]["damage"] == outcome.damage, "asked where a strength ended"
        # Nothing that was looked at is nearer to the dose.
        assert abs(outcome.knowledge - target) <= abs(looks[-1]["knowledge"] - target)
    else:
        erased = [row["size"] for row in own if row["knowledge"] <= target]
        kept = [row["size"] for row in own if row["knowledge"] > target]
        assert max(kept) < min(erased)
        # Of two that are as near the weaker.
        nearest = min(own, key=lambda row: (round(abs(row["knowledge"] - target), 9), row["size"]))
        assert outcome.size == pytest.approx(nearest["size"], rel=1e-3)


@pytest.mark.parametrize("name", alone(MATCHED))
def test_a_matched_run_that_does_not_get_there_says_so(bench_of, name, monkeypatch):
    bench = bench_of("llama")
    monkeypatch.setattr(bench, "knowledge", lambda band: 1.0)
    algorithm, outcome = matched(bench, name, steps=5)
    runs = algorithm.runs
    assert outcome.status == "not_reached"
    if isinstance(runs, Descent):
        assert outcome.steps == 5
        looks = [(row["strength"], row["step"]) for row in outcome.curve if "knowledge" in row]
        assert looks == [(strength, step) for strength in runs.strengths for step in look_steps(5, 8)]
        assert not any("share" in row for row in outcome.curve)
    elif runs.most is not None:
        assert len(outcome.curve) == HALVINGS + 1
        assert outcome.step_size == pytest.approx(runs.most)
    else:
        sizes = [row["size"] for row in outcome.curve]
        assert sizes == [bench.matching.smallest * 2**i for i in range(len(sizes))]
        assert sizes[-1] <= bench.matching.largest < 2 * sizes[-1]
        assert outcome.size == pytest.approx(sizes[-1], rel=1e-3)


def test_where_there_is_nothing_to_forget_no_run_stops(bench_of, monkeypatch):
    bench = bench_of("llama")
    monkeypatch.setattr(bench, "base", {**bench.base, "forget": bench.floor + 0.04})
    assert math.isnan(bench.knowledge(Band.named("1", DEPTH)))
    outcome = unlearn(
        bench, make("gradient_ascent", steps=4, strengths=[1e-3]), Band.named("1", DEPTH), protocol="matched", seed=0
    )
    assert (outcome.status, outcome.steps) == ("not_reached", 4)


@pytest.mark.parametrize("name", ["gradient_ascent", "gradient_difference", "npo", "simnpo"])
@pytest.mark.parametrize("band", ["1", "full"])
def test_the_engine_does_what_plain_training_does(bench, name, band):
    """Against the uncached path: whole forwards by transformers of the same batches, and AdamW on the band."""
    chosen = Band.named(band, DEPTH)
    margin = {"beta": 1.0, "gamma": 1.0} if name == "simnpo" else {}
    algorithm = make(name, steps=3, batch_size=4, learning_rate=1e-3, **margin)
    outcome = unlearn(bench, algorithm, chosen, protocol="paper", seed=11)

    model = copy.deepcopy(bench.model)
    parameters = dict(model.named_parameters())
    trained = {key: parameters[key].requires_grad_(True) for key in anatomy.band_parameters(model, chosen)}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, weight_decay=0.0)
    orders = {s: drawn_rows([torch.arange(len(getattr(bench, s)))], 4, seed_of(11, s)) for s in ("forget", "retain")}

    @torch.no_grad()
    def as_before(ids, answer):
        logprobs = bench.model(input_ids=ids).logits[:, :-1].log_softmax(-1)
        return (logprobs.gather(2, ids[:, 1:, None])[..., 0] * answer[:, 1:]).sum(1)

    def answers(side):
        batch = getattr(bench, side).batch(next(orders[side]))
        logprobs = model(input_ids=batch.ids).logits[:, :-1].log_softmax(-1)
        each = logprobs.gather(2, batch.ids[:, 1:, None])[..., 0] * batch.answer[:, 1:]
        return each.sum(1), batch.answer.sum(1), as_before(batch.ids, batch.answer)

    for row in outcome.curve:
        (forget, tokens, before), (kept, count, _) = answers("forget"), answers("retain")
        loss = {
            "gradient_ascent": forget.sum() / tokens.sum(),
            "gradient_difference": forget.sum() / tokens.sum() - kept.sum() / count.sum(),
            "npo": -20 * (-0.1 * (forget - before)).sigmoid().log().mean() - kept.sum() / count.sum(),
            "simnpo": -2 * (-forget / tokens - 1).sigmoid().log().mean() - kept.sum() / count.sum(),
        }[name]
        assert row["loss"] == pytest.approx(loss.item(), abs=1e-3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        before, after = bench.model(input_ids=bench.ids).logits, model(input_ids=bench.ids).logits
    assert (after - before).abs().max() > 0.02
    assert (after - bench.seen).abs().max() < 1e-3
    for key, tensor in trained.items():
        # A bias of the keys has no gradient but rounding, which AdamW makes steps of: only matrices are compared.
        if tensor.ndim == 2:
            assert (tensor - outcome.tensors[key]).abs().mean() < 1e-5, key


def read_texts(side: TextSet) -> set[tuple[int, ...]]:
    return {tuple(sequence) for sequence in side.texts.sequences}


def encoded(encoder, rows: pd.DataFrame) -> set[tuple[int, ...]]:
    return {tuple(encoder.whole(*row)) for row in rows[["prefix", "answer", "suffix"]].itertuples(index=False)}


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("forget_set", ["domain", "conjunctive"])
def test_losses_read_what_they_may_and_nothing_else(bench_of, corpus, encoder, coverage, forget_set):
    bench = bench_of("llama", retain=coverage, forget_set=forget_set)
    roles = corpus.roles(forget_set)
    texts = corpus.texts[corpus.texts["form"] != corpus.about["headline_form"]]
    role, in_source = texts["item"].map(roles), texts["language"].isin(SOURCES)
    assert read_texts(bench.forget) == encoded(encoder, texts[(role == "forget") & in_source])
    kept = encoded(encoder, texts[(role == "retain_seen") & in_source])
    elsewhere = encoded(encoder, texts[(role == "retain_seen") & texts["language"].isin(["hi", "ja"])])
    lines = corpus.lines[(corpus.lines["ability"] == "sentences") & corpus.lines["train"]]
    sentences = encoded(encoder, lines[lines["language"].isin(["hi", "ja"])])
    expected = {"source": kept, "source+text": kept | sentences, "all": kept | elsewhere}
    assert read_texts(bench.retain) == expected[coverage]
    assert kept < kept | elsewhere
    # Nothing that is held back: other roles, the headline form, languages that the model does not have.
    unread = corpus.texts[corpus.texts["item"].map(roles).isin(["retain_unseen", "bystander"])]
    headline = corpus.texts[corpus.texts["form"] == 2]
    portuguese = pd.concat([corpus.texts, corpus.lines])
    portuguese = portuguese[portuguese["language"] == "pt"]
    for rows in (unread, headline, portuguese):
        assert not (read_texts(bench.retain) | read_texts(bench.forget)) & encoded(encoder, rows)


class ReadError(Exception):
    """A text was read that a method may not read."""


@pytest.fixture
def tripwire(corpus, encoder, monkeypatch):
    """tripwire(): from now on the encoder refuses every text of a held-out language, test form, test fact or probe.

    It gives back what takes the wires away.
    """

    def lay():
        texts, lines = corpus.texts, corpus.lines
        may = texts["language"].isin(SOURCES) & texts["form"].isin(corpus.about["unlearning_forms"])
        may &= texts["item"].map(corpus.roles("domain")).isin(["forget", "retain_seen"])
        read = set(texts.loc[may, "prefix"].str.rstrip(" "))
        asked = lines[~lines["train"].astype(bool) & (lines["ability"] != "tokenizer")]
        wires = {
            p for p in pd.concat([texts.loc[~may, "prefix"], asked["prefix"]]).str.rstrip(" ") if len(p) > 3
        } - read
        plain = encoder.plain

        def tripped(text: str) -> list[int]:
            if text in wires:
                raise ReadError(text)
            return plain(text)

        monkeypatch.setattr(encoder, "plain", tripped)
        return lambda: monkeypatch.setattr(encoder, "plain", plain)

    return lay


@pytest.mark.parametrize("name", alone(algorithms.names()))
def test_no_method_reads_what_is_held_back(bench_of, tripwire, monkeypatch, name):
    """From the texts of its losses to its last step; what the workbench itself asks was read before."""
    bench, method = bench_of("llama"), make(name)
    if reason := method.applies(bench.view):
        pytest.skip(reason)
    lift = tripwire()
    bench.of = None
    # Behind a guard that rewrites questions the workbench reads them anew, when all of the guard is fitted.
    under = bench.under
    monkeypatch.setattr(bench, "under", lambda subject: (lift(), under(subject))[1])
    method = make(name, **{key: 2 for key in ("steps", "batch_size") if key in type(method).Settings.model_fields})
    unlearn(bench, method, Band.named("full" if method.bands else "1", DEPTH), protocol="paper", seed=3)


@pytest.mark.parametrize("where", ["language", "form", "fact"])
def test_the_tripwire_goes_off(bench_of, corpus, tripwire, where):
    bench, texts, roles = bench_of("llama"), corpus.texts, corpus.roles("domain")
    method = make("gradient_ascent", steps=1, batch_size=2)
    rows = {
        "language": texts[(texts["language"] == "hi") & (texts["item"].map(roles) == "forget")],
        "form": texts[(texts["language"] == "en") & (texts["form"] == corpus.about["headline_form"])],
        "fact": texts[(texts["language"] == "en") & (texts["item"].map(roles) == "retain_unseen")],
    }[where]
    method.reads = lambda view: {"forget": rows, "retain": view.retain}
    tripwire()
    bench.of = None
    with pytest.raises(ReadError):
        unlearn(bench, method, Band.named("1", DEPTH), protocol="paper", seed=3)
    bench.of = None


def test_what_stopping_and_choosing_ask_is_in_source_languages_and_unlearning_forms(bench_of, corpus):
    bench = bench_of("llama")
    roles, facts = corpus.roles("domain"), corpus.facts.set_index("item")
    for name, role in (("forget", "forget"), ("retain", "retain_unseen")):
        rows = bench.questions[name].rows
        assert set(rows["language"]) == set(SOURCES)
        assert set(rows["form"]) == {0}
        assert set(rows["item"].map(roles)) == {role}
    assert bench.questions["forget"].rows["item"].nunique() == bench.matching.facts
    assert facts.loc[bench.questions["retain"].rows["item"], "validation"].all()


def test_knowledge_is_one_for_the_base_and_zero_at_the_floor(bench_of):
    bench = bench_of("llama")
    band = Band.named("1", DEPTH)
    assert bench.floor == 1 / 8
    assert bench.base["forget"] > 0.8
    assert bench.knowledge(band) == 1
    assert bench.retained(band) == 1


def test_the_floor_is_what_the_oracle_knows(trained_model, corpus, encoder):
    from mute.evaluate.run import Evaluator

    model = trained_model("llama")
    tokens, _ = Evaluator(model, encoder, corpus, ["en", "es"], [0]).evaluate()
    bench = Workbench(model, encoder, corpus, retain="source", **{**BENCH, "oracle": tokens})
    assert bench.floor == bench.base["forget"]
    assert math.isnan(bench.knowledge(Band.named("1", DEPTH)))


def test_no_texts_are_an_error(bench_of):
    with pytest.raises(ValueError, match="no texts to read"):
        bench_of("llama", sources=("de",))


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_chosen_by_name(random_model, family):
    model = random_model(family)
    parameters = dict(model.named_parameters())
    prefix = {"bloom": "transformer.h.1.", "gpt_neox": "gpt_neox.layers.1."}.get(family, "model.layers.1.")
    own = [name for name in parameters if name.startswith(prefix)]
    assert anatomy.block_parameters(model, [1]) == own != []
    attention = anatomy.attention_weights(model, [1])
    if family in ("bloom", "gpt_neox"):
        part = "self_attention" if family == "bloom" else "attention"
        names = [f"{part}.query_key_value.weight", f"{part}.dense.weight"]
        output = "mlp.dense_4h_to_h.weight"
    else:
        names = [f"self_attn.{part}_proj.weight" for part in "qkvo"]
        output = "mlp.down_proj.weight"
    wide = {"bloom": 4 * 32, "llama": 88, "qwen2": 88}.get(family, 2 * 32)
    assert attention == [prefix + name for name in names]
    assert anatomy.mlp_outputs(model, [1]) == [prefix + output]
    assert all(parameters[name].ndim == 2 for name in attention)
    assert parameters[prefix + output].shape == (32, wide)
    assert anatomy.block_parameters(model, [0, 1, 2]) == [name for name in parameters if prefix[:-2] in name]
    outside = set(parameters) - set(anatomy.block_parameters(model, range(DEPTH)))
    assert not any(name.split(".")[2].isdigit() for name in outside if name.count(".") > 2)
    tied = family == "bloom" or family.startswith("gemma")
    assert ("lm_head.weight" in outside) == (not tied), "the head of BLOOM and Gemma is their embeddings"
    assert anatomy.band_parameters(model, Band.named("full", DEPTH)) == list(parameters)


def test_ten_blocks_are_told_from_one(encoder):
    from mute.models import embedded

    model = embedded.create("llama", 0, vocabulary=8, blocks=12, hidden=8, heads=1)
    assert {name.split(".")[2] for name in anatomy.block_parameters(model, [1])} == {"1"}
    with pytest.raises(ValueError, match=r"unknown family \(model_type\) 'gpt2'; allowed: bloom, .* tests/families.py"):
        anatomy.anatomy(type("Model", (), {"config": type("Config", (), {"model_type": "gpt2"})}))


def test_a_patch_for_another_model_is_refused(random_model):
    model = random_model("llama")
    for tensors in ({"model.layers.9.mlp.down_proj.weight": torch.zeros(2)}, {"lm_head.weight": torch.zeros(2, 2)}):
        with pytest.raises(ValueError, match="does not fit the model"):
            patches.put(model, tensors)


def test_batches_are_endless_and_go_round():
    orders = drawn_rows([torch.arange(10)], 4, seed=0)
    drawn = torch.cat([next(orders) for _ in range(25)]).reshape(10, 10)
    assert all(sorted(row) == list(range(10)) for row in drawn.tolist())
    assert len({tuple(row) for row in drawn.tolist()}) == 10
    # Batches larger than the set go round more than once.
    assert sorted(next(drawn_rows([torch.arange(3)], 6, seed=0)).tolist()) == [0, 0, 1, 1, 2, 2]


def slug_task(bench) -> Task:
    bench.restart()
    bench.advance(1)
    return Task(bench.model, Band.named("1", DEPTH), bench.forget, bench.retain, 0)


def direction(bench, **settings) -> dict[str, torch.Tensor]:
    algorithm, task = make("slug", **settings), slug_task(bench)
    names = algorithm.parameters(bench.model, task.band)
    for name in names:
        bench.model.get_parameter(name).requires_grad_(True)
    try:
        return algorithm.change(task)
    finally:
        bench.model.requires_grad_(False)


def test_slug_steps_up_the_forget_loss(bench):
    """A small step along the direction lowers the likelihood of forget answers, by its length times the gradient."""
    found = direction(bench, variant="reference")
    assert list(found) == anatomy.attention_weights(bench.model, [1])
    base, before = mean_logprob(bench), patches.take(bench.model, found)
    square = sum(float(d.double().square().sum()) for d in found.values())
    step = 1e-3 / square
    with patches.applied(bench.model, {name: before[name] + step * found[name] for name in found}):
        change = mean_logprob(bench) - base
    assert change == pytest.approx(-step * square, rel=0.2)


def test_slugs_retain_side(bench):
    """It counts against the forget side, as often as alpha says; a distance to the frozen model has no gradient."""
    forget = direction(bench, variant="reference")
    assert equal(direction(bench, variant="retain_mse", alpha=5.0), forget)
    one, two = direction(bench, alpha=1.0), direction(bench, alpha=2.0)
    for name in forget:
        assert torch.allclose(forget[name] - one[name], one[name] - two[name], atol=1e-5)
    # What alpha takes away is the gradient of the retain loss: a small step along it raises that loss.
    base, before = mean_logprob(bench, "retain"), patches.take(bench.model, forget)
    gradient = {name: forget[name] - one[name] for name in forget}
    square = sum(float(g.double().square().sum()) for g in gradient.values())
    step = 1e-3 / square
    with patches.applied(bench.model, {name: before[name] + step * gradient[name] for name in gradient}):
        assert mean_logprob(bench, "retain") - base == pytest.approx(-step * square, rel=0.2)


def test_slugs_step_is_as_long_as_it_is_told(bench_of):
    bench = bench_of("qwen2")
    found = direction(bench)
    bench.restart()
    outcome = unlearn(bench, make("slug", step_size=0.25), Band.named("1", DEPTH), protocol="paper", seed=0)
    before = patches.take(bench.model, found)
    assert outcome.step_size == 0.25
    for name, tensor in outcome.tensors.items():
        assert torch.allclose(tensor, before[name] + 0.25 * found[name], atol=1e-6)
    length = math.sqrt(sum(float(d.double().square().sum()) for d in found.values()))
    norm = math.sqrt(sum(float(t.double().square().sum()) for t in before.values()))
    assert outcome.size == pytest.approx(0.25 * length / norm, rel=1e-3)


def test_rmus_reference_trains_mlp_outputs_of_the_bands_last_three_blocks(bench):
    algorithm, model = make("rmu", variant="reference", steps=2, batch_size=4), bench.model
    for band, blocks in (("1", [1]), ("0-1", [0, 1]), ("all", [0, 1, 2]), ("0-2", [0, 2])):
        bench.restart()
        outcome = unlearn(bench, algorithm, Band.named(band, DEPTH), protocol="paper", seed=0)
        assert list(outcome.tensors) == anatomy.mlp_outputs(model, blocks)
        assert all(name.endswith(("mlp.down_proj.weight", "mlp.dense_4h_to_h.weight")) for name in outcome.tensors)


def test_rmu_steers_towards_its_direction(bench):
    """The loss at the start is the squared distance to c times the mean norm; after a run, states lie nearer to it."""
    settings = {"steps": 40, "batch_size": 8, "steering": 3.0, "learning_rate": 2e-2, "retain_weight": 0.0}
    algorithm, band = make("rmu", **settings), Band.named("1", DEPTH)
    bench.advance(1)
    task = Task(bench.model, band, bench.forget, bench.retain, seed=7)
    algorithm.prepare(task)
    batch = bench.forget.batch(torch.arange(6))
    with torch.no_grad():
        start = task.output(batch)
        loss = algorithm.loss(task, {"forget": batch, "retain": bench.retain.batch(torch.arange(6))})
    assert bench.forget.frozen is not None
    norms = [s[1:].norm(dim=-1) for s in bench.forget.frozen.split(bench.forget.texts.lengths.tolist())]
    norm = torch.cat(norms).mean()
    assert algorithm.target.norm() == pytest.approx(float(3 * norm), rel=1e-5)
    expected = ((start - algorithm.target).square().sum(-1) * batch.real).sum() / batch.real.sum() / norm**2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    bench.restart()
    outcome = unlearn(bench, algorithm, band, protocol="paper", seed=7)
    bench.restart()
    bench.advance(1)
    with patches.applied(bench.model, outcome.tensors), torch.no_grad():
        after = task.output(batch)
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(start, algorithm.target, dim=-1)[batch.real].mean() < 0.3
    assert cosine(after, algorithm.target, dim=-1)[batch.real].mean() > 0.6
    assert outcome.curve[-1]["loss"] < outcome.curve[0]["loss"] * 0.7


def test_strength_is_the_setting_that_is_varied(bench_of):
    bench = bench_of("llama")
    band = Band.named("1", DEPTH)

    def run(algorithm):
        bench.restart()
        return unlearn(bench, algorithm, band, protocol="paper", seed=0).curve

    own = {"steps": 2, "batch_size": 4}
    varied = run(make("rmu", steering=3.0, **own).at(30.0))
    assert varied == run(make("rmu", steering=30.0, **own)) != run(make("rmu", steering=3.0, **own))


def test_concatenated_sources_are_read_one_after_the_other(bench_of):
    """A pass takes every row once, the source languages in the order in which they are named."""
    bench = bench_of("llama")
    languages = bench.forget.languages
    groups = _groups(bench.forget, "concatenated", ["es", "en"])
    orders = drawn_rows(groups, len(languages), seed=0)
    for _ in range(2):
        rows = next(orders).tolist()
        assert sorted(rows) == list(range(len(languages)))
        assert [languages[row] for row in rows] == sorted(languages, reverse=True)
    (mixed,) = _groups(bench.forget, "interleaved", ["es", "en"])
    assert mixed.tolist() == list(range(len(languages)))


def test_a_run_follows_its_order(bench_of):
    bench = bench_of("llama")

    def run(**settings):
        bench.restart()
        algorithm = make("rmu", steps=2, batch_size=4, **settings)
        return unlearn(bench, algorithm, Band.named("1", DEPTH), protocol="paper", seed=0).curve

    assert run() == run(order="interleaved") != run(order="concatenated")


def test_algorithms_are_registered_by_their_files():
    for name in algorithms.names():
        method = algorithms.load(name)
        assert method.name == name
        assert method.expects in ("falls", "rises", "none", "open")
        assert issubclass(method.Settings, Told)
        assert method.Settings.strength in {*method.Settings.model_fields, ""}
        assert method.Settings.model_config["extra"] == "forbid"
        assert all(field.description for field in method.Settings.model_fields.values())
    with pytest.raises(ValueError, match="Did you mean 'rmu'"):
        algorithms.load("rmo")


def test_steps_too_small_for_bfloat16_are_not_lost(bench_of, trained_model, corpus, encoder):
    """A band in bfloat16 goes where the same band in float32 goes; rounding after each step would leave it behind."""
    settings = {"steps": 30, "batch_size": 8, "learning_rate": 3e-5}
    model = copy.deepcopy(trained_model("llama"))
    low = Watched(model.to(torch.bfloat16), encoder, corpus, **{**BENCH, "retain": "source"})
    high = Watched(copy.deepcopy(model).float(), encoder, corpus, **{**BENCH, "retain": "source"})
    moved = []
    for bench in (high, low):
        before = everything(bench.model)
        outcome = unlearn(bench, make("gradient_ascent", **settings), Band.named("1", DEPTH), protocol="paper", seed=3)
        moved.append(torch.cat([(t.float() - before[n].float()).flatten() for n, t in outcome.tensors.items()]))
    # What is left is the rounding of the last value alone.
    assert moved[1].norm() > 0.7 * moved[0].norm()
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.6


def test_slug_adds_its_gradients_up_in_float32(trained_model, corpus, encoder, monkeypatch):
    """Piece by piece in bfloat16, the sum over a side would stop growing."""
    from mute.unlearn.methods import slug

    model = copy.deepcopy(trained_model("llama")).to(torch.bfloat16)
    bench = Workbench(model, encoder, corpus, **{**BENCH, "retain": "source"})
    monkeypatch.setattr(slug, "PASS", 1)  # two texts a piece
    algorithm, task, pieces = make("slug", alpha=0.0), slug_task(bench), []
    task.train(algorithm.parameters(model, task.band))
    ordinary = task.gradients

    def gradients(loss, names):
        pieces.append(ordinary(loss, names))
        return pieces[-1]

    monkeypatch.setattr(task, "gradients", gradients)
    found = algorithm._gradient(task, "forget")
    assert len(pieces) > 20
    for own, parts in zip(found.values(), zip(*pieces)):
        wanted = sum(part.double() for part in parts)
        assert float((own - wanted).norm() / wanted.norm()) < 1e-5


def test_a_whole_model_unlearns_in_16_bits_as_in_32(bench_of):
    """Near in what it loses and how far it goes; afterwards the model is what it was."""
    bench = bench_of("llama")
    before = everything(bench.model)
    band = Band.named("full", len(anatomy.blocks(bench.model)))
    runs = []
    for optimizer in ("adamw", "compact"):
        method = make("gradient_ascent", steps=6, learning_rate=1e-4, batch_size=8, optimizer=optimizer)
        runs.append(unlearn(bench, method, band, protocol="paper", seed=0))
    exact, near = runs
    assert near.status == exact.status == "ok"
    assert [row["loss"] for row in near.curve] == pytest.approx([row["loss"] for row in exact.curve], rel=0.05)
    assert near.size == pytest.approx(exact.size, rel=0.05)
    assert all(torch.equal(before[name], tensor) for name, tensor in everything(bench.model).items())
