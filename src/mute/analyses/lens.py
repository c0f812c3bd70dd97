"""The logit lens and the bypass, on the forget facts in the headline form."""

import math
from typing import Any

import pandas as pd
import torch

from mute.attacks.retraining import Course, Retraining, retrained
from mute.corpus.schema import Corpus
from mute.engine.band import TextSet
from mute.evaluate.scoring import Answers, Queries
from mute.models.tokenizer import Encoder


class Prober:
    """The forget facts of a model's languages, asked at every block, or with blocks left out."""

    def __init__(self, model: Any, encoder: Encoder, corpus: Corpus, languages: list[str], forget_set: str) -> None:
        texts = corpus.texts
        forget = corpus.facts.loc[corpus.in_forget_set(forget_set), "item"]
        rows = texts[texts["language"].isin(languages) & texts["item"].isin(forget)]
        rows = rows[rows["form"] == corpus.about["headline_form"]]
        self.model = model
        self.queries = Queries(rows.assign(set="facts"), encoder)
        self.texts = self.queries.texts(model)

    def lens(self, first: int = 0) -> pd.DataFrame:
        """The logit lens from block `first` on, softmax(W_U norm_f(h_l)): one row per language and block.

        probability: mean of the gold answer's probability among its options; full: mean of its probability in the whole
        vocabulary; hit: share of facts whose gold option is the likeliest; agree: share whose likeliest option is the
        one the whole model would choose.
        """
        if self.texts.block != first:
            raise ValueError(f"the texts stand at block {self.texts.block}, not at {first}")
        results = self.queries.run_lens(self.model, self.texts)
        final = _chosen(results[-1])
        tables = [self._lens_rows(answers, first + i, final) for i, answers in enumerate(results)]
        return pd.concat(tables, ignore_index=True)

    def _lens_rows(self, answers: Answers, block: int, final: list[int | None]) -> pd.DataFrame:
        q = self.queries
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
        means.insert(1, "block", block)
        return means.assign(n=len(table) // len(means))

    def bypass(self, blocks: tuple[int, ...], mix: float = 0.0) -> pd.DataFrame:
        """The token table when `blocks` are skipped (mix 0), or mixed with the identity by the scalar `mix`."""
        return self.queries.run(self.model, self.texts, skip=blocks, mix=mix).tokens()

    def retrained(self, retain: TextSet, how: Retraining) -> tuple[pd.DataFrame, Course]:
        """The token table after the model, as it is now, was trained on retain text alone, and how that went.

        Where training diverged it holds no number: what came back before is no measure of what would have.
        """
        with retrained(self.model, retain, how) as course:
            self.texts.restart()
            table = self.queries.run(self.model, self.texts).tokens()
        self.texts.restart()
        return table if course.status == "ok" else table.assign(logprob=math.nan, rank=-1, hit=False), course


def _chosen(answers: Answers) -> list[int | None]:
    """The likeliest option of each question; None where the model gives no numbers."""
    return [None if any(map(math.isnan, o)) else max(range(len(o)), key=o.__getitem__) for o in answers.options()]
