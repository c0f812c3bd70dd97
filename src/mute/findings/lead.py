"""The study's lead result in sentences: what decides, language or block, and whether there is a band at all."""

from typing import NamedTuple

import pandas as pd

from mute.findings import trainings
from mute.findings.results import Results


class Shares(NamedTuple):
    """Shares of the variance of K(language, block) in one architecture by one algorithm, 0 to 1.

    languages: by language and script together; script: by script alone; block: by the edited block.
    """

    algorithm: str
    model: str
    languages: float
    script: float
    block: float


def shares(variance: pd.DataFrame) -> list[Shares]:
    """Of each algorithm and architecture. variance: rows of `claims.variance`, by algorithm, model and term."""
    found = []
    for (algorithm, model), own in variance.groupby(["algorithm", "model"], sort=False):  # ty: ignore[not-iterable]
        share = dict(zip(own["term"], own["share"]))
        found.append(
            Shares(str(algorithm), str(model), share["language"] + share["script"], share["script"], share["block"])
        )
    return found


def language_or_block(variance: pd.DataFrame) -> str:
    """Where languages explain more of what held-out languages keep than the edited block does; "" without shares."""
    found = shares(variance)
    if not found:
        return ""
    more = sum(own.languages > own.block for own in found)
    parts = [
        f"{own.languages:.2f} against {own.block:.2f} in {own.model} by {own.algorithm.replace('_', ' ')}"
        for own in found
    ]
    return (
        "Of the variance of what single held-out languages keep, languages and their scripts explain more than the "
        f"edited block in {more} of {len(found)} pairs of architecture and algorithm ({', '.join(parts)})."
    )


def bands(results: Results) -> str:
    """How many trained models have an intermediate band by the paper's own score; "" where nobody has asked."""
    said = {}
    for case in trainings.passed(results, trainings.main_cases(results)):
        exists = results.has_band(case)
        if exists is not None:
            said.setdefault(case.model, {})[case.training_seed] = exists
    if not said:
        return ""
    each = [f"{model} {sum(own.values())} of {len(own)}" for model, own in said.items()]
    total, found = sum(map(len, said.values())), sum(sum(own.values()) for own in said.values())
    return (
        f"By LRDS, the paper's score, {found} of {total} trained models have an intermediate band ({', '.join(each)}); "
        "claims about one are asked of no other."
    )
