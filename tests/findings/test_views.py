"""The views of a study's blocks: target, region, shallow and deep."""

import pandas as pd
import pytest

from mute.findings import views as named


def test_a_stated_block_counts_only_where_the_rule_asks_for_it():
    cka, lrds = [0.2, 0.9, 0.8, 0.4], [0.3, 0.1, 0.1, 0.4]
    rows = [{"block": b, "cka": c, "lrds": d} for b, (c, d) in enumerate(zip(cka, lrds))]
    layers = pd.DataFrame(rows).assign(model="m", training_seed=0, forget_set="domain")
    settings = {"rule": "hull", "alpha": 2.0, "choice": {"rmu": "argmax", "slug": "stated"}, "stated": {"m": 3}}
    _, views = named.region_tables(layers, {"layers": settings, "algorithms": ["rmu", "slug"]})
    target = views[views["view"] == "target"].set_index("algorithm")
    assert target["block"].to_dict() == {"rmu": 1, "slug": 3}
    assert target["rule"].to_dict() == {"rmu": "argmax", "slug": "stated"}


def test_regions_say_whether_a_model_has_a_band():
    """The interior minimum, by more than its interval at both ends; of a curve without intervals, by points alone."""
    curve = pd.DataFrame({"block": range(4), "cka": [0.2, 0.9, 0.8, 0.4], "lrds": [0.3, 0.2, 0.1, 0.25]})
    layers = curve.assign(model="m", training_seed=0, forget_set="domain")
    settings = {"rule": "hull", "alpha": 2.0, "choice": {}, "stated": {}}

    def regions(**ends):
        return named.region_tables(layers.assign(**ends), {"layers": settings, "algorithms": []})[0]

    def row(table):
        (own,) = table[["band_exists", "lowest", "below_first", "below_last"]].drop_duplicates().to_numpy().tolist()
        return own

    assert row(regions()) == [True, 2, pytest.approx(0.2), pytest.approx(0.15)]
    sure = {"below_first_low": 0.1, "below_first_high": 0.3, "below_last_low": 0.01, "below_last_high": 0.2}
    table = regions(**sure)
    assert row(table)[0] is True
    assert len(table) == 6
    assert table[[*sure]].drop_duplicates().to_numpy().tolist() == [[*sure.values()]]
    assert row(regions(**{**sure, "below_last_low": [0.5, 0.5, 0.0, 0.5]}))[0] is False
