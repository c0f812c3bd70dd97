"""The lens table: below its first block an edit changes nothing, so the rows of its own base stand there."""

import itertools

import pandas as pd

from mute.bands import KEYS
from mute.evaluate.tables import lens_table

MEASURES = ("probability", "full", "hit", "agree")


def profile(model: str, algorithm: str, band: str, blocks: range, value: float) -> pd.DataFrame:
    cell = ("", "", "") if algorithm == "base" else ("en-es", "source", "matched")
    keys = dict(zip(KEYS, (model, 0, algorithm, band, cell[0], cell[1], "domain", cell[2], 0)))
    rows = itertools.product(blocks, ("en", "hi"), MEASURES)
    return pd.DataFrame([{**keys, "block": b, "language": c, "measure": m, "value": value, "n": 4} for b, c, m in rows])


def test_a_cell_has_its_own_rows_and_below_them_those_of_its_own_base():
    parts = [
        profile("a", "base", "", range(4), 0.5),
        profile("b", "base", "", range(3), 0.7),
        profile("a", "rmu", "2", range(2, 4), 0.1),
        profile("b", "rmu", "0", range(3), 0.2),
    ]
    table = lens_table(pd.concat(parts, ignore_index=True))
    counts = table.groupby(["model", "algorithm", "affected"]).size().to_dict()
    assert counts == {
        ("a", "base", False): 8,
        ("b", "base", False): 6,
        ("a", "rmu", False): 4,
        ("a", "rmu", True): 4,
        ("b", "rmu", True): 6,
    }
    own = table[(table["model"] == "a") & (table["algorithm"] == "rmu")]
    assert sorted(own.loc[~own["affected"], "block"]) == [0, 0, 1, 1]
    assert set(own.loc[~own["affected"], "hit"]) == {0.5}
    assert set(own.loc[own["affected"], "hit"]) == {0.1}
    assert set(own["sources"]) == {"en-es"}


def test_a_study_without_the_lens_has_an_empty_table_of_it():
    columns = [*KEYS, "analysis", "measure", "block", "language", "value", "n"]
    table = lens_table(pd.DataFrame(columns=columns))
    assert table.empty
    assert [*table.columns] == [*KEYS, "language", "block", "affected", "probability", "full", "hit", "agree", "n"]
