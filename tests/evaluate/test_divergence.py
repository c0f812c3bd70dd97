"""Divergence is a result: a run whose loss, gradient or model is no number has a status, a step, and no score."""

import copy
import math
from pathlib import Path

import pytest
import torch

from made_up import ABOUT, THE_PAPER, make_tables
from mute import unlearn as algorithms
from mute.analyses.base import Case
from mute.analyses.lens import Lens
from mute.attacks import retraining, shard
from mute.bands import Band
from mute.evaluate import divergence
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.findings import claims, findings, limits, verdicts
from mute.findings.published import Published
from mute.findings.results import Results
from mute.models import adapt, patches, pretrain
from mute.paper import figures as paper_figures
from mute.plotting import figures, layer_curves, summary, trade_off
from mute.publishing import runs
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

DEPTH = 3
PLACE = Path("results")
BENCH = {
    "languages": ["en", "es", "hi", "ja"],
    "sources": ["en", "es"],
    "forget_set": "domain",
    "retain": "source",
    "seed": 0,
    "oracle": None,
    "matching": Matching(target=0.5, facts=8),
}


@pytest.fixture
def bench(trained_model, encoder, corpus):
    return Workbench(copy.deepcopy(trained_model("llama")), encoder, corpus, **BENCH)


def make(name: str, **settings):
    method = algorithms.load(name)
    return method(method.Settings(**settings))


def run(bench, algorithm, protocol="paper", band="1"):
    return unlearn(bench, algorithm, Band.named(band, DEPTH), protocol=protocol, seed=0)


# Unlearning


def test_a_run_says_at_which_step_it_diverged_and_what_its_last_loss_was(bench):
    """Ordinary losses for two steps; from the third one it is no number."""
    algorithm = make("gradient_ascent", steps=6, batch_size=4)
    ordinary, called, losses = algorithm.loss, [], []

    def loss(*given):
        called.append(None)
        value = ordinary(*given)
        losses.append(float(value.detach()))
        return value if len(called) < 3 else value * math.inf

    algorithm.loss = loss
    outcome = run(bench, algorithm)
    assert (outcome.status, outcome.diverged_at, outcome.steps, len(called)) == ("diverged", 3, 2, 3)
    assert outcome.last_loss == losses[1] == outcome.curve[-1]["loss"]
    # What it had come to by then is no measure of it.
    assert math.isnan(outcome.knowledge)
    assert math.isnan(outcome.retained)


def test_a_gradient_that_is_no_number_stops_a_run_whose_loss_is_one(bench):
    algorithm = make("gradient_ascent", steps=4, batch_size=4)
    ordinary = algorithm.loss

    def loss(*given):
        value = ordinary(*given)
        # The square root of zero: a finite value with an infinite slope.
        return value + (value - value.detach()).clamp(min=0).sqrt()

    algorithm.loss = loss
    outcome = run(bench, algorithm)
    assert (outcome.status, outcome.diverged_at, outcome.steps, outcome.last_loss) == ("diverged", 1, 0, None)


@pytest.mark.parametrize("protocol", ["paper", "matched"])
def test_a_model_that_gives_no_numbers_has_diverged_whatever_its_loss_says(bench, protocol):
    """A loss on one block's states stays finite when a block above makes infinities of them."""
    algorithm = make("rmu", steps=6, batch_size=4)
    algorithm.loss = lambda task, batches: task.output(batches["forget"]).sum() * 0
    algorithm.at = lambda strength: algorithm
    broken = []
    original = bench.accuracy

    def accuracy(name):
        broken.append(name)
        return math.nan if len(broken) > 1 else original(name)

    bench.accuracy = accuracy
    outcome = run(bench, algorithm, protocol)
    assert outcome.status == "diverged"
    # Under `matched` it is asked after the first step, and again after the second; under `paper` at the end alone.
    assert outcome.diverged_at == outcome.steps == {"matched": 2, "paper": 6}[protocol]
    assert outcome.last_loss == 0.0


