"""The figure of guards: made-up guards whose rates are known, and what a study without guards shows."""

import pandas as pd
import pytest

from made_up import ABOUT, ERASES_AND_KEEPS, KEYS, THE_PAPER, make_tables
from mute.findings.results import Results
from mute.plotting import figures

GUARDS = {"rmu": {"intent": "guard", "family": "guard"}}
MISSED = {"en": 0.02, "es": 0.04, "de": 0.35, "xx": 0.96}


@pytest.fixture(scope="module")
def tables():
    """A guard with a detector in the place of an edit, beside the made-up study's own."""
    made = make_tables(THE_PAPER)
    cell = {**KEYS, "algorithm": "rmu", "band": "1", "protocol": "matched", "seed": 0, "analysis": "detection"}
    rows = [{**cell, "measure": "misses", "block": 0, "language": code, "value": v} for code, v in MISSED.items()]
    rows += [
        {**cell, "measure": "auroc", "block": block, "language": code, "value": 0.5 + 0.1 * block}
        for block in range(3)
        for code in MISSED
    ]
    rows = pd.DataFrame(rows).assign(n=60, status="ok")
    return {**made, "profiles": pd.concat([made["profiles"], rows], ignore_index=True)}


def written(figure):
    return [text.get_text() for axes in figure.get_axes() for text in axes.texts]


def test_rates_stand_in_the_map_and_areas_on_the_lines(tables):
    figure = figures.load("detection").draw(tables, {**ABOUT, "algorithms": GUARDS})
    assert {"2", "4", "35", "96"} <= set(written(figure))
    areas = next(axes for axes in figure.get_axes() if "ROC" in axes.get_title(loc="left") + axes.get_title())
    heldout = [line for line in areas.lines if list(line.get_xdata()) == [0, 1, 2]]
    assert [list(line.get_ydata()) for line in heldout] == [[0.5, 0.6, 0.7]] * 2
    assert figures.load("detection").has(Results.of(tables, ABOUT))


def test_a_study_without_guards_shows_nothing():
    made = make_tables({"0": ERASES_AND_KEEPS})
    module = figures.load("detection")
    assert not module.has(Results.of(made, ABOUT))
    assert any("no analysis of detectors" in text for text in written(module.draw(made, ABOUT)))
