"""What guards share that change a question: texts that are found by the letters of what is asked, and kept as tensors.

They stand before the model, know no tokens, and read what stands in the column `prefix` of questions. N questions, M
entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mute.models.treatment import Treatment
from mute.unlearn.detectors import ngrams, reading

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

LEAST, MOST, BUCKETS = 2, 4, 4096


def indexed(texts: Sequence[str]) -> dict[str, Tensor]:
    """Entries by which questions are looked up: idf [buckets] and vectors [M, buckets], character n-grams of each."""
    counts = [ngrams.counted(text, LEAST, MOST, BUCKETS) for text in texts]
    weights = ngrams.idf(counts, BUCKETS)
    return {"idf": weights, "vectors": ngrams.tf_idf(counts, weights)}


def cosines(index: Mapping[str, Tensor], texts: Sequence[str]) -> Tensor:
    """Cosine of each text with each entry [N, M], float64."""
    counts = [ngrams.counted(text, LEAST, MOST, BUCKETS) for text in texts]
    return ngrams.tf_idf(counts, index["idf"]) @ index["vectors"].T


def kept(name: str, texts: Sequence[str]) -> dict[str, Tensor]:
    """Texts as two tensors of this name."""
    written, lengths = reading.packed([text.encode() for text in texts])
    return {f"{name}.written": written, f"{name}.lengths": lengths}


def told(name: str, fitted: Mapping[str, Tensor]) -> list[str]:
    """The texts that `kept` has made tensors of."""
    return [text.decode() for text in reading.unpacked(fitted[f"{name}.written"], fitted[f"{name}.lengths"])]


class Before(Treatment):
    """A treatment that puts a text before some questions. before(prefixes, languages): which; "" for none."""

    def __init__(self, before: Callable[[Sequence[str], Sequence[str]], Sequence[str]]) -> None:
        self.before = before

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        found = self.before(rows["prefix"].tolist(), rows["language"].tolist())
        if not any(found):
            return rows
        return rows.assign(prefix=[put_before(text, prefix) for text, prefix in zip(found, rows["prefix"])])


def put_before(text: str, prefix: str) -> str:
    """A question with a text before it, apart by a space."""
    return f"{text} {prefix}" if text else prefix
