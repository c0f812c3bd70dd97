"""Statuses that size and scores give: what is no edit, and what is no model any more."""

import math

import pandas as pd
import pytest

from mute.bands import KEYS
from mute.evaluate.tables import with_statuses

KEY = dict(zip(KEYS, ("llama", 0, "rmu", "3", "en-es", "source", "domain", "matched", 0)))


def made(status="ok", size=0.5, k_source=0.1, k_heldout=0.2, c_source=0.9):
    """Status of one cell of these numbers, in the table of cells and in each row of its scores."""
    cells = pd.DataFrame([{**KEY, "status": status, "size": size}, {**KEY, "band": "4", "status": "ok", "size": 0.5}])
    rows = [
        ("K", "source", "all", "", k_source),
        ("K", "heldout", "all", "", k_heldout),
        ("C", "source", "", "", c_source),
        # What is not asked: another group, another kind of facts, one language, a model under attack.
        ("C", "heldout", "", "", 0.1),
        ("K", "source", "taught", "", 0.0),
        ("K", "source", "all", "retrain_1", 0.0),
    ]
    columns = ["metric", "group", "facts", "attack", "value"]
    scores = pd.DataFrame(rows, columns=columns).assign(**KEY, status=status, language="")
    other = pd.DataFrame(rows[:3], columns=columns).assign(**{**KEY, "band": "4"}, status="ok", language="", value=0.9)
    base = scores.assign(algorithm="base", band="", retain="", protocol="", status="ok")
    cells, scores = with_statuses(cells, pd.concat([base, scores, other], ignore_index=True))
    of_base, own = (
        scores[scores["algorithm"] == "base"],
        scores[(scores["algorithm"] == "rmu") & (scores["band"] == "3")],
    )
    assert set(of_base["status"]) == {"ok"}
    assert set(own["status"]) == {cells["status"].iloc[0]}
    assert cells["status"].iloc[1] == "ok", "the cell beside it keeps its own"
    return cells["status"].iloc[0]


@pytest.mark.parametrize(
    ("numbers", "status"),
    [
        ({}, "ok"),
        ({"c_source": 0.49}, "destroyed"),
        ({"c_source": 0.5}, "ok"),
        ({"c_source": math.nan}, "ok"),
        ({"size": 0.009, "k_source": 1.04, "k_heldout": 0.96}, "no_edit"),
        ({"size": 0.01, "k_source": 1.0, "k_heldout": 1.0}, "ok"),
        ({"size": 0.009, "k_source": 0.94, "k_heldout": 1.0}, "ok"),
        ({"size": 0.009, "k_source": 1.0, "k_heldout": 0.94}, "ok"),
        ({"size": math.nan, "k_source": 1.0, "k_heldout": 1.0}, "ok"),
        ({"size": 0.0, "k_source": 1.0, "k_heldout": math.nan}, "ok"),
        ({"status": "not_reached", "c_source": 0.2}, "destroyed"),
        ({"status": "not_reached", "size": 0.001, "k_source": 1.0, "k_heldout": 1.0}, "no_edit"),
        ({"status": "diverged", "c_source": 0.2}, "diverged"),
        ({"status": "not_applicable", "size": 0.0, "k_source": 1.0, "k_heldout": 1.0}, "not_applicable"),
    ],
)
def test_a_status_is_what_size_and_scores_say(numbers, status):
    assert made(**numbers) == status


@pytest.mark.parametrize(
    ("accuracy", "low", "chance", "k", "status"),
    [
        (0.9, 0.8, 0.25, 1.0, "ok"),
        (0.30, 0.2, 0.25, 1.0, "nothing_to_forget"),  # guessing cannot be excluded
        (0.25, math.nan, 0.25, 1.0, "nothing_to_forget"),
        (0.71, 0.6, 0.25, math.nan, "nothing_to_forget"),  # as its oracle
        (0.32, 0.26, 0.25, 1.0, "ok"),
    ],
)
@pytest.mark.parametrize("before", ["ok", "not_reached", "diverged"])
def test_a_model_at_its_floor_has_nothing_to_forget(accuracy, low, chance, k, status, before):
    cells = pd.DataFrame([{**KEY, "status": before, "size": 0.5}])
    given = [("accuracy_option", accuracy, low), ("chance", chance, math.nan), ("K", k, math.nan)]
    base = {**KEY, "algorithm": "base", "band": "", "retain": "", "protocol": "", "status": "ok"}
    rows = [
        {
            **base,
            "metric": metric,
            "group": "source",
            "facts": "all",
            "language": "",
            "attack": "",
            "value": value,
            "low": end,
        }
        for metric, value, end in given
    ]
    found, _ = with_statuses(cells, pd.DataFrame(rows))
    # A run that diverged has no number to judge; the others keep their status where there was something to forget.
    assert found["status"].iloc[0] == (before if status == "ok" or before == "diverged" else status)
