"""Scores of models whose answers are no numbers: there are none, in every table.

No option is likelier than another to a model that gives NaN, so that every accuracy of it is 0: read as a number, that
would be perfect erasure.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from mute.evaluate.board import Replicates
from mute.evaluate.panel import Measure

# Measures that a cell's rows hold for comparison, and that are not of its own model.
OF_OTHERS = ("chance", "majority")
ENDINGS = ("_base", "_oracle")


def is_own(metric: str) -> bool:
    """Whether a measure is of the edited model itself, and not of what it is compared with."""
    return metric not in OF_OTHERS and not metric.endswith(ENDINGS)


def gives_numbers(logprobs: np.ndarray | pd.Series) -> bool:
    """Whether all log-probabilities of a model's answers are numbers (an infinite one is: the answer is impossible)."""
    return not bool(np.isnan(np.asarray(logprobs, float)).any())


def undefined(measure: Measure) -> Measure:
    """The measure with its shape and counts, and no number."""
    return replace(measure, values=np.full_like(measure.values, np.nan))


def without_own(found: Replicates) -> Replicates:
    """The same scores, those of the edited model undefined."""
    own = found.keys["metric"].map(is_own).to_numpy(bool)
    return replace(found, values=np.where(own[:, None], np.nan, found.values))


def blanked(scores: pd.DataFrame) -> pd.DataFrame:
    """The same for a table of scores."""
    own = scores["metric"].map(is_own).to_numpy(bool)
    return scores.assign(**{name: scores[name].mask(own) for name in ("value", "low", "high")})