def test_weights_that_are_no_numbers_have_diverged_though_nothing_can_be_measured(bench, monkeypatch):
    monkeypatch.setattr(bench, "base", {**bench.base, "forget": bench.floor})
    monkeypatch.setattr(bench, "retained", lambda band: 1.0)
    edit = make("slug", step_size=1e38)
    edit.change = lambda task: {n: torch.full_like(p, 1e3) for n, p in named(task, edit).items()}
    outcome = run(bench, edit)
    assert not bench.measurable
    assert (outcome.status, outcome.diverged_at) == ("diverged", 1)


def test_an_edit_and_a_filter_diverge_too(bench):
    edit, before = make("slug"), patches.take(bench.model, ["model.layers.1.self_attn.q_proj.weight"])
    outcome = run(bench, make("slug", step_size=1e38))
    assert math.isnan(outcome.knowledge)
    assert (outcome.status, outcome.diverged_at, outcome.last_loss) == ("diverged", 1, None)
    edit.change = lambda task: {n: torch.zeros_like(p) for n, p in named(task, edit).items()}
    still = run(bench, edit, "matched")
    assert (still.status, still.diverged_at, still.knowledge) == ("not_reached", None, 1.0), "nothing was changed"
    filtered = make("word_filter")
    bench.restart()
    ordinary = filtered.fit
    filtered.fit = lambda task: {name: tensor * math.nan for name, tensor in ordinary(task).items()}
    assert run(bench, filtered, band="full").status == "diverged"
    assert all(torch.equal(p, before[n]) for n, p in patches.take(bench.model, before).items())


def named(task, algorithm):
    parameters = dict(task.model.named_parameters())
    return {name: parameters[name] for name in algorithm.parameters(task.model, task.band)}


def test_a_run_that_does_not_diverge_says_so(bench):
    outcome = run(bench, make("gradient_ascent", steps=2, batch_size=4))
    assert (outcome.status, outcome.diverged_at) == ("ok", None)
    assert outcome.last_loss == outcome.curve[-1]["loss"]


# Trainings


def test_a_training_that_diverges_says_step_last_loss_rate_and_what_to_lower(corpus, encoder, random_model):
    groups = pretrain.encode({"facts": corpus.texts.iloc[:40]}, encoder)
    how = {"steps": 5, "batch": 8, "warmup": 0, "decay": 0.5, "prompt_weight": 0.1, "seed": 0, "parts": 1}
    model = copy.deepcopy(random_model("llama")).requires_grad_(True)
    said = r"diverged: the loss is (nan|inf) in step 2 of 5, the last finite loss was [\d.]+ in step 1, at learning"
    with pytest.raises(ValueError, match=said + r" rate 1e\+30\. Lower pretraining\.learning_rate"):
        pretrain.pretrain(model, groups, shares={"facts": 1.0}, learning_rate=1e30, **how)


def test_a_gradient_that_is_no_number_stops_an_adaptation(corpus, encoder, random_model, monkeypatch):
    texts = pretrain.encode({"facts": corpus.texts.iloc[:20]}, encoder)["facts"]
    how = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "warmup": 0.1, "batch_size": 8, "epochs": 1.0, "prompt_weight": 0.0}
    ordinary = adapt._backward

    def backward(model, rows, weight):
        loss = ordinary(model, rows, weight)
        next(p for p in model.parameters() if p.grad is not None).grad.fill_(math.inf)
        return loss

    monkeypatch.setattr(adapt, "_backward", backward)
    with pytest.raises(ValueError, match=r"the gradient is not finite in step 1 of 3, no loss was finite, at .*0\.001"):
        adapt.adapt(copy.deepcopy(random_model("llama")), texts, learning_rate=1e-3, seed=0, **how)


# Probes


