"""Mean shift: against hooks on the plain model, where it must do nothing, and where it must show an offset."""

from types import SimpleNamespace

import pytest
import torch

from families import EMBEDDED
from mute import analyses
from mute.analyses import mean_shift
from mute.analyses.base import Case
from mute.bands import Band
from mute.engine import cache, sections, shared
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import anatomy, patches
from mute.unlearn.methods import word_filter

SOURCES, DEPTH = ("en", "es"), 3
Settings = mean_shift.Settings


@pytest.fixture(params=EMBEDDED)
def asked(request, trained_model, encoder, corpus):
    return Asked(trained_model(request.param), encoder, corpus, ["en", "es", "hi"], "domain")


def looked(asked, band, draws=2, **settings):
    """Values by measure and language."""
    found = mean_shift.MeanShift(Settings(draws=draws, **settings))
    rows = found.run(Subject(asked.model), asked, Case(band[0], Band(band), SOURCES))
    assert set(rows["block"]) == {band[0]}
    return {(row.measure, row.language): row.value for row in rows.itertuples()}


@torch.no_grad()
def plain_means(asked, code, role, block):
    """One prompt after the other, by the hidden states of transformers; the last block's are not asked for."""
    roles, about = asked.corpus.roles(asked.forget_set), asked.corpus.about
    texts = asked.corpus.texts
    rows = texts[(texts["language"] == code) & texts["form"].isin(about["unlearning_forms"])]
    means = []
    for prefix in rows[rows["item"].map(roles) == role]["prefix"]:
        ids = torch.tensor([asked.encoder.prompt(prefix)])
        means.append(asked.model(input_ids=ids, output_hidden_states=True).hidden_states[block][0, 1:].double().mean(0))
    return torch.stack(means).mean(0)


@torch.no_grad()
def plain_accuracy(asked, code, shift, start, stop):
    """Option accuracy of the model with hooks that move and move back, one option after the other."""
    model, rows = asked.model, asked.queries.rows
    blocks, hits = anatomy.blocks(model), []

    def by(sign):
        def hook(module, args, output):
            moved = (output[0] if isinstance(output, tuple) else output).clone()
            moved[:, 1:] += sign * shift.to(moved)
            return (moved, *output[1:]) if isinstance(output, tuple) else moved

        return hook

    # The input of block 0 is what embeddings give, on BLOOM past their norm.
    known, core = anatomy.anatomy(model), anatomy.backbone(model)
    below = getattr(core, known.embedding_norm or known.embeddings) if start == 0 else blocks[start - 1]
    hooks = [below.register_forward_hook(by(1)), blocks[stop - 1].register_forward_hook(by(-1))]
    try:
        for i, row in enumerate(rows.itertuples()):
            if row.language != code:
                continue
            prompt, scores = asked.queries.prompts[i], []
            for option in asked.queries.options[i]:
                logits = model(input_ids=torch.tensor([prompt + option])).logits[0].log_softmax(-1)
                scores.append(sum(float(logits[len(prompt) - 1 + j, token]) for j, token in enumerate(option)))
            gold = scores.pop(row.gold)
            hits.append(gold > max(scores))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(hits) / len(hits)


@pytest.mark.parametrize("band", [(0,), (1,), (2,), (1, 2)])
def test_states_are_moved_at_the_input_and_back_behind_the_band_as_hooks_would(asked, band):
    found = looked(asked, band)
    start, stop = band[0], band[-1] + 1
    for measure, role in (("accuracy_shifted", "retain_seen"), ("accuracy_shifted_forget", "forget")):
        means = {code: plain_means(asked, code, role, start) for code in ("en", "es", "hi")}
        shift = (means["en"] + means["es"]) / 2 - means["hi"]
        assert found[measure, "hi"] == plain_accuracy(asked, "hi", shift, start, stop)
        if role == "retain_seen":
            ways = mean_shift.directions(len(shift), Settings(draws=2), "hi")
            drawn = [plain_accuracy(asked, "hi", way * shift.norm(), start, stop) for way in ways]
    assert found["accuracy_random_mean", "hi"] == pytest.approx(sum(drawn) / 2)
    assert (found["accuracy_random_low", "hi"], found["accuracy_random_high", "hi"]) == (min(drawn), max(drawn))
    assert found["accuracy_plain", "hi"] == plain_accuracy(asked, "hi", torch.zeros_like(shift), start, stop)
    assert {language for _, language in found} == {"hi"}


