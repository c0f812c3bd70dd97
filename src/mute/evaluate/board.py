"""Scores in all their replicates, and the table of values and bands made from them.

Shapes: S scores, R = 1 + draws replicates (replicate 0 is the estimate), K languages, G groups; see `panel`.
"""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from mute.evaluate.inference import percentile_interval, wilson
from mute.evaluate.panel import ALL, GROUPS, HELDOUT, SOURCE, WORST, Better, Measure, Panel, over_groups, worst

# Which score a row is; `floor` is the reference of "never knew": oracle, chance, or '' where there is none.
SCORE_KEYS = ["language", "group", "metric", "facts", "floor"]
SCORE_COLUMNS = ["language", "group", "metric", "facts", "value", "low", "high", "n", "floor"]


class Board:
    """Collects scores while an evaluation is read."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._rows: list[tuple] = []
        self._values: list[np.ndarray] = []
        self._better: Better = "none"

    @contextmanager
    def towards(self, better: Better) -> Generator[None]:
        """Within it, which way scores are better that do not say so themselves."""
        before, self._better = self._better, better
        try:
            yield
        finally:
            self._better = before

    def add(
        self,
        metric: str,
        measure: Measure,
        *,
        facts: str = "",
        floor: str = "",
        plain: bool = False,
        better: Better | None = None,
    ) -> None:
        """A score by language and group. Languages and groups with nothing to measure get no row.

        `plain`: the score is a share of hits, so that one language has a Wilson interval. `better`: whether less or
        more of it means that more is forgotten, or kept; only what has such a way has groups by script, and a worst
        language.
        """
        better = self._better if better is None else better
        source = len(self.panel.groups[SOURCE])
        for i, language in enumerate(self.panel.languages):
            if measure.n[i]:
                group, single = ("source" if i < source else "heldout"), plain and bool(measure.single[i])
                self._rows.append((language, group, metric, facts, floor, int(measure.n[i]), single))
                self._values.append(measure.values[:, i])
        shown = GROUPS[: ALL + 1] if better == "none" else GROUPS
        for i, group in enumerate(shown, len(self.panel.languages)):
            self.add_group(metric, group, measure.values[:, i], int(measure.n[i]), facts=facts, floor=floor)
        if better != "none":
            values, n = worst(measure.values, self.panel.groups, better), int(measure.n[HELDOUT])
            self.add_group(metric, WORST, values, n, facts=facts, floor=floor)

    def add_gap(self, metric: str, measure: Measure, *, more: int, facts: str = "", floor: str = "") -> None:
        """How far held-out languages lie above the mean of the source ones (more = HELDOUT), or below it (SOURCE).

        In the group `all` it is their mean, beside the groups by script and the language where it is largest. No row
        where either side has nothing to measure.
        """
        if not (measure.n[SOURCE] and measure.n[HELDOUT]):
            return
        groups, n = self.panel.groups, measure.n
        apart = measure.values[:, : len(self.panel.languages)] - measure.values[:, [SOURCE]]
        gap = over_groups(apart if more == HELDOUT else -apart, groups)
        self.add_group(metric, GROUPS[ALL], gap[:, HELDOUT], int(n[ALL]), facts=facts, floor=floor)
        for place in range(ALL + 1, 0):
            self.add_group(metric, GROUPS[place], gap[:, place], int(n[place]), facts=facts, floor=floor)
        self.add_group(metric, WORST, worst(gap, groups, "lower"), int(n[HELDOUT]), facts=facts, floor=floor)

    def add_group(
        self, metric: str, group: str, values: np.ndarray, n: int, *, facts: str = "", floor: str = ""
    ) -> None:
        """One aggregate score, values [R]; no row where n is 0."""
        if n:
            self._rows.append(("", group, metric, facts, floor, n, False))
            self._values.append(values)

    def replicates(self) -> tuple[pd.DataFrame, np.ndarray]:
        """The scores, estimated once and resampled `draws` times: what each is, and values [S, R].

        What it is: SCORE_KEYS, `n` clusters, and `plain`: whether it is a binomial share of one language.
        """
        keys = pd.DataFrame(self._rows, columns=[*SCORE_KEYS, "n", "plain"])
        return keys, np.array(self._values).reshape(len(keys), 1 + self.panel.draws)


def summary(keys: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """One row per score of `Board.replicates`: SCORE_COLUMNS, with its band [low, high].

    Bands are percentiles over resampled clusters; a binomial share of one language has Wilson's interval. Both ends
    are NaN where the value is.
    """
    low, high = percentile_interval(values[:, 1:])
    plain = keys["plain"].to_numpy(bool) & np.isfinite(values[:, 0])
    n = keys["n"].to_numpy()
    # The share of a sum of hits: rounding of value times n must not leave [0, n].
    hits = np.clip(values[plain, 0] * n[plain], 0, n[plain])
    low[plain], high[plain] = wilson(hits, n[plain])
    undefined = np.isnan(values[:, 0])
    low[undefined] = high[undefined] = np.nan
    return keys.assign(value=values[:, 0], low=low, high=high)[SCORE_COLUMNS]
