"""Surrogates: the same facts asked otherwise, and whether what seems forgotten is forgotten there too.

The erasure illusion, our instantiation of the idea of probing with surrogates that lie far from the forget set. Those
of an attack that changes questions are kept if they are far from what unlearning read: they share no run of six words
with it, and their cosine to its nearest text lies below the first quartile of that between two wordings of one fact, by
TF-IDF of runs of letters, which no model that is judged has made. And a language is kept if the base still answers
them and the oracle does not: what nobody knows, or what everybody knows, says nothing of forgetting. Pure functions of
tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mute.evaluate import rouge
from mute.evaluate.board import Board, summary
from mute.evaluate.panel import ALL, Block, Measure, Panel, over_groups, relative

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus

# Words of which no run may be shared; letters of the runs that are counted.
RUN, LETTERS = 6, (3, 4, 5)
# What the base must answer of them; how far above chance the oracle may be; facts of a language.
KNOWN, UNKNOWN, LEAST = 0.8, 0.1, 5
# What is compared: the right option's share of wins, the answer's probability by token, and minus Min-K%.
METRICS = ("accuracy", "probability", "min_k")


class Distance:
    """How far texts are from those of a forget set in the languages and wordings that unlearning read."""

    def __init__(self, corpus: Corpus, forget_set: str, sources: Iterable[str]) -> None:
        texts = corpus.texts
        forget = corpus.facts.loc[corpus.in_forget_set(forget_set), "item"]
        forms = corpus.about.get("unlearning_forms", [corpus.about["headline_form"]])
        read = texts[texts["item"].isin(forget) & texts["language"].isin(list(sources)) & texts["form"].isin(forms)]
        said = whole(read)
        self.runs = {run for text in said for run in runs(text)}
        self.count = len(said)
        counts = [Counter(letters(text)) for text in said]
        shared = Counter(run for own in counts for run in own)
        self._weight = {run: 1 + np.log((1 + self.count) / (1 + held)) for run, held in shared.items()}
        # Of each run of letters the texts that have it, and what it is there of a unit vector.
        held: dict[str, tuple[list[int], list[float]]] = {run: ([], []) for run in shared}
        for place, own in enumerate(counts):
            for run, value in self._vector(own).items():
                held[run][0].append(place)
                held[run][1].append(value)
        self._held = {run: (np.array(places), np.array(values)) for run, (places, values) in held.items()}
        self.line = self._quartile(read, said)

    def _quartile(self, read: pd.DataFrame, said: list[str]) -> float:
        """First quartile of the cosine of two wordings of one fact in one language; NaN where there is one alone."""
        places = read.reset_index(drop=True).groupby(["item", "language"]).indices.values()
        found = [value for own in places for i, a in enumerate(own) for value in self.cosines(said[a])[own[i + 1 :]]]
        return float(np.quantile(found, 0.25)) if found else np.nan

    def cosines(self, text: str) -> np.ndarray:
        """Cosine to each text that was read, 0 to 1."""
        found = np.zeros(self.count)
        for run, value in self._vector(Counter(letters(text))).items():
            if run in self._held:
                places, values = self._held[run]
                found[places] += value * values
        return found

    def nearest(self, text: str) -> float:
        """Cosine to the nearest text, 0 to 1."""
        return float(self.cosines(text).max(initial=0.0))

    def far(self, text: str) -> bool:
        """Whether a text shares no run of words, and is no nearer than a wording of a fact may be."""
        return not self.runs & set(runs(text)) and self.nearest(text) < self.line

    def _vector(self, counts: Counter[str]) -> dict[str, float]:
        """A unit vector of TF-IDF; what none of the texts has is rarest."""
        rare = 1 + np.log(1 + self.count)
        weighed = {run: count * self._weight.get(run, rare) for run, count in counts.items()}
        length = float(np.sqrt(sum(value**2 for value in weighed.values())))
        return {run: value / length for run, value in weighed.items()}


def whole(rows: pd.DataFrame) -> list[str]:
    """Question and answer of each row, as one text."""
    return (rows["prefix"] + rows["answer"] + rows["suffix"]).tolist()


def runs(text: str) -> list[tuple[str, ...]]:
    """Every RUN words, one after the other."""
    words = rouge.words(text)
    return list(zip(*(words[i:] for i in range(RUN))))


def letters(text: str) -> list[str]:
    """Every run of LETTERS letters, without case, spaces as one."""
    own = " ".join(text.casefold().split())
    return [own[i : i + n] for n in LETTERS for i in range(len(own) - n + 1)]


def accepted(asked: Mapping[tuple[str, str], str], plain: Mapping[tuple[str, str], str], distance: Distance) -> set:
    """Of texts by item and language those that are other than the plain question, and far from what was read."""
    return {key for key, text in asked.items() if text != plain.get(key) and distance.far(text)}


def score(
    panel: Panel,
    attacked: Mapping[str, pd.DataFrame],
    plain: Mapping[str, pd.DataFrame],
    kept: set[tuple[str, str]],
) -> pd.DataFrame:
    """What cell, base and oracle give to surrogates, beside what they give to the same facts plainly.

    Both: item tables by victim, with rows as the panel's base; of all three, or nothing is said. kept: item and
    language of what is far. surrogate_far: share of the questions; surrogate_base: accuracy of the base on these;
    surrogate_oracle: that of the oracle less chance. Where these let a language pass, of each metric
    psg_<metric> and psg_plain_<metric>, what the cell keeps of what the base has beyond the oracle, on surrogates and
    plainly; psg_delta_<metric>, its number on surrogates less its plain one: above 0 forgetting was overestimated; and
    psg_delta_accuracy_oracle, the control. Facts are resampled for all alike.
    """
    board, victims = Board(panel), ("cell", "base", "oracle")
    if not all(name in tables for name in victims for tables in (attacked, plain)):
        return summary(*board.replicates())
    block = panel.facts_block(panel.selected("forget"))
    pairs = zip(panel.items, panel.base["language"])
    far = np.array([pair in kept for pair in pairs], float)
    own = np.where(far == 1, 0.0, np.nan)
    board.add("surrogate_far", block.mean(far), facts="all", better="none")
    found = {
        (name, side, metric): block.mean(column + own)
        for side, tables in (("asked", attacked), ("plain", plain))
        for name in victims
        for metric, column in columns(tables[name]).items()
    }
    chance = block.mean(panel.base["chance"].to_numpy(float) + own)
    passes = _gates(board, panel, found, chance, block)
    for metric in METRICS:
        if all((name, side, metric) in found for name in victims for side in ("asked", "plain")):
            _add(board, panel, {key[:2]: value for key, value in found.items() if key[2] == metric}, metric, passes)
    return summary(*board.replicates())


def columns(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The metrics of a table's rows, each higher where more is known."""
    found = {
        "accuracy": table["option"].to_numpy(float),
        "probability": np.exp(table["logprob"].to_numpy(float) / table["tokens"].to_numpy(float)),
    }
    return {**found, "min_k": -table["min_k"].to_numpy(float)} if "min_k" in table else found


