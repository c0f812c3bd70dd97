"""How near two languages are: script and family as their packs say, and the tokens that their texts share."""

import itertools
from collections import Counter

import pandas as pd

from mute.corpus import languages as packs
from mute.corpus.schema import Corpus
from mute.models.tokenizer import Encoder

COLUMNS = ["language", "other", "overlap", "same_script", "same_family"]


def pairs(corpus: Corpus, encoder: Encoder, languages: list[str]) -> pd.DataFrame:
    """One row per unordered pair of languages.

    overlap: shared mass of the two distributions of tokens over the texts of all facts, 0 to 1. same_script,
    same_family: 1 or 0; missing for a language without a pack.
    """
    used = {code: _tokens(corpus, encoder, code) for code in languages}
    known = {code: packs.load(code) for code in languages if code in packs.codes()}
    rows = []
    for one, other in itertools.combinations(languages, 2):
        both = known.get(one), known.get(other)
        same = [None, None]
        if both[0] and both[1]:
            same = [int(both[0].script == both[1].script), int(both[0].family == both[1].family)]
        rows.append((one, other, shared(used[one], used[other]), *same))
    return pd.DataFrame(rows, columns=COLUMNS)


def shared(one: Counter, other: Counter) -> float:
    """The sum over tokens of the smaller of their two shares: 1 for equal distributions, 0 for disjoint ones."""
    sums = one.total(), other.total()
    return sum(min(one[token] / sums[0], other[token] / sums[1]) for token in one.keys() & other.keys())


def _tokens(corpus: Corpus, encoder: Encoder, code: str) -> Counter:
    rows = corpus.texts[corpus.texts["language"] == code]
    found: Counter = Counter()
    for prefix, answer in zip(rows["prefix"], rows["answer"]):
        found.update(encoder.plain(prefix.rstrip(" ")))
        found.update(encoder.answer(prefix, answer))
    return found
