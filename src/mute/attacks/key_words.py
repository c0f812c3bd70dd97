"""Key words: the words of a question that its answer hangs on most are said again before it.

unPact, 2025, arXiv 2509.24675 (rebuilt from reviews; thresholds are ours). The contribution of word i of a question x
to its answer y is c_i = log p(y|x) - log p(y|x without i), in nats, of the model that is attacked; key words are those
whose c_i is above a threshold, or the `most` highest where none is. Contributions of single words do not add up to
anything.

Seen on small models that know their facts: the word of the highest contribution is the one right before the answer
("in", "is"), without which no answer follows, and never the subject. Where only the options are compared, it is the
subject or a word of the relation in about two thirds of the questions, and not in the expected nine tenths.

Words are found in the question itself, or in the same question in the first source language, whose key words are then
put in the question's language by the lexicon (`mute.corpus.lexicon`); a subject is spelled as the question spells it.
It reads the true answer, and the model without a guard: this is an attack for auditors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus


class Settings(base.Settings):
    """Key words."""

    threshold: float = Field(1.0, ge=0, description="Least contribution of a key word, in nats.")
    most: int = Field(2, ge=1, le=16, description="How many words count as keys where none is above the threshold.")
    times: int = Field(1, ge=0, le=8, description="How often they are said before the question; 0: never.")
    against: Literal["all", "options"] = Field(
        "all",
        description="What an answer's probability is a share of: of all that could be said, as in the paper, or of its "
        "options (ours), where words that any answer needs do not count.",
    )
    found: Literal["here", "source"] = Field(
        "here", description="In which language key words are found: the question's, or the first source language."
    )


class KeyWords(base.Attack[Settings]):
    name = "key_words"
    paper = "unPact 2025, arXiv 2509.24675; thresholds ours"
    access = "questions"
    depends: ClassVar[tuple[str, ...]] = ("sources",)
    Settings = Settings

    @classmethod
    def cost(cls, settings: Settings) -> base.Cost:
        # About as many words as a question has, and the question itself twice.
        return base.Cost(asks=14.0 if settings.times else 1.0)

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures

        pack = lures.pack(language)
        if pack is not None and not pack.spaces:
            return "it writes no spaces: what a word is cannot be told"
        if settings.found == "source" and (pack is None or pack.code != language):
            return f"there is no lexicon of {language}: it has no language pack"
        return ""

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """All; none where the source language in which words are looked for writes no spaces."""
        import numpy as np

        from mute.corpus import languages

        s, source = self.settings, self.victim.sources[0]
        spaced = source in languages.codes() and languages.load(source).spaces
        return np.full(len(rows), spaced or not s.times or s.found == "here")

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        from mute.corpus import rewording

        if not self.settings.times:
            return rows
        named = rewording.subjects(rows, self.victim.corpus)
        keys = self._keys(rows) if self.settings.found == "here" else self._translated(rows, named)
        said = [" ".join(words * self.settings.times) for words in keys]
        # A colon, as before a topic: no sentence of any language is said.
        return rows.assign(prefix=[f"{words}: {p}" if words else p for words, p in zip(said, rows["prefix"])])

    def _keys(self, rows: pd.DataFrame) -> list[list[str]]:
        """The key words of each question, in their order, without the signs around them."""
        from mute.corpus import lexicon

        words = [[m.span() for m in re.finditer(r"\S+", prefix)] for prefix in rows["prefix"]]
        words = [[(a, b) for a, b in own if lexicon.word(p[a:b])] for own, p in zip(words, rows["prefix"])]
        whole = self._logprobs(rows)
        less = self._logprobs(_without(rows, words))
        keys, at = [], 0
        for prefix, own, logprob in zip(rows["prefix"], words, whole):
            found = key_words(contributions(logprob, less[at : at + len(own)]), self.settings)
            keys.append([lexicon.word(prefix[slice(*own[i])]) for i in found])
            at += len(own)
        return keys

    def _translated(self, rows: pd.DataFrame, named: list[str]) -> list[list[str]]:
        """Key words of the same questions in the first source language, in the language of each question."""
        from mute.corpus import lexicon, rewording

        source, corpus = self.victim.sources[0], self.victim.corpus
        theirs = rewording.in_language(rows, corpus, source)
        names = rewording.subjects(theirs.assign(language=source), corpus)
        made = []
        for code, keys, mine, other in zip(rows["language"], self._keys(theirs), named, names):
            known = {} if code == source else lexicon.lexicon(source, code)
            put = [
                mine if other and other in key else key if code == source else known.get(key.casefold(), ("",))[0]
                for key in keys
            ]
            made.append(list(dict.fromkeys(word for word in put if word)))
        return made

    def _logprobs(self, rows: pd.DataFrame) -> list[float]:
        """Log-probability of the answer to each question, in nats, of the victim's model: of all, or of its options."""
        import torch

        from mute.evaluate.scoring import Queries

        if rows.empty:
            return []
        among = self.settings.against == "options"
        asked = rows if among else rows.assign(options=[[] for _ in range(len(rows))])
        queries = Queries(asked, self.victim.encoder)
        answers = queries.run(self.victim.model, queries.texts(self.victim.model))
        if among:
            pairs = zip(answers.options(), rows["gold"])
            return [float(torch.tensor(own).log_softmax(0)[gold]) if own else 0.0 for own, gold in pairs]
        sizes = [len(gold) for gold in queries.golds]
        return [float(own.sum()) for own in answers.logprob[: queries.gold_reads].split(sizes)]


def contributions(whole: float, without: Sequence[float]) -> list[float]:
    """c_i = log p(y|x) - log p(y|x without i) of each word, in nats."""
    return [whole - less for less in without]


def key_words(found: Sequence[float], settings: Settings) -> list[int]:
    """Places of the words above the threshold, in order; the highest ones where none is. The first of equal ones."""
    above = [i for i, c in enumerate(found) if c > settings.threshold]
    # What is no number is no contribution.
    ranked = sorted((i for i, c in enumerate(found) if c == c), key=lambda i: -found[i])
    return above or sorted(ranked[: settings.most])


def _without(rows: pd.DataFrame, words: list[list[tuple[int, int]]]) -> pd.DataFrame:
    """Each question without each of its words: one row for each word, question by question."""
    made: list[dict[str, Any]] = []
    for row, own in zip(rows.to_dict("records"), words):
        for start, stop in own:
            prefix = row["prefix"][:start] + row["prefix"][stop:].lstrip(" ")
            made.append({**row, "prefix": prefix})
    return rows.iloc[:0] if not made else type(rows)(made)
