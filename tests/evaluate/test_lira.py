"""LiRA: golden values, distributions whose areas are known, and controls."""

import numpy as np
import pandas as pd
import pytest
from test_golden_measures import matches

from made_up import ABOUT, KEYS, THE_PAPER, make_tables
from mute.evaluate import item_table
from mute.evaluate.board import Board, summary
from mute.evaluate.measures import Context, lira
from mute.evaluate.measures.membership import area
from mute.evaluate.panel import Panel
from mute.findings import membership
from mute.findings.results import Results

FACTS, LANGUAGES = 200, ("en", "es", "hi")
# Of each language the scale of its log-odds: pooled, it would look like membership.
SCALE = {"en": 1.0, "es": 5.0, "hi": 0.2}


def test_the_log_odds_of_an_answer():
    logs = np.log([0.2, 0.5, 0.3])
    matches(lira.log_odds(logs, 1), "icul LiRA score", "phi")
    matches(lira.log_odds(logs, 0), "icul LiRA score", "class 0")
    assert lira.log_odds(logs - 900, 0) == pytest.approx(lira.log_odds(logs, 0)), "whatever the scale of the options"
    assert np.isnan(lira.log_odds(np.array([np.nan, 0.0]), 0))
    assert np.isnan(lira.log_odds(np.array([0.0, -np.inf]), 0))


def test_the_ratio_of_two_gaussians():
    inside, outside = (np.array([own]).T for own in ([2.1, 1.7, 2.6, 1.9], [0.4, 0.9, 0.2, 0.6]))
    matches([lira.ratio(np.array([x]), inside, outside)[0] for x in (0.5, 1.2, 2.0)], "LiRA log likelihood ratio")
    assert np.isnan(lira.ratio(np.zeros(1), np.ones((4, 1)), outside)).all(), "without a spread there is no density"


def areas(apart, *, models=10, repeats=10, shuffled=False):
    """Mean area over draws of members `apart` standard deviations from others, each fact about a centre of its own."""
    rng, found = np.random.default_rng(0), []
    for _ in range(repeats):
        centre = rng.normal(0, 3, FACTS)
        inside, outside = (centre + side * apart + rng.normal(size=(models, FACTS)) for side in (1, 0))
        cell, oracle = (centre + side * apart + rng.normal(size=FACTS) for side in (1, 0))
        if shuffled:
            pool = rng.permutation(np.concatenate([inside, outside]))
            inside, outside = pool[:models], pool[models:]
        ratios = (lira.ratio(phi, inside, outside) for phi in (cell, oracle))
        found.append(area(*(-own for own in ratios)))
    return np.mean(found)


def test_areas_of_distributions_that_are_known():
    assert areas(0.0) == pytest.approx(0.5, abs=0.05)
    assert areas(1.0) == pytest.approx(0.76, abs=0.05)
    assert areas(8.0) > 0.99
    # Labels shuffled over models: the same effort tells nothing.
    assert areas(1.0, shuffled=True, repeats=40) == pytest.approx(0.5, abs=0.05)


def test_true_positives_where_few_are_taken_for_members():
    others, ones = np.arange(100.0), np.ones((1, 100))
    for share, wanted in ((0.05, 0.05), (0.0, 0.0), (0.5, 0.5)):
        assert lira.found(others, others, ones, ones, share)[0] == pytest.approx(wanted)
    assert lira.found(others + 100, others, ones, ones, 0.05)[0] == 1
    # Weights count as copies do.
    rng = np.random.default_rng(0)
    members, rest = rng.normal(1, 1, 60), rng.normal(size=60)
    counts = rng.integers(0, 3, (4, 60)).astype(float)
    for row, value in enumerate(lira.found(members, rest, counts, counts, 0.1)):
        own, other = (np.repeat(x, counts[row].astype(int)) for x in (members, rest))
        assert value == lira.found(own, other, np.ones((1, len(own))), np.ones((1, len(other))), 0.1)[0]


def table(apart, seed, prefix=""):
    """An item table of log-odds, each fact about a centre of its own that all models share."""
    rows = pd.MultiIndex.from_product(
        [[f"{prefix}{i:03}" for i in range(FACTS)], LANGUAGES], names=["item", "language"]
    )
    made = rows.to_frame(index=False).assign(set="facts", form=0, option=1.0)
    scale = made["language"].map(SCALE).to_numpy()
    centre = np.random.default_rng(0).normal(0, 3, len(made))
    drawn = np.random.default_rng(seed).normal(size=len(made))
    return made.assign(log_odds=scale * (centre + apart + drawn)).sort_values(item_table.KEYS, ignore_index=True)


