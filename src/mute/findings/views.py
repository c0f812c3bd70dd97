"""The tables of regions and of named blocks (target, shallow, deep, region), made from the layer scores."""

import pandas as pd

from mute.findings import region
from mute.store.records import Facts

# The published models whose positions the views translate have 32 blocks; their shallow edit is at block 2.
PUBLISHED_DEPTH, PUBLISHED_SHALLOW = 32, 2


def region_tables(layers: pd.DataFrame, plan: Facts) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Regions of every model by both rules at alpha and alpha +- 0.5, and the named views on blocks.

    Views: `target` (by each algorithm's layer rule), `shallow` and `deep` (by position), `region` (every block of it).
    `band_exists` says of a model, in each of its regions, whether LRDS has an interior minimum below both ends.
    """
    regions, views = [], []
    settings = plan["layers"]
    keys = ["model", "training_seed", "forget_set"]
    for key, curve in layers.groupby(keys, sort=False):
        assert isinstance(key, tuple)
        model, *_ = key
        cka, lrds = curve["cka"].tolist(), curve["lrds"].tolist()
        width = settings["alpha"].get(model, "auto") if isinstance(settings["alpha"], dict) else settings["alpha"]
        dip = region.dip(lrds, *(_ends(curve, name) for name in ("below_first", "below_last")))
        first, last = dip.below_first, dip.below_last
        lowest = "" if dip.block is None else dip.block
        band = (dip.exists, lowest, first.value, first.low, first.high, last.value, last.low, last.high)
        chosen = {}
        for rule in region.REGION_RULES:
            auto = width == "auto"
            found = region.choose_alpha(cka, lrds, rule) if auto else region.region(cka, lrds, width, rule)
            chosen[rule] = found
            for alpha in (found.alpha - 0.5, found.alpha, found.alpha + 0.5):
                own = found if alpha == found.alpha else region.region(cka, lrds, max(alpha, 1.0), rule)
                used = rule == settings["rule"] and alpha == found.alpha
                blocks = " ".join(map(str, own.blocks))
                row = (rule, own.alpha, used, blocks, own.reason or "", own.cka_floor, own.lrds_ceiling)
                regions.append((*key, *row, *band))
        own, depth = chosen[settings["rule"]], len(curve)
        shallow = region.map_position(PUBLISHED_SHALLOW, PUBLISHED_DEPTH, depth)
        for algorithm in plan["algorithms"]:
            rule = settings["choice"].get(algorithm, "first_local_peak")
            named = [("shallow", "position", [shallow]), ("deep", "position", [max(depth - 2, 0)])]
            named.append(("region", own.rule, list(own.blocks)))
            # A block may be stated that no algorithm's rule asks for.
            stated = settings["stated"].get(model) if rule == "stated" else None
            if own.blocks if rule != "stated" else stated is not None:
                named.append(("target", rule, [region.choose_layer(cka, own, rule, stated=stated)]))
            views += [(*key, algorithm, view, how, block) for view, how, blocks in named for block in blocks]
    columns = ["rule", "alpha", "chosen", "blocks", "reason", "cka_floor", "lrds_ceiling", "band_exists", "lowest"]
    columns += [f"below_{end}{part}" for end in ("first", "last") for part in ("", "_low", "_high")]
    return (
        pd.DataFrame(regions, columns=[*keys, *columns]),
        pd.DataFrame(views, columns=[*keys, "algorithm", "view", "rule", "block"]),
    )


def _ends(curve: pd.DataFrame, name: str) -> region.Ends | None:
    """The intervals by block that the layer scores have; none of a curve that is one of points alone."""
    columns = [f"{name}_low", f"{name}_high"]
    return (curve[columns[0]], curve[columns[1]]) if set(columns) <= set(curve.columns) else None
