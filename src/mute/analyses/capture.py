"""Captures what each block makes of the forget prompts, and scores the blocks.

Prompts stand without their answers; items are aligned across languages. K languages, N items, D hidden, L blocks.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mute.analyses import similarity
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.evaluate.inference import cluster_counts, percentile_interval
from mute.jobs import progress
from mute.models.anatomy import Model
from mute.models.probe import separate
from mute.models.tokenizer import Encoder
from mute.store.artifacts import seed_of


def prompts(corpus: Corpus, languages: list[str], forget_set: str) -> pd.DataFrame:
    """Forget prompts in the first form that unlearning reads, by language in the order of the alphabet, and item."""
    return parallel(corpus, sorted(languages), corpus.facts.loc[corpus.in_forget_set(forget_set), "item"])


def parallel(corpus: Corpus, languages: Sequence[str], items: Iterable[str], forms: int = 1) -> pd.DataFrame:
    """Prompts of facts by language, form and item; of items that every language has.

    forms: how many of the forms that unlearning reads. Languages stand in the order that is given.
    """
    texts = corpus.texts[corpus.texts["form"].isin(corpus.about["unlearning_forms"][:forms])]
    rows = texts[texts["item"].isin(set(items)) & texts["language"].isin(languages)]
    whole = rows.groupby(["item", "form"])["language"].transform("nunique") == len(languages)
    rows = rows[whole].assign(place=rows["language"].map({code: place for place, code in enumerate(languages)}))
    return rows.sort_values(["place", "form", "item"], kind="stable").drop(columns="place").reset_index(drop=True)


def sentences(corpus: Corpus, languages: Sequence[str]) -> tuple[list[str], pd.DataFrame]:
    """The languages that have sentences which state no fact, and these as prompts, in the order of `parallel`."""
    lines = corpus.lines[(corpus.lines["ability"] == "sentences") & (corpus.lines["item"] != "")]
    codes = [code for code in languages if (lines["language"] == code).any()]
    rows = lines[lines["language"].isin(codes)].drop_duplicates(["item", "language"])
    whole = rows.groupby("item")["language"].transform("nunique") == len(codes)
    rows = rows[whole].assign(prefix=rows["answer"], place=rows["language"].map(codes.index))
    return codes, rows.sort_values(["place", "item"], kind="stable").drop(columns="place").reset_index(drop=True)


def score_layers(
    model: Model,
    encoder: Encoder,
    corpus: Corpus,
    languages: list[str],
    forget_set: str,
    *,
    draws: int,
    seed: int,
    resamples: int = 1000,
) -> pd.DataFrame:
    """One row per block: CKA (last prompt token), LRDS and SADS (token means), their variants, and separability.

    Block l is read at its output, hidden_states[l + 1]; the embedding layer is no candidate. Separability alone is read
    at its input: it says what an edit of the block can tell apart. draws: row permutations of the CKA null. resamples:
    of the items, for the intervals of LRDS.
    """
    rows = prompts(corpus, languages, forget_set)
    languages = sorted(languages)
    count = rows["item"].nunique()
    shape = (len(languages), count)
    assert len(rows) == shape[0] * shape[1]
    texts = sections.Texts(model, [encoder.prompt(prefix) for prefix in rows["prefix"]])
    with progress.counting(2, "score") as count:
        with count.part(1):
            apart = separability(model, encoder, corpus, languages, forget_set, seed=seed)
        with count.part(1):
            return _scored(texts, languages, shape, apart, draws=draws, resamples=resamples, seed=seed)


def _scored(
    texts: sections.Texts,
    languages: list[str],
    shape: tuple[int, int],
    apart: list[float],
    *,
    draws: int,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """The rows of `score_layers`, from prompts of (languages, items) and how well each block tells them apart."""
    count = shape[1]
    # The same items in every block: what two blocks have in common falls out of their difference.
    counts = torch.from_numpy(cluster_counts(count, resamples, seed_of(seed, "items")))
    table, resampled = [], []
    for block in progress.each(range(sections.depth(texts.model)), "block scored"):
        texts.advance(block + 1)
        last, mean, later = (x.reshape(*shape, -1) for x in pooled(texts))
        check_spread(last, languages, block)
        null = similarity.cka_null(last, seed=seed, draws=draws)
        resampled.append(similarity.lrds_resampled(mean, counts).numpy())
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
                "separability": apart[block],
                "norm": float(last.norm(dim=-1).mean()),
            }
        )
    return pd.DataFrame(table).assign(**lrds_intervals(np.array(resampled)))


def lrds_intervals(resampled: np.ndarray) -> dict[str, np.ndarray]:
    """95 % intervals by block, from LRDS in every block and resample [L, R]: columns of the table of layers, each [L].

    lrds_low, lrds_high: of LRDS itself. below_first_low, below_first_high, below_last_low, below_last_high: of how far
    LRDS lies below that of the first and of the last block, in one and the same resample.
    """
    found = {}
    for name, values in (
        ("lrds", resampled),
        ("below_first", resampled[0] - resampled),
        ("below_last", resampled[-1] - resampled),
    ):
        low, high = percentile_interval(values)
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


# What is left between equal states is the rounding of the model's own type, at its finest float32.
_SPREAD = 1e-6


def check_spread(states: Tensor, languages: list[str], block: int) -> None:
    """Raise ValueError where all states [K, N, D] of a language are one: every score would be one of rounding."""
    apart = (states - states.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    for code, same in zip(languages, apart <= _SPREAD * states.flatten(1).norm(dim=1)):
        if bool(same):
            text = f"the model has the same state after block {block} for all prompts in {code}"
            raise ValueError(f"{text}: it tells no texts apart, so its blocks cannot be compared")


def pooled(texts: sections.Texts) -> tuple[Tensor, Tensor, Tensor]:
    """[sequences, D] each: the last token's state, the mean over tokens, and the mean without the first token."""
    ends = texts.offsets + texts.lengths - 1
    owner = torch.repeat_interleave(torch.arange(len(texts.lengths)), texts.lengths)
    # In the host's memory: some accelerators have no double precision.
    states = texts.states.cpu().double()
    total = torch.zeros(len(texts.lengths), states.shape[1], dtype=states.dtype).index_add_(0, owner, states)
    lengths = texts.lengths[:, None]
    return states[ends], total / lengths, (total - states[texts.offsets]) / (lengths - 1).clamp(min=1)