def test_elsewhere_is_the_end_that_is_farther_and_has_means_of_its_own(asked):
    assert [mean_shift.farther(*band, 8) for band in ((0, 1), (3, 4), (4, 5), (7, 8), (0, 8), (2, 8))] == [
        7,
        7,
        0,
        0,
        None,
        0,
    ]
    means = {code: plain_means(asked, code, "retain_seen", 2) for code in ("en", "es", "hi")}
    shift = (means["en"] + means["es"]) / 2 - means["hi"]
    assert looked(asked, (0,))["accuracy_elsewhere", "hi"] == plain_accuracy(asked, "hi", shift, 2, 3)
    assert ("accuracy_elsewhere", "hi") not in looked(asked, (0, 1, 2))


def test_a_patch_is_in_what_is_asked_and_not_in_the_means_below_it(trained_model, encoder, corpus):
    """Kept states and means serve cell after cell, up and down, and are the same as those of a new start."""
    model = trained_model("llama")
    asked = Asked(model, encoder, corpus, ["en", "es", "hi"], "domain")
    name = "model.layers.1.mlp.down_proj.weight"
    noise = 30 * torch.randn(model.get_parameter(name).shape, generator=torch.Generator().manual_seed(0))
    kept = mean_shift.MeanShift(Settings(draws=2))
    case = Case(1, Band((1,)), SOURCES)
    before = kept.run(Subject(model), asked, case)
    with patches.applied(model, {name: noise}):
        inside = kept.run(Subject(model), asked, case)
        again = mean_shift.MeanShift(Settings(draws=2)).run(Subject(model), asked, case)
    assert inside.equals(again)
    assert not inside.equals(before)
    assert kept.run(Subject(model), asked, Case(0, Band((0,)), SOURCES)).equals(
        mean_shift.MeanShift(Settings(draws=2)).run(Subject(model), asked, Case(0, Band((0,)), SOURCES))
    )
    assert kept.run(Subject(model), asked, case).equals(before)
    value = dict(zip(inside["measure"], inside["value"]))
    assert value["shift"] == dict(zip(before["measure"], before["value"]))["shift"]


def test_an_erasure_at_the_address_of_the_source_is_found_by_the_shift_and_by_no_random_direction(
    trained_model, encoder, corpus, monkeypatch
):
    """Planted: a block wipes out what lies on the English side of a plane between the languages, in one that knows."""
    model = trained_model("llama")
    asked = Asked(model, encoder, corpus, ["en", "es"], "domain")
    english, spanish = (plain_means(asked, code, "retain_seen", 1) for code in ("en", "es"))
    shift, middle = (english - spanish).float(), ((english + spanish) / 2).float()
    way = torch.nn.functional.normalize(shift, dim=0)
    layer = anatomy.blocks(model)[1]
    whole = layer.forward

    def forward(hidden, *args, **options):
        made = whole(hidden, *args, **options)
        return made.masked_fill(((hidden - middle) @ way > 0.25 * shift.norm())[..., None], 0.0)

    def values():
        analysis = mean_shift.MeanShift(Settings(draws=20))
        rows = analysis.run(Subject(model), asked, Case(1, Band((1,)), ("en",)))
        return dict(zip(rows["measure"], rows["value"]))

    # By rows: the tree runs the parts of a block that it knows, and never this one.
    monkeypatch.setattr(shared, "texts", lambda model, sequences, most_gb: sections.Texts(model, sequences))
    untouched = values()
    monkeypatch.setattr(layer, "forward", forward)
    edited = values()
    # Chance is 0.125, and the headline form is new to the model.
    assert untouched["accuracy_plain"] > 0.6
    assert untouched["accuracy_shifted"] > untouched["accuracy_plain"] - 0.1
    assert edited["accuracy_plain"] > 0.4
    assert edited["accuracy_shifted"] < 0.25
    assert edited["accuracy_shifted"] < edited["accuracy_random_low"] < edited["accuracy_random_mean"]


