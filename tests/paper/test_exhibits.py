"""The paper's tables and figures beside ours, and what goes beyond them, on studies whose truth is known."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from made_up import ABOUT, ERASES_NOTHING, KEYS, KINDS, THE_PAPER, incomplete, make_tables, many, score_rows
from mute import bands
from mute.evaluate.inference import t_p_value
from mute.findings import beyond, predict, primary, regimes, trainings, transfer
from mute.findings.published import Published
from mute.findings.results import Number, Results
from mute.paper import exhibits, figures, layout
from mute.paper import tables as paper_tables
from mute.plan.rules import PAPER_FIGURES, PAPER_TABLES
from mute.plotting import style

ROOT = Path(__file__).parents[2]
LLAMA = {**ABOUT, "models": {"llama": {**ABOUT["models"]["llama"], "family": "llama"}}}


@pytest.fixture(scope="module")
def published() -> Published:
    return Published(ROOT / "paper/published")


def together(first: dict, second: dict, name: str) -> dict:
    """The tables of two architectures, the second of a name of its own."""
    return {key: pd.concat([first[key], second[key].assign(model=name)], ignore_index=True) for key in first}


# Over trained models


def test_the_mean_over_trainings_has_a_t_interval():
    mean = trainings.mean([Number(0.2, 0.1, 0.3, 60), Number(0.4, 0.1, 0.9, 60), Number(), Number(0.6, 0, 1, 60)])
    half = 4.302653 * 0.2 / math.sqrt(3)
    assert (mean.value, mean.low, mean.high, mean.n) == pytest.approx((0.4, 0.4 - half, 0.4 + half, 3), rel=1e-5)
    assert mean.df == 2
    # Of one model the interval is that over its facts, and the unit says so.
    one = [Number(0.2, 0.1, 0.3, 60)]
    assert trainings.mean(one) == Number(0.2, 0.1, 0.3, 1)
    assert trainings.unit(one) == trainings.FACTS
    assert trainings.unit(one * 2) == trainings.MODELS
    assert not trainings.mean([])


def test_p_values_are_those_of_the_t_test():
    # With one degree of freedom Student's t is Cauchy's: here t is -2.
    tail = 0.5 - math.atan(2) / math.pi
    assert t_p_value([0.4, 0.2], 0.5, "below") == pytest.approx(tail)
    assert t_p_value([0.4, 0.2], 0.5, "above") == pytest.approx(1 - tail)
    # And with three, where the table has 3.182446 for 0.025: mean 0, spread 1, line at t standard errors.
    values = [x / math.sqrt(5 / 3) for x in (-1.5, -0.5, 0.5, 1.5)]
    assert t_p_value(values, 3.182446 / 2, "below") == pytest.approx(0.025, rel=1e-5)
    assert t_p_value([0.4, 0.6], 0.5, "below") == pytest.approx(0.5)
    assert t_p_value([0.4, 0.4], 0.5, "below") == 0
    assert t_p_value([0.6, 0.6], 0.5, "below") == 1
    assert math.isnan(t_p_value([0.4, math.nan], 0.5, "below"))


def test_primary_outcomes_are_declared_tested_and_corrected():
    declared = ["K worst", "leak other_script", "C worst", "target merit", "recovery retrain_20"]
    noise = [0.0, 0.02, -0.02, 0.01]
    effects = [{b: tuple(v + n for v in values) for b, values in THE_PAPER.items()} for n in noise]
    rows = primary.table(Results(many(effects), {**ABOUT, "primary": declared})).set_index("outcome")
    assert list(rows.index) == declared
    assert (rows["n"] == 4).all()
    assert (rows["unit"] == trainings.MODELS).all()
    assert (rows["holm"] >= rows["p"]).all()
    # Ten points of leak are the margin itself, and what was erased is back after training.
    not_shown = {"leak other_script", "recovery retrain_20"}
    assert rows["verdict"].to_dict() == {name: "not shown" if name in not_shown else "shown" for name in declared}
    assert rows.loc["K worst", "p"] == pytest.approx(t_p_value([0.1 + n for n in noise], 0.5, "below"), abs=1e-12)
    # Merit: 0.9 at the target, 0 at the others.
    assert rows.loc["target merit", "value"] == pytest.approx(0.9)
    assert rows["detectable"].notna().all()


def test_a_primary_outcome_is_shown_of_all_only_if_each_architecture_shows_it():
    about = {**ABOUT, "primary": ["K worst"]}
    noise = [0.0, 0.02, -0.02, 0.01]
    good = [{b: tuple(v + n for v in values) for b, values in THE_PAPER.items()} for n in noise]
    bad = [{**effects, "1": (0.0, 0.9 + n, 1.0, 1.0)} for n, effects in zip(noise, good)]
    for second, expected in ((good, "shown"), (bad, "not decided")):
        rows = primary.table(Results(together(many(good), many(second), "qwen2"), about))
        assert list(rows["model"]) == ["llama", "qwen2"]
        assert set(rows["agreed"]) == {expected}
    assert list(rows["verdict"]) == ["shown", "not shown"]


def test_regimes_are_counted_over_trained_models():
    rows = regimes.table(Results(many([THE_PAPER] * 3), ABOUT)).set_index("regime")
    assert (rows[["n", "shows", "anywhere"]] == 3).all(axis=None)
    assert (rows[["fails", "open"]] == 0).all(axis=None)
    assert "such a block shows in 3" in regimes.answer(rows.reset_index())
    assert "(llama 3 of 3)" in regimes.answer(rows.reset_index())
    rows = regimes.table(Results(many([THE_PAPER, {**THE_PAPER, "1": ERASES_NOTHING}]), ABOUT)).set_index("regime")
    assert (rows.loc["middle", "shows"], rows.loc["middle", "fails"], rows.loc["middle", "anywhere"]) == (1, 1, 1)
    assert regimes.table(Results({}, {})).empty


# Prediction


def curves(models: int, blocks: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(models, blocks))


def test_a_score_that_decides_is_found_and_depth_alone_is_no_gain():
    x = curves(8, 8, 0)
    depth = predict.depth_features(8) @ np.array([0.1, 0.5, -0.4])
    made = depth + 0.3 * (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    assert predict.leave_one_out(made, predict.with_score(x)).r2 == pytest.approx(1, abs=1e-9)
    assert predict.leave_one_out(made, predict.with_score(x)).regret == pytest.approx(0, abs=1e-9)
    assert predict.leave_one_out(made, lambda m: predict.depth_features(8)).r2 < 0.9
    only_depth = np.tile(depth, (8, 1))
    assert predict.leave_one_out(only_depth, lambda m: predict.depth_features(8)).r2 == pytest.approx(1)


def test_models_left_out_are_predicted_as_by_least_squares_on_the_others():
    x, y = curves(6, 8, 1), curves(6, 8, 2)
    y -= y.mean(1, keepdims=True)
    features = predict.with_score(x)
    wrong, chosen = 0.0, []
    for left in range(6):
        others = [m for m in range(6) if m != left]
        design = np.vstack([features(m) for m in others])
        weights = np.linalg.lstsq(design, np.concatenate([y[m] for m in others]), rcond=None)[0]
        guess = features(left) @ weights
        wrong += ((y[left] - guess) ** 2).sum()
        chosen.append(y[left].max() - y[left][guess.argmax()])
    found = predict.leave_one_out(y, features)
    assert found.r2 == pytest.approx(1 - wrong / (y**2).sum(), abs=1e-8)
    assert found.regret == pytest.approx(np.mean(chosen))
    # A score that is the same at every block takes no weight.
    alone = predict.leave_one_out(y, lambda m: predict.depth_features(8)).r2
    assert predict.leave_one_out(y, predict.with_score(np.ones((6, 8)))).r2 == pytest.approx(alone, abs=1e-8)


def test_the_curves_of_one_architecture_shift_together():
    x = np.arange(12.0).reshape(3, 4)
    null = predict.null_like(x, ["a", "a", "b"], np.random.default_rng(0), 50)
    assert null.shape == (50, 3, 4)
    # What is done to the first is done to the second, whose curve is the first's plus 4.
    assert (null[:, 1] - null[:, 0] == 4).all()
    assert len({tuple(row) for row in null[:, 2]}) > 4
    assert len(predict.null_like(x, ["a"] * 3, np.random.default_rng(0), 50)) == 2 * 4 - 1


def test_the_null_is_every_shift_and_reversal_but_the_curve_itself():
    x = np.array([[1.0, 2, 4, 8]])
    null = predict.curves_like(x)
    assert len(null) == 2 * 4 - 1
    assert not any((other == x).all() for other in null)
    assert {tuple(other[0]) for other in null} >= {(2, 4, 8, 1), (8, 4, 2, 1)}


@pytest.mark.parametrize(("models", "expected"), [(8, {"predicts", "does not predict"}), (3, {"not decided"})])
def test_few_models_decide_nothing_about_prediction(models, expected):
    rng = np.random.default_rng(1)
    effects = [
        {b: tuple(v + rng.normal(0, 0.02) for v in values) for b, values in THE_PAPER.items()} for _ in range(models)
    ]
    rows = predict.table(Results(many(effects), ABOUT), plantings=20)
    # With one architecture and three blocks the null is too small to find much: that is not decided, too.
    assert set(rows["verdict"]) <= expected | {"not decided"}
    assert rows["power"].notna().all() == (models >= 6)
    assert {"cka", "lrds", "region"} <= set(rows["score"])
    assert (rows["n"] == models).all()


# The transfer matrix


CODES = ["en", "es", "de", "xx"]


def matrix_study(left) -> dict:
    """A study that unlearns in each language alone; `left(source, language)` of K stays."""
    made = make_tables(THE_PAPER)
    cells, scores = [], []
    for source in CODES:
        cell = {**KEYS, "sources": source, "algorithm": "rmu_alone", "band": "1", "protocol": "matched", "seed": 0}
        cells.append({**cell, "status": "ok", "steps": 1})
        for language in CODES:
            group = "source" if language == source else "heldout"
            value = left(source, language)
            ends = {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 60, "floor": "oracle"}
            where = {"language": language, "group": group, "metric": "K", "facts": "all"}
            scores.append({**cell, "status": "ok", **where, **ends})
    pairs = [
        {
            "model": "llama",
            "language": a,
            "other": b,
            "overlap": 0.1,
            "same_script": int("xx" not in (a, b)),
            "same_family": 1,
        }
        for a, b in itertools.combinations(CODES, 2)
    ]
    extra = {"cells": pd.DataFrame(cells), "scores": pd.DataFrame(scores), "languages": pd.DataFrame(pairs)}
    return {**made, **{name: pd.concat([made.get(name), table], ignore_index=True) for name, table in extra.items()}}


def test_the_matrix_holds_every_pair_and_its_interval():
    results = Results(matrix_study(lambda a, b: 0.0 if a == b else 0.7), ABOUT)
    table = transfer.matrix(results)
    assert len(table) == 16
    languages, values_ = transfer.square(table)
    assert languages == CODES
    assert np.diag(values_) == pytest.approx(0)
    assert values_[~np.eye(4, dtype=bool)] == pytest.approx(0.7)
    assert ((table["low"] < table["value"]) & (table["value"] < table["high"])).all()
    assert transfer.matrix(Results(make_tables(THE_PAPER), ABOUT)).empty, "three languages from two sources at once"


def test_script_explains_what_script_made_and_symmetry_is_seen():
    def left(source, language):
        return 0.0 if source == language else 0.9 if "xx" in (source, language) else 0.3

    results = Results(matrix_study(left), ABOUT)
    table = transfer.matrix(results)
    rows = transfer.explained(table, results, 1).set_index("term")
    assert rows.loc["same script", "estimate"] == pytest.approx(-0.6)
    assert rows.loc["asymmetry", "estimate"] == pytest.approx(0)
    # One language of four is apart: a quarter of the labellings are the same matrix.
    assert rows.loc["same script", "p"] == pytest.approx(0.25, abs=0.05)
    assert (rows["n"] == 4).all()


def test_asymmetry_is_the_mean_difference_of_the_two_directions():
    results = Results(matrix_study(lambda a, b: 0.0 if a == b else 0.8 if a < b else 0.2), ABOUT)
    table = transfer.matrix(results)
    rows = transfer.explained(table, results, 1).set_index("term")
    assert rows.loc["asymmetry", "estimate"] == pytest.approx(0.6)


# Tables and figures of the paper


def test_every_exhibit_has_its_published_rows_and_a_unit(published):
    results = Results(make_tables(THE_PAPER), LLAMA)
    made = {name: exhibits.table(name, results, published) for name in exhibits.EXHIBITS}
    assert (
        list(made)
        == [f"table_{i}" for i in range(1, 14)]
        == [name for name in PAPER_TABLES if name.startswith("table_")]
    )
    for name, table in made.items():
        assert (table["origin"] == "published").any(), name
        if "unit" in table:
            assert (table["unit"] != "").all(), name
            assert (table["low"] <= table["value"]).all(), name
            assert (table["value"] <= table["high"]).all(), name


def test_published_rows_are_the_papers_numbers(published):
    table = exhibits.table("table_1", Results({}, {}), published)
    assert set(table["condition"]) == {"base", "finetuned", "L2", "L30"}
    row = table[(table["condition"] == "finetuned") & (table["split"] == "forget") & (table["language"] == "en")].iloc[
        0
    ]
    assert (row["value"], row["n"]) == (86, 203)
    means = exhibits.table("table_2", Results({}, {}), published).set_index(["model", "condition", "split"])
    assert means.loc[("Llama-3.1-8B", "L9", "forget"), "value"] == pytest.approx(1.29, abs=0.01)
    assert means.loc[("Llama-3.1-8B", "L9", "retain"), "value"] == pytest.approx(54.71, abs=0.01)


def test_ours_stand_at_the_same_relative_depth(published):
    study = many([THE_PAPER, {**THE_PAPER, "2": ERASES_NOTHING}])
    extra = [
        {**row, "metric": metric, "facts": facts, "training_seed": seed}
        for seed in (0, 1)
        for band in "012"
        for metric, facts in (("accuracy_strict", "all"), ("retain_strict", ""))
        for row in score_rows("rmu", band, THE_PAPER[band], 0.02)
        if row["metric"] == "K" and row["facts"] == "all"
    ]
    study["scores"] = pd.concat([study["scores"], pd.DataFrame(extra)], ignore_index=True)
    results = Results(study, LLAMA)
    table = exhibits.table("table_3", results, published)
    ours = table[table["origin"] == "ours"]
    assert set(ours["condition"]) == {"block 0", "block 1", "block 2", "target"}, "L2, L9 and L16, L30 of 32"
    assert (ours["unit"] == trainings.MODELS).all()
    assert (ours["n"] == 2).all()
    deep = ours[(ours["condition"] == "block 2") & (ours["split"] == "forget") & (ours["language"] == "de")]
    assert deep["value"].iloc[0] == pytest.approx(100)


def test_ascent_from_other_sources_stands_beside_edits_of_another_protocol(published):
    """A study may run the paper's protocol for ascent alone, from languages of its own."""
    made = make_tables(THE_PAPER)
    alone = {"sources": "en", "protocol": "paper", "algorithm": "gradient_ascent", "band": "full"}
    extra = pd.DataFrame([{**KEYS, **alone, "seed": 0, "status": "ok", "steps": 3}])
    study = {**made, "cells": pd.concat([made["cells"], extra], ignore_index=True)}
    results = Results(study, {**LLAMA, "main": ["en-es", "source", "domain"]})
    assert results.cases[0].sources == "en", "the first in sorting order is not what the study began with"
    assert {case.protocol for case in exhibits.fixed_cases(results, "llama")} == {"matched"}
    paper_tables.make(results, published, 1)
    none = Results({**study, "cells": extra}, LLAMA)
    assert exhibits.fixed_cases(none, "llama") == []
    paper_tables.make(none, published, 1)


