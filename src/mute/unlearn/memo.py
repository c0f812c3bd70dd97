"""MEMO: how well a model goes on with an answer that is cut off (MEOW, 2409.11844).

For cuts after 1, 1 + w, 1 + 2w and so on letters of the answer, the model writes on from question and beginning; the
score of a cut is the unigram precision of what it wrote against the true rest, MEMO their mean: 1 for perfect memory.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mute.models.anatomy import Model
    from mute.models.tokenizer import Encoder


def words(text: str) -> list[str]:
    """Runs of letters with their marks and of digits, in lower case; Chinese and Japanese letter by letter.

    No word is stemmed: stems are known for few languages.
    """
    spaced = ""
    for letter in text.lower():
        alone = unicodedata.name(letter, "").startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA LETTER"))
        part = unicodedata.category(letter)[0] in "LMN"
        spaced += f" {letter} " if alone else letter if part else " "
    return spaced.split()


def cuts(answer: str, window: int = 5) -> list[int]:
    """After how many letters an answer is cut: 1, 1 + window and so on, as long as anything is left."""
    return list(range(1, len(answer), window))


def precision(written: str, wanted: str) -> float:
    """Share of the words of `written` that stand in `wanted`, each no more often than there (ROUGE-1 precision).

    0 where nothing was written.
    """
    own, there = Counter(words(written)), Counter(words(wanted))
    return sum((own & there).values()) / own.total() if own else 0.0


def memo(written: Sequence[str], answer: str, window: int = 5) -> float:
    """Mean precision of what was written at each of the `cuts` of an answer; of a single letter, 0."""
    places = cuts(answer, window)
    each = [precision(text, answer[place:]) for text, place in zip(written, places, strict=True)]
    return sum(each) / len(each) if each else 0.0


def scores(model: Model, encoder: Encoder, asked: Sequence[tuple[str, str]], window: int = 5) -> list[float]:
    """MEMO of each (prefix, answer), as the model is now; it writes as many tokens as the true rest has."""
    from mute.engine import writing

    prompts, most, owners = [], [], []
    for number, (prefix, answer) in enumerate(asked):
        whole = encoder.answer(prefix, answer)
        for place in cuts(answer, window):
            begun = encoder.answer(prefix, answer[:place])
            prompts.append(encoder.prompt(prefix) + begun)
            most.append(max(1, len(whole) - len(begun) + 1))
            owners.append(number)
    written: list[list[str]] = [[] for _ in asked]
    for owner, tokens in zip(owners, writing.greedy(model, prompts, most)):
        written[owner].append(encoder.text(tokens))
    return [memo(texts, answer, window) for texts, (_, answer) in zip(written, asked)]
