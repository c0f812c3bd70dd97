"""The views of a study's blocks: target, region, shallow and deep."""

import pandas as pd

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
