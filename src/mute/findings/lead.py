"""The study's lead result in sentences: what decides, language or block, and whether there is a band at all."""

import pandas as pd

from mute.findings import trainings
from mute.findings.results import Results


def language_or_block(variance: pd.DataFrame) -> str:
    """Where languages explain more of what held-out languages keep than the edited block does; "" without shares.

    variance: rows of `claims.variance`, shares of 1 by algorithm, model and term.
    """
    parts, more = [], 0
    for (algorithm, model), own in variance.groupby(["algorithm", "model"], sort=False):  # ty: ignore[not-iterable]
        share = dict(zip(own["term"], own["share"]))
        language, block = share["language"] + share["script"], share["block"]
        more += language > block
        parts.append(f"{language:.2f} against {block:.2f} in {model} by {algorithm.replace('_', ' ')}")
    if not parts:
        return ""
    return (
        "Of the variance of what single held-out languages keep, languages and their scripts explain more than the "
        f"edited block in {more} of {len(parts)} pairs of architecture and algorithm ({', '.join(parts)})."
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
