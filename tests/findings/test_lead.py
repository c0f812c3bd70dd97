"""The lead result in sentences: shares of variance held against each other, and models without a band counted."""

import pandas as pd

from mute.findings import claims, lead, simulation
from mute.findings.findings import answer

TERMS = ("block", "script", "language", "block × script", "rest")


def shares(**of_models: tuple[float, ...]) -> pd.DataFrame:
    rows = [("rmu", model, term, share) for model, own in of_models.items() for term, share in zip(TERMS, own)]
    return pd.DataFrame(rows, columns=["algorithm", "model", "term", "share"])


def test_languages_and_blocks_are_counted_pair_by_pair():
    words = lead.language_or_block(shares(llama=(0.1, 0.5, 0.2, 0.1, 0.1), bloom=(0.6, 0.1, 0.1, 0.1, 0.1)))
    assert "in 1 of 2 pairs" in words
    assert "0.70 against 0.10 in llama by rmu" in words
    assert "0.20 against 0.60 in bloom by rmu" in words
    assert lead.language_or_block(shares()) == ""


def test_drawn_studies_differ_in_what_decides():
    said = {world: lead.language_or_block(claims.variance(simulation.study(world, 3))) for world in simulation.WORLDS}
    assert "explain more than the edited block in 0 of 6 pairs" in said["true"]
    assert "explain more than the edited block in 6 of 6 pairs" in said["false"]


def test_models_without_a_band_are_counted():
    results = simulation.study("true", 3, simulation.Design(trainings=4, silent=0.0))
    assert "12 of 12 trained models have an intermediate band" in lead.bands(results)
    results = simulation.study("true", 3, simulation.Design(trainings=4, silent=1.0))
    assert lead.bands(results) == "", "a model below its gate is not counted"
    assert [name for name, _ in answer(simulation.study("true", 3))][:2] == ["Language or block", "Intermediate band"]
