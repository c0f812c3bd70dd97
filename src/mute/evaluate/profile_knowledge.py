"""Knowledge in the rows of analyses: K beside each option accuracy that one has read, by the floor of the scores.

A pure function of tables: an analysis needs no oracle, and a new floor computes no analysis anew.
"""

import numpy as np
import pandas as pd

from mute.bands import KEYS
from mute.evaluate.panel import MARGIN

# `accuracy_shifted` has `K_shifted` beside it.
ACCURACY, KNOWLEDGE = "accuracy_", "K_"
# K of bases that stands beside every cell as well, as `K_base_shifted`: the control that its own is read against.
CONTROLS = ("K_shifted",)
_MODEL = ["model", "training_seed", "forget_set"]


def with_knowledge(profiles: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The table of profiles with K in further rows, from the accuracies of base and oracle in the table of scores.

    K is (A - A_floor) / (A_base - A_floor) as in the scores: 1 untouched, 0 never knew; NaN where the base is not more
    than MARGIN above the floor, which is the oracle or, where there is none, chance.
    """
    own = profiles[profiles["measure"].str.startswith(ACCURACY)]
    if own.empty:
        return profiles
    by = [*_MODEL, "language"]
    base, floor = _ground(scores, by)
    beside = own[by].merge(base, on=by, how="left").merge(floor, on=by, how="left")
    room = beside["base"].to_numpy(float) - beside["floor"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(room > MARGIN, (own["value"].to_numpy(float) - beside["floor"].to_numpy(float)) / room, np.nan)
    measure = KNOWLEDGE + own["measure"].str.removeprefix(ACCURACY)
    known = own.assign(measure=measure, value=value)
    return pd.concat([profiles, known, _controls(known)], ignore_index=True)


def _ground(scores: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy of the base, and of what never knew, by model, forget set and language."""
    rows = scores[scores["language"].fillna("").ne("") & (scores["facts"] == "all")]

    def values(algorithm: str, metric: str, name: str) -> pd.DataFrame:
        own = rows[(rows["algorithm"] == algorithm) & (rows["metric"] == metric)]
        return own.drop_duplicates(by)[[*by, "value"]].rename(columns={"value": name})

    floors = [values(*of, "floor") for of in (("oracle", "accuracy_option"), ("base", "guess"), ("base", "chance"))]
    return values("base", "accuracy_option", "base"), pd.concat(floors).drop_duplicates(by)


def _controls(known: pd.DataFrame) -> pd.DataFrame:
    """CONTROLS of the base, with the keys of each cell whose own row it stands beside."""
    chosen = known[known["measure"].isin(CONTROLS)]
    of_base = chosen["algorithm"] == "base"
    by = [*_MODEL, "analysis", "band", "sources", "block", "language", "measure"]
    base = chosen.loc[of_base, [*by, "value", "n"]]
    cells = chosen.loc[~of_base, [*KEYS, "analysis", "block", "language", "measure"]]
    found = cells.merge(base, on=by)
    return found.assign(measure=f"{KNOWLEDGE}base_" + found["measure"].str.removeprefix(KNOWLEDGE))[known.columns]
