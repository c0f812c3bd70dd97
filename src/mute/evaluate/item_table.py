"""From the token table of an evaluation to its item table: one row per question, the input of every measure.

It stands apart from the measures because unlearning reads it too: a new measure must make no cell anew.
"""

from itertools import chain

import numpy as np
import pandas as pd

KEYS = ["set", "item", "language", "form"]
ITEM_COLUMNS = [*KEYS, "strict", "option", "logprob", "tokens", "chars", "chance"]


def items(tokens: pd.DataFrame) -> pd.DataFrame:
    """One row per (set, item, language, form) of a token table, sorted by these.

    strict: every token of the answer is the argmax (bool). option: the gold option's log-probability is above that of
    every other option (1.0 or 0.0; NaN without options). A tie is no hit, and neither is a NaN: a collapsed model
    that gives all options alike knows nothing. chance: 1 / number of options (NaN without). logprob: sum in nats, NaN
    if any token's is. tokens, chars: the answer's length. guess, where the tokens have it: the share of hits of one who
    does not know the subject (`mute.evaluate.knowing`), or chance where nobody was asked.

    Raises ValueError if the positions of an answer are not 0, 1, 2, … or gold is no index of its options.
    """
    codes = np.zeros(len(tokens), np.int64)
    for key in KEYS:
        code, levels = pd.factorize(tokens[key], sort=True)
        codes = codes * len(levels) + code
    position = tokens["position"].to_numpy()
    order = np.lexsort((position, codes))
    codes, position = codes[order], position[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(codes)])
    wrong = position != np.arange(len(codes)) - np.repeat(starts, lengths)
    if wrong.any():
        row = tokens.iloc[order[int(np.argmax(wrong))]]
        raise ValueError(f"positions of an answer must be 0, 1, 2, …, each once: see {row[KEYS].tolist()}")
    first = tokens.iloc[order[starts]]
    option, chance = _options(first["options"].tolist(), first["gold"].to_numpy())
    whole = {
        "strict": np.logical_and.reduceat(tokens["hit"].to_numpy(bool)[order], starts) if len(starts) else [],
        "option": option,
        # Not a groupby sum, which would take a NaN for a certainty.
        "logprob": np.add.reduceat(tokens["logprob"].to_numpy(float)[order], starts) if len(starts) else [],
        "tokens": lengths,
        "chance": chance,
    }
    columns = ITEM_COLUMNS
    if "guess" in first:
        whole["guess"] = np.where(first["guess"].isna(), chance, first["guess"])
        columns = [*ITEM_COLUMNS, "guess"]
    return first[[*KEYS, "chars"]].reset_index(drop=True).assign(**whole)[columns]


def _options(options: list, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether gold beats every other option, and 1 / number of options, both NaN without options or gold."""
    hit, chance = np.full(len(options), np.nan), np.full(len(options), np.nan)
    counts = np.array([0 if listed is None or np.ndim(listed) == 0 else len(listed) for listed in options], np.int64)
    asked = np.flatnonzero((counts > 0) & (gold >= 0))
    if not len(asked):
        return hit, chance
    counts, gold = counts[asked], gold[asked]
    if (gold >= counts).any():
        raise ValueError(f"gold {gold[gold >= counts][0]} is no index of its {counts[gold >= counts][0]} options")
    flat = np.fromiter(chain.from_iterable(options[i] for i in asked), float, counts.sum())
    starts = np.cumsum(counts) - counts
    value = flat[starts + gold]
    flat[starts + gold] = -np.inf
    hit[asked] = value > np.maximum.reduceat(flat, starts)
    chance[asked] = 1 / counts
    return hit, chance
