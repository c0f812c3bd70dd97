"""How far a patch moves what a model expects to read: KL of the base to it, token by token, on a few lines a language.

The lines are texts of facts that no forget set holds, prompt and answer, and sentences that state no fact. What the
base expects of them is kept in the host's memory while patches are evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from mute.evaluate.measures.disruption import RETAIN, SETS
from mute.evaluate.scoring import Queries
from mute.store.artifacts import seed_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from mute.corpus.schema import Corpus
    from mute.models.tokenizer import Encoder

LINES = 16
"""Most lines of a set and language."""
MOST = 5e8
"""Most bytes that are kept of the base; of a large vocabulary fewer lines are."""


def retain_lines(corpus: Corpus, languages: list[str]) -> pd.DataFrame:
    """Questions of the set RETAIN: whole texts in the headline form, of the same LINES facts in every language."""
    facts = corpus.facts
    kept = facts[~facts["bystander"] & ~facts["validation"] & (facts["forget_sets"] == "")]
    items = _drawn(kept["item"])
    texts = corpus.texts
    own = texts["item"].isin(items) & texts["language"].isin(languages)
    rows = texts[own & (texts["form"] == corpus.about["headline_form"])]
    whole = [a + b + c for a, b, c in zip(rows["prefix"], rows["answer"], rows["suffix"])]
    none = [[] for _ in whole]
    return rows.assign(set=RETAIN, prefix="", answer=whole, suffix="", options=none, gold=-1)


def places(rows: pd.DataFrame) -> np.ndarray:
    """By question, its place among the lines of its set and language that are compared; -1 for all others."""
    found = np.full(len(rows), -1)
    for _, own in rows[rows["set"].isin(SETS)].groupby(["set", "language"], sort=False):
        order = {item: place for place, item in enumerate(_drawn(own["item"]))}
        at = rows.index.get_indexer(own.index)
        found[at] = [order.get(item, -1) for item in own["item"]]
    return found


def _drawn(items: pd.Series) -> list[str]:
    """LINES of some items in an order that depends on these alone, so that languages with the same share theirs."""
    sorted_items = sorted(set(items))
    order = np.random.default_rng(seed_of("disruption")).permutation(len(sorted_items))
    return [sorted_items[i] for i in order[:LINES]]


class Reference:
    """What a model, as it is now, expects at every token of the lines.

    probs: probabilities [N, V] of N reads; certainty [N]: Σ p log p of each, in nats.
    """

    def __init__(self, model: PreTrainedModel, encoder: Encoder, queries: Queries) -> None:
        place = places(queries.rows)
        sizes = np.array([len(gold) for gold in queries.golds])
        taken = np.bincount(place[place >= 0], sizes[place >= 0]).cumsum() * model.config.vocab_size * 4
        # As many of every set and language as fit, and one at least.
        asked = (place >= 0) & (place < max(1, np.searchsorted(taken, MOST, "right")))
        # By read of a gold answer, its row here; -1 for those that are not compared.
        self.row_of = torch.full((queries.gold_reads,), -1)
        wanted = torch.from_numpy(np.repeat(asked, sizes))
        self.row_of[wanted] = torch.arange(int(wanted.sum()))
        self.probs, self.certainty = torch.empty(0), torch.empty(0)
        if asked.any():
            few = Queries(queries.rows[asked], encoder)
            self.probs = torch.empty(int(wanted.sum()), model.config.vocab_size)
            self.certainty = torch.empty(len(self.probs))

            def keep(reads: torch.Tensor, logprobs: torch.Tensor, owner: torch.Tensor) -> None:
                own = logprobs[owner].float()
                # What is held impossible adds nothing.
                self.certainty[reads] = torch.special.entr(own.exp()).sum(-1).neg().cpu()
                self.probs[reads] = own.exp().cpu()

            few.run(model, few.texts(model), watch=keep)


class Comparison:
    """One subject held against a reference, while it is asked the same questions: `kl` by read, NaN where not asked."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.kl = torch.full((len(reference.row_of),), torch.nan)

    def see(self, reads: torch.Tensor, logprobs: torch.Tensor, owner: torch.Tensor) -> None:
        """Reads of gold answers, log-probabilities [points, V], and the point of each read (as `scoring.Watch`)."""
        rows = self.reference.row_of[reads]
        asked = rows >= 0
        if not asked.any():
            return
        own, probs = logprobs[owner[asked.to(owner.device)]].float(), self.reference.probs[rows[asked]]
        cross = torch.einsum("nv,nv->n", probs.to(own.device), own)
        # Nothing times the logarithm of nothing is nothing.
        odd = cross.isnan()
        if odd.any():
            cross[odd] = torch.xlogy(probs.to(own.device)[odd], own[odd].exp()).sum(-1)
        self.kl[reads[asked]] = self.reference.certainty[rows[asked]] - cross.cpu()