def test_rows_and_trees_give_the_same(trained_model, encoder, corpus, monkeypatch):
    asked = Asked(trained_model("bloom"), encoder, corpus, ["en", "es", "hi"], "domain")
    by_tree = looked(asked, (1,))
    monkeypatch.setattr(shared, "texts", lambda model, sequences, most_gb: sections.Texts(model, sequences))
    assert looked(asked, (1,)) == pytest.approx(by_tree)


def test_moved_states_neither_come_from_the_cache_on_disk_nor_go_there(trained_model, encoder, corpus, tmp_path):
    model = trained_model("llama")
    asked = Asked(model, encoder, corpus, ["en", "es", "hi"], "domain")
    without = looked(asked, (1,))
    prefixes = cache.PrefixCache(tmp_path / "prefixes", 10**9)
    cache.attach(model, prefixes)
    try:
        asked = Asked(model, encoder, corpus, ["en", "es", "hi"], "domain")
        first = looked(asked, (1,))
        found = prefixes.misses
        assert looked(Asked(model, encoder, corpus, ["en", "es", "hi"], "domain"), (1,)) == first == without
        assert prefixes.misses == found, "all that is kept are states of the model itself, at the input of the band"
        answers = Subject(model).ask(asked.queries, asked.texts)
    finally:
        cache.attach(model, None)
    plain = Asked(model, encoder, corpus, ["en", "es", "hi"], "domain")
    assert torch.equal(answers.logprob, Subject(model).ask(plain.queries, plain.texts).logprob)


def test_directions_are_of_length_one_even_in_all_directions_and_the_same_for_every_cell():
    ways = mean_shift.directions(16, Settings(draws=4000), "hi")
    assert ways.norm(dim=1).tolist() == pytest.approx([1] * 4000)
    # Of 4000 unit vectors in 16 dimensions a mean coordinate has a standard error of 1 / 253.
    assert float(ways.mean(0).abs().max()) < 5 / 253
    assert torch.allclose(ways.T @ ways / 4000, torch.eye(16, dtype=ways.dtype) / 16, atol=0.01)
    assert torch.equal(ways[:20], mean_shift.directions(16, Settings(draws=4000), "hi")[:20])
    assert not torch.equal(ways, mean_shift.directions(16, Settings(draws=4000), "de"))
    assert not torch.equal(ways, mean_shift.directions(16, Settings(draws=4000, seed=1), "hi"))


def test_which_cells_are_looked_into():
    def applies(band="3", algorithm="rmu", protocol="matched", **settings):
        cell = SimpleNamespace(band=band, algorithm=algorithm, protocol=protocol, training_seed=1)
        return mean_shift.MeanShift(Settings(**settings)).applies(cell)

    assert applies()
    assert not any(map(applies, ("2-3", "all", "full")))
    assert applies("2-3", several=True)
    assert not applies("all", several=True)
    assert applies(algorithms=["rmu"])
    assert not applies(algorithms=["simnpo"])
    assert not applies(protocols=["paper"])
    assert applies(training_seeds=[0, 1])
    assert not applies(training_seeds=[0])


def test_of_guards_and_where_nothing_is_held_out_there_are_no_rows(trained_model, encoder, corpus):
    model = trained_model("llama")
    asked = Asked(model, encoder, corpus, ["en", "es", "hi"], "domain")
    analysis = analyses.load("mean_shift")(Settings(draws=1))
    assert analysis.run(Subject(model), asked, Case(1, Band((1,)), ("en", "es", "hi"))).empty
    width = model.config.hidden_size
    guard = word_filter.Filter(torch.zeros(width), torch.tensor([-1.0]), torch.ones(width))
    guarded = Subject(model, [guard])
    with guarded.installed():
        assert analysis.run(guarded, asked, Case(1, Band((1,)), SOURCES)).empty


def test_without_prompts_to_take_means_over_it_says_whose(trained_model, encoder, corpus):
    asked = Asked(trained_model("llama"), encoder, corpus, ["en", "es", "hi"], "domain")
    facts = corpus.facts.assign(half="unseen")
    asked.corpus = type(corpus)(facts, corpus.texts, corpus.lines, corpus.about)
    with pytest.raises(ValueError, match="means over prompts of facts that are retain_seen; this corpus has none"):
        looked(asked, (1,))