def test_retraining_that_diverges_is_stopped_and_gives_no_number(trained_model, encoder, corpus):
    model = trained_model("llama")
    before = patches.take(model, [name for name, _ in model.named_parameters()])
    asked = Asked(model, encoder, corpus, ["en", "es"], "domain")
    settings = retraining.Settings(steps=4, learning_rate=1e30, batch_size=8)
    prepared = shard.Prepared("again", retraining.Retraining, settings, 1, "")
    table, outcome = shard.attacked(asked, Subject(model), Band((1,)), prepared, ("en", "es"))
    assert (outcome["status"], outcome["diverged_at"], outcome["steps"]) == ("diverged", 2, 1)
    assert math.isfinite(outcome["last_loss"])
    assert table["logprob"].isna().all()
    assert not table["hit"].any()
    assert not divergence.gives_numbers(table["logprob"])
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_a_model_without_numbers_has_no_likeliest_token_and_no_likeliest_option(trained_model, encoder, corpus):
    """An argmax over NaN is the first token, and the first option: right now and then."""
    model = copy.deepcopy(trained_model("llama"))
    model.model.layers[1].mlp.down_proj.weight.data.fill_(math.nan)
    asked, subject = Asked(model, encoder, corpus, ["en"], "domain"), Subject(model)
    answers = subject.ask(asked.queries, asked.texts)
    # As where the first token of the vocabulary is the right one.
    answers.best = asked.queries.read_tokens[: asked.queries.gold_reads]
    tokens = answers.tokens()
    assert not tokens["hit"].any()
    assert set(tokens["rank"]) == {-1}
    rows = Lens(Lens.Settings()).run(subject, asked, Case(0, Band((0,)), ()))
    lens = rows.pivot(index=["block", "language"], columns="measure", values="value").reset_index()
    below, above = lens[lens["block"] == 0], lens[lens["block"] > 0]
    assert below["hit"].notna().all()
    assert above[["hit", "agree", "probability", "full"]].isna().all().all()
    assert below["agree"].isna().all(), "the whole model chooses nothing"


# Scores, verdicts and claims


def with_diverged(band: str = "1") -> dict:
    """A study after the paper's fashion whose edit of one block diverged, its numbers left in the tables."""
    made = make_tables(THE_PAPER)
    cells = made["cells"].assign(diverged_at=math.nan, last_loss=-3.5)
    own = (cells["algorithm"] == "rmu") & (cells["band"] == band)
    cells.loc[own, ["status", "diverged_at", "last_loss"]] = ["diverged", 7, 12.25]
    scores = made["scores"]
    scores.loc[(scores["algorithm"] == "rmu") & (scores["band"] == band), "status"] = "diverged"
    return {**made, "cells": cells, "scores": scores}


@pytest.mark.parametrize("band", ["0", "1", "2"])
def test_a_diverged_cell_is_neither_erased_nor_kept(band):
    """Every block of the made-up paper is decided; each is undecided once its edit diverged."""
    whole, lost = Results(make_tables(THE_PAPER), ABOUT), Results(with_diverged(band), ABOUT)
    case = whole.cases[0]
    regime = {"0": "shallow", "1": "middle", "2": "deep"}[band]

    def verdict(results):
        return next(f.verdict for f in verdicts.find_regimes(results, case, "rmu") if f.regime.name == regime)

    assert verdict(whole) is True
    assert verdict(lost) is None
    for metric in ("K", "C", "B", "leak", "accuracy_option"):
        assert not lost.number(case, "rmu", band, metric, "all" if metric == "leak" else "heldout"), metric
    assert lost.number(case, "rmu", band, "B_base"), "what it is compared with is known"
    assert not lost.votes(case, "rmu", band)
    assert band not in [name for name, _ in verdicts.rank_target(lost, case, "rmu").merits]


def test_no_claim_is_decided_by_a_diverged_cell():
    tested = claims.table(Results(with_diverged("1"), ABOUT)).set_index("name")
    at_target = tested[tested["block"] == "1"]
    assert len(at_target) >= 6
    assert set(at_target["verdict"]) == {"not decided"}
    assert at_target["effect"].isna().all()
    assert set(at_target["status"]) == {"diverged"}
    assert (at_target["sentence"] == "The edit of block 1 diverged, and so has no score.").all()
    assert tested.loc["shallow wrecks", "verdict"] == "supports", "other blocks decide as before"
    assert tested.loc["region works", "verdict"] == "not decided"


