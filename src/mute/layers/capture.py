"""Captures what each block makes of the forget prompts, and scores the blocks.

Prompts stand without their answers; items are aligned across languages. K languages, N items, D hidden, L blocks.
"""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.layers import similarity
from mute.models.tokenizer import Encoder


def prompts(corpus: Corpus, languages: list[str], forget_set: str) -> pd.DataFrame:
    """Forget prompts in the first form that unlearning reads, the same items in the same order in every language."""
    forget = corpus.facts.loc[corpus.in_forget_set(forget_set), "item"]
    texts = corpus.texts[corpus.texts["form"] == corpus.about["unlearning_forms"][0]]
    rows = texts[texts["item"].isin(forget) & texts["language"].isin(languages)]
    return rows.sort_values(["language", "item"], kind="stable").reset_index(drop=True)


def score_layers(
    model: Any, encoder: Encoder, corpus: Corpus, languages: list[str], forget_set: str, *, draws: int, seed: int
) -> pd.DataFrame:
    """One row per block: CKA (last prompt token), LRDS and SADS (token means), and their variants.

    Block l is read at its output, hidden_states[l + 1]; the embedding layer is no candidate.
    """
    rows = prompts(corpus, languages, forget_set)
    count = rows["item"].nunique()
    shape = (len(languages), count)
    assert len(rows) == shape[0] * shape[1]
    texts = sections.Texts(model, [encoder.prompt(prefix) for prefix in rows["prefix"]])
    table = []
    for block in range(sections.depth(model)):
        texts.advance(block + 1)
        last, mean, later = (x.reshape(*shape, -1) for x in pooled(texts))
        null = similarity.cka_null(last, seed=seed, draws=draws)
        table.append(
            {
                "block": block,
                "cka": similarity.mean_cka(last),
                "cka_unbiased": similarity.mean_cka(last, unbiased=True),
                "cka_null": null.mean,
                "cka_null_q95": null.q95,
                "lrds": similarity.lrds(mean),
                "lrds_without_first": similarity.lrds(later),
                "lrds_centred": similarity.lrds(mean, remove_mean=True),
                "sads": similarity.sads(mean),
                "norm": float(last.norm(dim=-1).mean()),
            }
        )
    return pd.DataFrame(table)


def pooled(texts: sections.Texts) -> tuple[Tensor, Tensor, Tensor]:
    """[sequences, D] each: the last token's state, the mean over tokens, and the mean without the first token."""
    ends = texts.offsets + texts.lengths - 1
    owner = torch.repeat_interleave(torch.arange(len(texts.lengths)), texts.lengths)
    states = texts.states.double()
    total = torch.zeros(len(texts.lengths), states.shape[1], dtype=states.dtype).index_add_(0, owner, states)
    lengths = texts.lengths[:, None]
    return states[ends], total / lengths, (total - states[texts.offsets]) / (lengths - 1).clamp(min=1)
