"""Character n-grams: a logistic regression on TF-IDF of what a prompt spells; it reads no state of the model.

The classifier of guards whose papers fine-tune a language model of their own for it (ECO reads RoBERTa). An n-gram is
counted in one of `buckets` places by its CRC-32; 1 + ln tf, times 1 + ln((1 + n) / (1 + df)), at length 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.models.probe import separate
from mute.unlearn.detectors import base, reading

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model


class Settings(base.Settings):
    """Character n-grams."""

    least: int = Field(2, ge=1, description="Letters of the shortest n-grams.")
    most: int = Field(4, ge=1, description="Letters of the longest.")
    buckets: int = Field(4096, ge=16, description="Places that n-grams are counted in.")
    ridge: float = Field(1e-3, gt=0, description="Weight of the regression's squared norm.")


class NGrams(base.Detector[Settings]):
    name = "ngrams"
    paper = "TF-IDF and logistic regression, in the place of Liu et al. 2024's classifier, arXiv 2406.07933"
    Settings = Settings

    def learn(self, seen: base.Seen) -> dict[str, Tensor]:
        written, lengths = reading.packed(reading.letters(seen.encoder))
        table = reading.unpacked(written, lengths)
        forget, retain = (self._counts(spelled(side.tokens, table)) for side in (seen.forget, seen.retain))
        weights = idf([*forget, *retain], self.settings.buckets)
        sides = (tf_idf(counts, weights) for counts in (forget, retain))
        weight, bias = separate(*sides, self.settings.ridge)
        return {"written": written, "lengths": lengths, "idf": weights, "weight": weight, "bias": bias[None]}

    def scores(self, fitted: Mapping[str, Tensor], model: Model, prompts: Sequence[Sequence[int]]) -> Tensor:
        table = reading.unpacked(fitted["written"], fitted["lengths"])
        found = tf_idf(self._counts(spelled(prompts, table)), fitted["idf"])
        return found @ fitted["weight"] + fitted["bias"]

    def _counts(self, texts: Iterable[str]) -> list[Counter[int]]:
        s = self.settings
        return [counted(text, s.least, s.most, s.buckets) for text in texts]


def spelled(prompts: Sequence[Sequence[int]], table: Sequence[bytes]) -> list[str]:
    """What prompts spell, from what each token writes."""
    return [b"".join(table[token] for token in own if token < len(table)).decode("utf-8", "ignore") for own in prompts]


def counted(text: str, least: int, most: int, buckets: int) -> Counter[int]:
    """How often n-grams of `least` to `most` letters fall into each of the buckets; case is none of the letters'."""
    import zlib

    text = text.casefold()
    sizes = range(least, most + 1)
    grams = (text[at : at + size] for size in sizes for at in range(len(text) - size + 1))
    return Counter(zlib.crc32(gram.encode()) % buckets for gram in grams)


def idf(counts: Sequence[Mapping[int, int]], buckets: int) -> Tensor:
    """1 + ln((1 + n) / (1 + df)) of each bucket [buckets], float64."""
    import torch

    often = torch.zeros(buckets, dtype=torch.float64)
    for own in counts:
        often[list(own)] += 1
    return 1 + ((1 + len(counts)) / (1 + often)).log()


def tf_idf(counts: Sequence[Mapping[int, int]], weights: Tensor) -> Tensor:
    """[N, buckets], each row of length 1, or zero for a text without n-grams."""
    import torch

    found = torch.zeros(len(counts), len(weights), dtype=torch.float64)
    for row, own in enumerate(counts):
        found[row, list(own)] = 1 + torch.tensor(list(own.values()), dtype=torch.float64).log()
    return torch.nn.functional.normalize(found * weights, dim=1)
