"""The tables of regions and of named blocks (target, shallow, deep, region), made from the layer scores."""

from typing import Any

import pandas as pd

from mute.findings import region

# The published models whose positions the views translate have 32 blocks; their shallow edit is at block 2.
PUBLISHED_DEPTH, PUBLISHED_SHALLOW = 32, 2


def region_tables(layers: pd.DataFrame, plan: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Regions of every model by both rules at alpha and alpha +- 0.5, and the named views on blocks.

    Views: `target` (by each algorithm's layer rule), `shallow` and `deep` (by position), `region` (every block of it).
    """
    regions, views = [], []
    settings = plan["layers"]
    for key, curve in layers.groupby(["model", "training_seed", "forget_set"], sort=False):
        names: Any = key
        model, training_seed, forget_set = names
        cka, lrds = curve["cka"].tolist(), curve["lrds"].tolist()
        keys = {"model": model, "training_seed": training_seed, "forget_set": forget_set}
        width = settings["alpha"].get(model, "auto") if isinstance(settings["alpha"], dict) else settings["alpha"]
        chosen = {}
        for rule in region.REGION_RULES:
            auto = width == "auto"
            found = region.choose_alpha(cka, lrds, rule) if auto else region.region(cka, lrds, width, rule)
            chosen[rule] = found
            for alpha in (found.alpha - 0.5, found.alpha, found.alpha + 0.5):
                own = found if alpha == found.alpha else region.region(cka, lrds, max(alpha, 1.0), rule)
                regions.append(
                    {
                        **keys,
                        "rule": rule,
                        "alpha": own.alpha,
                        "chosen": rule == settings["rule"] and alpha == found.alpha,
                        "blocks": " ".join(map(str, own.blocks)),
                        "reason": own.reason or "",
                        "cka_floor": own.cka_floor,
                        "lrds_ceiling": own.lrds_ceiling,
                    }
                )
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
            views += [
                {**keys, "algorithm": algorithm, "view": view, "rule": how, "block": block}
                for view, how, blocks in named
                for block in blocks
            ]
    return pd.DataFrame(regions), pd.DataFrame(views)
