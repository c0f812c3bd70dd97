"""Relearning across languages as a matrix: what comes back where, with intervals, and the subwords that are shared."""

import math

import pandas as pd
import pytest

from made_up import ABOUT, KEYS, THE_PAPER, make_tables
from mute.findings import recovery
from mute.findings.results import Results
from mute.plotting import robustness

TAUGHT = {"in_en": "en", "in_xx": "xx"}
GROUPS = {"en": "source", "es": "source", "de": "heldout", "xx": "heldout"}
CELL = {**KEYS, "algorithm": "rmu", "band": "1", "protocol": "matched", "seed": 0, "status": "ok", "facts": "all"}


@pytest.fixture
def results():
    rows = [
        {**CELL, "attack": attack, "language": code, "group": group, "metric": "regained"}
        | {"value": 0.1 * i + 0.01 * j, "low": 0.1 * i, "high": 0.1 * i + 0.1, "n": 30, "floor": "oracle"}
        for i, attack in enumerate((*TAUGHT, "mix"))
        for j, (code, group) in enumerate(GROUPS.items())
    ]
    tables = make_tables(THE_PAPER)
    tables["scores"] = pd.concat([tables["scores"], pd.DataFrame(rows)])
    pairs = [("llama", "en", "es", 0.5), ("llama", "xx", "en", 0.25), ("qwen2", "en", "xx", 0.9)]
    tables["languages"] = pd.DataFrame(pairs, columns=["model", "language", "other", "overlap"])
    return Results.of(tables, {**ABOUT, "taught": dict(TAUGHT)})


def test_each_pair_of_languages_has_what_is_regained_its_interval_and_overlap(results):
    (case,) = results.cases
    found = {(pair.taught, pair.asked): pair for pair in recovery.matrix(results, case, "rmu", "1")}
    assert len(found) == 2 * 4
    assert found["en", "xx"].regained.value == pytest.approx(0.03)
    assert (found["xx", "en"].regained.low, found["xx", "en"].regained.n) == (0.1, 30)
    assert found["en", "en"].overlap == 1
    assert found["en", "xx"].overlap == found["xx", "en"].overlap == 0.25, "whichever the table names first"
    assert math.isnan(found["xx", "de"].overlap)
    assert recovery.matrix(results, case, "rmu", "0") == []


def test_the_page_shows_the_matrix_with_overlaps_where_two_languages_are_taught(results):
    text = "".join(robustness.section(results))
    assert text.count("Taught in one language, asked in another") == 1
    assert "shared subwords" in text
    del results.about["taught"]["in_xx"]
    assert "Taught in one language" not in "".join(robustness.section(Results(results.tables, results.about)))
