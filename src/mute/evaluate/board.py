"""Scores in all their replicates, the table of values and bands made from them, and differences between cells.

Shapes: S scores, R = 1 + draws replicates (replicate 0 is the estimate), K languages, G groups; see `panel`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mute.evaluate.inference import percentile_interval, wilson
from mute.evaluate.panel import GROUPS, Measure, Panel
from mute.store.artifacts import digest

# Which score a row is; `floor` is the reference of "never knew": oracle, chance, or '' where there is none.
SCORE_KEYS = ["language", "group", "metric", "facts", "floor"]
SCORE_COLUMNS = ["language", "group", "metric", "facts", "value", "low", "high", "n", "floor"]


@dataclass(frozen=True)
class Replicates:
    """Every score of one evaluation, estimated once and resampled `draws` times.

    keys: SCORE_KEYS, `n` clusters, and `plain`: whether it is a binomial share of one language. values [S, R].
    `paired` names the seed, draws and clusters: two evaluations with the same one are resampled alike.
    """

    keys: pd.DataFrame
    values: np.ndarray
    paired: str

    def of(self, metric: str, *, language: str = "", group: str = "all", facts: str = "") -> np.ndarray:
        """The replicates [R] of one score. Raises KeyError if there is no such score."""
        k = self.keys
        found = (k["metric"] == metric) & (k["language"] == language) & (k["group"] == group) & (k["facts"] == facts)
        if not found.any():
            raise KeyError(f"no score {metric!r} of facts {facts!r}, language {language!r}, group {group!r}")
        return self.values[int(np.flatnonzero(found.to_numpy())[0])]


class Board:
    """Collects scores while an evaluation is read."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._rows: list[tuple] = []
        self._values: list[np.ndarray] = []

    def add(self, metric: str, measure: Measure, *, facts: str = "", floor: str = "", plain: bool = False) -> None:
        """A score by language and group. Languages and groups with nothing to measure get no row.

        `plain`: the score is a share of hits, so that one language has a Wilson interval.
        """
        source = len(self.panel.groups[0])
        for i, language in enumerate(self.panel.languages):
            if measure.n[i]:
                group, single = ("source" if i < source else "heldout"), plain and bool(measure.single[i])
                self._rows.append((language, group, metric, facts, floor, int(measure.n[i]), single))
                self._values.append(measure.values[:, i])
        for i, group in enumerate(GROUPS, len(self.panel.languages)):
            self.add_group(metric, group, measure.values[:, i], int(measure.n[i]), facts=facts, floor=floor)

    def add_group(
        self, metric: str, group: str, values: np.ndarray, n: int, *, facts: str = "", floor: str = ""
    ) -> None:
        """One aggregate score, values [R]; no row where n is 0."""
        if n:
            self._rows.append(("", group, metric, facts, floor, n, False))
            self._values.append(values)

    def replicates(self) -> Replicates:
        panel = self.panel
        keys = pd.DataFrame(self._rows, columns=[*SCORE_KEYS[:2], "metric", "facts", "floor", "n", "plain"])
        values = np.array(self._values).reshape(len(keys), 1 + panel.draws)
        paired = digest([panel.seed, panel.draws, sorted((k, list(v)) for k, v in panel.clusters.items())])
        return Replicates(keys, values, paired)


def summary(replicates: Replicates, level: float = 0.95) -> pd.DataFrame:
    """One row per score: SCORE_COLUMNS, with the band [low, high] of this level.

    Bands are percentiles over resampled clusters; a binomial share of one language has Wilson's interval. Both ends
    are NaN where the value is.
    """
    keys, values = replicates.keys, replicates.values
    low, high = percentile_interval(values[:, 1:], level)
    plain = keys["plain"].to_numpy(bool) & np.isfinite(values[:, 0])
    n = keys["n"].to_numpy()
    # The share of a sum of hits: rounding of value times n must not leave [0, n].
    hits = np.clip(values[plain, 0] * n[plain], 0, n[plain])
    low[plain], high[plain] = wilson(hits, n[plain], level)
    undefined = np.isnan(values[:, 0])
    low[undefined] = high[undefined] = np.nan
    return keys.assign(value=values[:, 0], low=low, high=high)[SCORE_COLUMNS]


def difference(a: Replicates, b: Replicates, level: float = 0.95) -> pd.DataFrame:
    """a - b for every score that both have, with paired bands: SCORE_COLUMNS, n the smaller of the two.

    Scores against different floors (oracle, chance) are different scores and are left out.

    Raises ValueError if the two were not resampled alike.
    """
    if a.paired != b.paired:
        raise ValueError("not paired: the two evaluations differ in seed, draws, facts or lines")
    left, right = (x.keys.assign(row=np.arange(len(x.keys))) for x in (a, b))
    both = left.merge(right, on=SCORE_KEYS, suffixes=("", "_b"), validate="one_to_one")
    values = a.values[both["row"].to_numpy()] - b.values[both["row_b"].to_numpy()]
    keys = both[SCORE_KEYS].assign(n=both[["n", "n_b"]].min(axis=1), plain=False)
    return summary(Replicates(keys, values, a.paired), level)