def test_what_was_run_on_one_model_is_claimed_of_none(published):
    made = many([THE_PAPER] * 3)
    one = made["cells"][(made["cells"]["algorithm"] == "rmu") & (made["cells"]["training_seed"] == 0)]
    extra = one.assign(algorithm="rmu_concatenated")
    results = Results({**made, "cells": pd.concat([made["cells"], extra], ignore_index=True)}, ABOUT)
    assert "rmu_concatenated" in results.algorithms(results.cases[0])
    assert set(paper_tables.make(results, published, 1)["means"]["algorithm"]) == {"rmu"}


@pytest.mark.parametrize("kind", KINDS)
def test_exhibits_take_what_there_is(kind, published):
    results = Results(incomplete(kind), LLAMA)
    made = paper_tables.make(results, published, 1)
    assert set(made) == set(PAPER_TABLES)
    for entry in layout.printed(made):
        assert entry["rows"]
        assert all(len(row) == len(entry["columns"]) for row in entry["rows"])
        assert all(isinstance(cell, str) for row in entry["rows"] for cell in row)


@pytest.mark.parametrize("name", figures.names())
@pytest.mark.parametrize("kind", ["whole", "empty", "matrix"])
def test_figures_are_drawn_alike_each_time(name, kind, tmp_path, published):
    study = {"whole": make_tables(THE_PAPER), "empty": {}, "matrix": matrix_study(lambda a, b: 0.5)}[kind]
    results = Results(study, LLAMA if kind != "empty" else {})
    for copy in ("one", "two"):
        for ending in ("svg", "pdf"):
            style.save(figures.load(name).draw(results, published), tmp_path / f"{copy}.{ending}")
    for ending in ("svg", "pdf"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
    assert figures.names() == PAPER_FIGURES
    assert figures.load(name).CAPTION


def test_what_goes_beyond_has_a_control_and_says_what_it_contradicts(published):
    def beyond_of(effects) -> pd.DataFrame:
        noise = [0.0, 0.02, -0.02]
        study = many([{b: tuple(v + n for v in values) for b, values in effects.items()} for n in noise])
        results = Results(study, ABOUT)
        return beyond.table(results, paper_tables.make(results, published, 1)).set_index("name")

    rows = beyond_of(THE_PAPER)
    assert (rows[["found", "control", "unit"]] != "").all(axis=None)
    # What was erased is back after training, and held-out languages keep ten points more.
    assert rows.loc["recovery", "against"] == "that what is erased is gone"
    assert "rmu: llama 1.00" in rows.loc["recovery", "found"]
    assert rows.loc["leak", "against"] == "that erasure reaches languages that were not read"
    assert rows.loc["language or block", "against"] == ""
    # Five points more are within the margin.
    other = beyond_of({b: (k, k + 0.05, c, 0.0) for b, (k, _, c, _) in THE_PAPER.items()})
    assert other.loc["recovery", "against"] == ""
    assert other.loc["leak", "against"] == ""


def test_facts_are_compared_within_each_model(published):
    """Models differ by far more than the two kinds of facts do: only the paired difference sees it."""
    study = many([{"1": (0.0, level, 1.0, 0.0)} for level in (0.1, 0.5, 0.9)])
    scores = study["scores"]
    more = (scores["metric"] == "K") & (scores["facts"] == "taught") & (scores["algorithm"] == "rmu")
    scores.loc[more, "value"] += 0.1 + 0.01 * scores.loc[more, "training_seed"]
    results = Results(study, ABOUT)
    found = beyond.table(results, paper_tables.make(results, published, 1)).set_index("name").loc["taught facts"]
    assert "rmu: llama 0.11 [0.09, 0.13]" in found["found"]
    assert found["against"] == "that one deletion serves however a fact was learned"


def test_a_table_of_error_rates_that_is_not_there_is_empty(published, tmp_path):
    made = paper_tables.make(Results({}, {}), published, 1, tmp_path / "none.csv")
    assert made["error_rates"].empty
    assert list(made["error_rates"]) == list(paper_tables.make(Results({}, {}), published, 1)["error_rates"])


def test_a_mean_shift_is_held_against_random_directions_where_knowledge_was_left(published):
    study = many([{"1": (0.1, 0.8, 1.0, 0.0), "2": (0.1, 0.8, 1.0, 0.0)}] * 3)
    cells = study["cells"]
    cells = cells[(cells["algorithm"] == "rmu") & cells["band"].isin(["1", "2"])]
    left = {"K_plain": 0.8, "K_shifted": 0.7, "K_shifted_forget": 0.3, "K_random_mean": 0.75}
    rows = [
        {**{key: cell[key] for key in bands.KEYS}, "analysis": "mean_shift", "block": int(cell["band"]), "n": 60}
        | {"language": code, "measure": measure, "value": value - 0.2 * (code == "hi" and measure == "K_shifted")}
        for cell in cells.to_dict("records")
        for code in ("de", "hi")
        for measure, value in left.items()
    ]
    profiles = pd.DataFrame(rows)
    # What an edit took is not there to be moved.
    gone = profiles.assign(language="fr", value=profiles["value"] - 0.5)
    for table in (profiles, pd.concat([profiles, gone])):
        results = Results({**study, "profiles": table}, ABOUT)
        found = beyond.table(results, paper_tables.make(results, published, 1)).set_index("name").loc["mean shift"]
        assert "changes K by: rmu on llama −0.15 [−0.15, −0.15], most in hi −0.25." in found["found"]
        assert "rmu on llama −0.45 [−0.45, −0.45], most in de −0.45." in found["control"]


def test_controls_stand_beside_the_methods_at_their_blocks(published):
    study = many([{"1": (0.1, 0.8, 0.9, 0.0), "2": (0.1, 0.2, 0.3, 0.0)}] * 2)
    for name in ("cells", "scores"):
        own = study[name][(study[name]["algorithm"] == "rmu") & (study[name]["band"] == "1")]
        study[name] = pd.concat([study[name], own.assign(algorithm="shuffled")], ignore_index=True)
    about = {**ABOUT, "algorithms": {"rmu": {"intent": "removal"}, "shuffled": {"intent": "control"}}}
    results = Results(study, about)
    found = beyond.table(results, paper_tables.make(results, published, 1)).set_index("name").loc["controls"]
    assert found["found"].startswith("Controls leave, over single blocks: shuffled: llama K")
    # The method where the control was run, and nowhere else.
    assert found["found"].split("llama")[1].rstrip(".") == found["control"].split("llama")[1].rstrip(".")