def test_scores_of_a_diverged_cell_are_empty_but_for_what_it_is_compared_with():
    scores = make_tables(THE_PAPER)["scores"]
    blank = divergence.blanked(scores)
    own = scores["metric"].map(divergence.is_own)
    assert set(scores.loc[~own, "metric"]) == {"chance", "majority", "B_base", "B_oracle"}
    assert blank.loc[own, ["value", "low", "high"]].isna().all().all()
    assert blank.loc[own, "n"].equals(scores.loc[own, "n"])
    assert blank[~own].equals(scores[~own])


def test_a_diverged_run_is_published_without_a_number_that_is_none():
    scores = divergence.blanked(make_tables(THE_PAPER)["scores"])
    found = runs.summary(scores[(scores["algorithm"] == "rmu") & (scores["band"] == "1")])
    assert not any(math.isnan(value) for value in found.values())
    assert not any(name.startswith(("K", "C", "leak")) for name in found)


# Figures and pages


def crosses(figure) -> list[float]:
    """Where crosses stand on the axes of blocks."""
    lines = [line for axes in figure.axes for line in axes.lines if str(line.get_label()).startswith("_diverged ")]
    return [float(x) for line in lines for x in line.get_xdata()]


def texts(figure) -> str:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join([*found, *legends])


@pytest.mark.parametrize("name", ["capabilities", "depth", "transfer_facts"])
def test_figures_by_block_mark_a_diverged_edit_with_a_cross(name):
    draw = figures.load(name).draw
    marked = draw(Results(with_diverged("1"), ABOUT), ABOUT)
    assert set(crosses(marked)) == {1.0}
    assert "diverged: no number" in texts(marked)
    whole = draw(Results(make_tables(THE_PAPER), ABOUT), ABOUT)
    assert crosses(whole) == []
    assert "diverged" not in texts(whole)


def test_planes_and_maps_say_which_edits_diverged():
    results = Results(with_diverged("1"), ABOUT)
    assert "× diverged: rmu 1" in texts(figures.load("frontier").draw(results, ABOUT))
    traded = trade_off.draw(results, ABOUT)
    assert "× diverged: rmu 1" in texts(traded)
    assert set(crosses(traded)) == {1.0}
    mapped = figures.load("language_maps").draw(results, ABOUT)
    assert [1.5] in [list(line.get_xdata()) for axes in mapped.axes for line in axes.lines if line.get_marker() == "x"]
    assert "this edit diverged" in texts(figures.load("lens").draw(results, ABOUT))
    assert "1 diverged" in texts(figures.load("leak").draw(results, ABOUT))
    layer_curves.draw(results, ABOUT)


def test_figures_of_the_paper_draw_a_study_with_diverged_cells():
    results = Results(with_diverged("1"), ABOUT)
    for name in paper_figures.names():
        paper_figures.load(name).draw(results, Published()).draw_without_rendering()
    assert set(crosses(paper_figures.load("trainings").draw(results, Published()))) == {1.0}


def test_the_summary_counts_every_status():
    made = with_diverged("1")
    made["cells"] = made["cells"].assign(gate=["below_gate", *["passed"] * (len(made["cells"]) - 1)])
    made["cells"].loc[made["cells"]["band"] == "2", "status"] = "not_reached"
    made["regions"] = made["regions"].assign(reason="empty", blocks="")
    results = Results(made, ABOUT)
    words = (
        "4 cells: 2 ok, 1 diverged, 1 not reached; 1 of models below gate. "
        "Layer rule: no region in 1 of 1 models and forget sets."
    )
    assert findings.status_words(results) == words
    flat = " ".join(summary.terminal(results, PLACE).split())
    assert words in flat
    assert "1× target" in flat
    page = "".join(summary.parts(results, {}, PLACE))
    assert words in page
    assert "<h3>Diverged</h3>" in page
    assert '<td class="number" data-sort="12.25">12.25</td>' in page
    assert any("1 diverged: they have no score" in line for line in limits.limits(results))
    assert "<h3>Diverged</h3>" not in "".join(summary.parts(Results(make_tables(THE_PAPER), ABOUT), {}, PLACE))