def scored(cell, trainings, oracle=True):
    """Values by metric, and language or group."""
    base, never = table(4.0, 1), table(0.0, 2)
    items = sorted(set(base["item"]))
    facts = pd.DataFrame({"item": items, "validation": False})
    roles = pd.Series("forget", index=items)
    board = Board(Panel(base, facts, roles, source=["en", "es"], heldout=["hi"], headline_form=0, draws=40, seed=0))
    tables = {"cell": cell, "base": base, **({"oracle": never} if oracle else {})}
    lira.Lira().score(board, Context(tables, pd.DataFrame(), None, trainings))
    found = summary(*board.replicates())
    assert (found["low"] <= found["value"] + 1e-9).all()
    return {(row.metric, row.language or row.group): row.value for row in found.itertuples()} | {
        (row.metric, row.language or row.group, "n"): row.n for row in found.itertuples()
    }


OTHERS = [(table(4.0, seed), table(0.0, seed + 50)) for seed in (11, 12, 13)]


def test_a_cell_that_is_its_base_is_told_and_one_that_is_an_oracle_is_not():
    known, gone = scored(table(4.0, 3), OTHERS), scored(table(0.0, 3), OTHERS)
    for code in (*LANGUAGES, "source", "heldout", "all"):
        assert known["lira_auc", code] > 0.9
        assert known["lira_tpr", code] > 0.5
        assert gone["lira_auc", code] == pytest.approx(0.5, abs=0.07)
        assert gone["lira_tpr", code] < 0.15
    itself = scored(table(0.0, 2), OTHERS)
    assert itself["lira_auc", "all"] == 0.5, "an oracle beside itself"
    # An edit of the sources alone.
    hindi = table(0.0, 3)["language"] == "hi"
    part = table(0.0, 3).assign(log_odds=table(4.0, 3)["log_odds"].where(hindi, table(0.0, 3)["log_odds"]))
    found = scored(part, OTHERS)
    assert found["lira_auc", "heldout"] > 0.9 > 0.6 > found["lira_auc", "source"]


def test_facts_that_one_training_was_not_asked_are_behind_no_number():
    short = [(one[one["item"] != "000"], never) for one, never in OTHERS]
    found = scored(table(4.0, 3), short)
    for place in (*LANGUAGES, "source", "heldout", "all"):
        assert found["lira_auc", place, "n"] == FACTS - 1
        assert found["log_odds", place, "n"] == FACTS


@pytest.mark.parametrize("lacking", ["flag", "trainings", "oracle", "world"])
def test_without_enough_trainings_of_one_world_or_an_oracle_nothing_is_said(lacking):
    trainings = {"flag": (), "trainings": OTHERS[:1]}.get(lacking, OTHERS)
    if lacking == "world":
        trainings = [OTHERS[0], *((table(4.0, seed, "w"), table(0.0, seed, "w")) for seed in (5, 6))]
    found = scored(table(4.0, 3), trainings, oracle=lacking != "oracle")
    assert {metric for metric, *_ in found} == {"log_odds"}


def test_a_table_says_of_each_edit_or_why_not():
    tables = make_tables(THE_PAPER)
    assert membership.table(Results.of(tables, ABOUT))["reason"].tolist() == ["not asked: evaluation.lira is off"]
    few = membership.table(Results.of(tables, {**ABOUT, "trainings": {"llama.domain": 1}}))
    assert few["reason"].str.startswith("n/a: it needs three trainings").all()
    cell = {**KEYS, "algorithm": "rmu", "band": "1", "protocol": "matched", "seed": 0, "status": "ok", "facts": "all"}
    ends = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 60, "language": "", "group": "source"}
    rows = [{**cell, **ends, "metric": metric} for metric in ("lira_auc", "lira_tpr")]
    tables["scores"] = pd.concat([tables["scores"], pd.DataFrame(rows)])
    found = membership.table(Results.of(tables, ABOUT))
    assert found[["algorithm", "band", "group", "auc", "tpr_high", "reason"]].to_numpy().tolist() == [
        ["rmu", "1", "source", 0.6, 0.7, ""]
    ]
    assert membership.table(Results.of({}, ABOUT)).empty
