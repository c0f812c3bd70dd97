"""Scores of models whose answers are no numbers: there are none, in every table.

No option is likelier than another to a model that gives NaN, so that every accuracy of it is 0: read as a number, that
would be perfect erasure.
"""

import numpy as np
import pandas as pd

# Measures that a cell's rows hold for comparison, and that are not of its own model.
OF_OTHERS = ("chance", "majority")
ENDINGS = ("_base", "_oracle")


def is_own(metric: str) -> bool:
    """Whether a measure is of the edited model itself, and not of what it is compared with."""
    return metric not in OF_OTHERS and not metric.endswith(ENDINGS)


def gives_numbers(logprobs: np.ndarray | pd.Series) -> bool:
    """Whether all log-probabilities of a model's answers are numbers (an infinite one is: the answer is impossible)."""
    return not bool(np.isnan(np.asarray(logprobs, float)).any())


def blanked(scores: pd.DataFrame) -> pd.DataFrame:
    """A table of scores in which those of the edited model are undefined."""
    own = scores["metric"].map(is_own).to_numpy(bool)
    return scores.assign(**{name: scores[name].mask(own) for name in ("value", "low", "high")})