def _gates(
    board: Board, panel: Panel, found: Mapping[tuple[str, str, str], Measure], chance: Measure, block: Block
) -> np.ndarray:
    """Whether each language passes [K]; what they are judged by goes to the board."""
    k = len(panel.groups[ALL])
    of = found["base", "asked", "accuracy"]
    base, oracle = of.values[:, :k], found["oracle", "asked", "accuracy"].values[:, :k]
    above = oracle - chance.values[:, :k]
    for name, values in (("surrogate_base", base), ("surrogate_oracle", above)):
        board.add(name, replace(of, values=over_groups(values, panel.groups)), facts="all", better="none")
    with np.errstate(invalid="ignore"):
        return (base[0] >= KNOWN) & (above[0] <= UNKNOWN) & (of.n[:k] >= LEAST)


def _add(board: Board, panel: Panel, own: Mapping[tuple[str, str], Measure], metric: str, passes: np.ndarray) -> None:
    """The scores of one metric in the languages that pass."""
    k = len(passes)

    def shown(values: np.ndarray) -> Measure:
        given = np.where(passes, values[:, :k], np.nan)
        n = np.where(passes, own["cell", "asked"].n[:k], 0)
        groups = [int(n[group].max(initial=0)) for group in panel.groups]
        return Measure(over_groups(given, panel.groups), np.array([*n, *groups]), np.zeros(k, bool))

    for name, side in (("psg", "asked"), ("psg_plain", "plain")):
        left = relative(own["cell", side], own["base", side], own["oracle", side], panel.groups)
        board.add(f"{name}_{metric}", shown(left.values), facts="all", floor="oracle", better="none")
    for victim, end in (("cell", ""), ("oracle", "_oracle")):
        if victim == "cell" or metric == "accuracy":
            apart = delta(own[victim, "asked"].values, own[victim, "plain"].values)
            board.add(f"psg_delta_{metric}{end}", shown(apart), facts="all", better="none")


def delta(surrogate: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """What a metric shows on surrogates beyond what it shows plainly: above 0 forgetting was overestimated."""
    return surrogate - plain