FOLDS = 5


def separability(
    model: Model, encoder: Encoder, corpus: Corpus, languages: list[str], forget_set: str, *, seed: int
) -> list[float]:
    """Per block: how well a linear probe on the mean states at its input tells forget from retain prompts.

    The area under the ROC curve (0.5 chance, 1 apart) on facts that the probe was not fitted on; all languages of a
    fact are in one of FOLDS folds.
    """
    roles = corpus.roles(forget_set)
    texts = corpus.texts[corpus.texts["form"] == corpus.about["unlearning_forms"][0]]
    role = texts["item"].map(roles)
    rows = texts[texts["language"].isin(languages) & role.isin(["forget", "retain_seen", "retain_unseen"])]
    forget = torch.tensor((rows["item"].map(roles) == "forget").to_numpy())
    fold = torch.tensor([seed_of(seed, "fold", item) % FOLDS for item in rows["item"]])
    states = sections.Texts(model, [encoder.prompt(prefix) for prefix in rows["prefix"]])
    found = []
    for block in progress.each(range(sections.depth(model)), "block told apart"):
        states.advance(block)
        mean = pooled(states)[1]
        scores = torch.zeros(len(mean), dtype=torch.float64)
        for out in range(FOLDS):
            rest = fold != out
            weight, bias = separate(mean[rest & forget], mean[rest & ~forget], ridge=1e-3)
            scores[~rest] = mean[~rest] @ weight + bias
        found.append(roc_area(scores[forget], scores[~forget]))
    return found


def roc_area(positive: Tensor, negative: Tensor) -> float:
    """Share of pairs in which the positive has the higher score; ties count half."""
    difference = positive[:, None] - negative[None]
    return float((difference > 0).double().mean() + (difference == 0).double().mean() / 2)
