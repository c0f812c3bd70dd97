"""The logit lens: what the forget facts would be answered with if the model ended after each block.

nostalgebraist 2020: softmax(W_U norm_f(h_l)), h_l the state after block l at the last token of the prompt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd

    from mute.evaluate.asked import Asked
    from mute.evaluate.scoring import Answers
    from mute.evaluate.subject import Subject

MEASURES = ("probability", "full", "hit", "agree")


class Settings(base.CellSettings):
    """The logit lens."""


class Lens(base.Analysis[Settings]):
    """probability: mean of the gold answer's probability among its options; full: mean of its probability in the whole
    vocabulary; hit: share of facts whose gold option is the likeliest; agree: share whose likeliest option is the one
    that the whole model would choose.
    """

    name = "lens"
    paper = "nostalgebraist 2020"
    table = "lens"
    Settings = Settings

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        if asked.texts.block != case.first:
            raise ValueError(f"the questions' states stand at block {asked.texts.block}, not at {case.first}")
        results = subject.lens(asked.queries, asked.texts)
        final = _chosen(results[-1])
        tables = [_means(answers, case.first + i, final) for i, answers in enumerate(results)]
        wide = pd.concat(tables, ignore_index=True)
        long = wide.melt(["language", "block", "n"], list(MEASURES), "measure", "value")
        return long[list(base.COLUMNS)]


def _means(answers: Answers, block: int, final: list[int | None]) -> pd.DataFrame:
    """One row per language."""
    import pandas as pd
    import torch

    q = answers.queries
    gold = q.rows["gold"].tolist()
    shares = [float(torch.tensor(o).softmax(0)[g]) for o, g in zip(answers.options(), gold)]
    full = [o[g] for o, g in zip(answers.options(), gold)]
    chosen = _chosen(answers)
    table = pd.DataFrame(
        {
            "language": q.rows["language"],
            "probability": shares,
            "full": torch.tensor(full).exp().numpy(),
            "hit": [math.nan if c is None else float(c == g) for c, g in zip(chosen, gold)],
            "agree": [math.nan if None in (c, f) else float(c == f) for c, f in zip(chosen, final)],
        }
    )
    means = table.groupby("language", sort=True).mean().reset_index()
    return means.assign(block=block, n=len(table) // len(means))


def _chosen(answers: Answers) -> list[int | None]:
    """The likeliest option of each question; None where the model gives no numbers."""
    return [None if any(map(math.isnan, o)) else max(range(len(o)), key=o.__getitem__) for o in answers.options()]
