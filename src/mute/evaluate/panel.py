"""Clusters, languages and resampling weights that the evaluations of one study share, so that they pair.

Shapes: C clusters, K languages, G = 5 groups of languages, M rows of a table, R = 1 + draws replicates. Replicate 0
takes every cluster once: it is the estimate itself; the others are bootstrap samples. A number per replicate and
language is [R, K], and [R, K+G] with the groups' unweighted means beside the languages.

A cluster is a fact with all its languages and forms, or a line with its translations. Weights depend on the seed and
the clusters' ids alone, so any two evaluations are resampled alike and their differences keep what they share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mute.corpus.schema import ROLES
from mute.evaluate.inference import cluster_counts
from mute.evaluate.item_table import KEYS
from mute.names import unknown_name
from mute.store.artifacts import seed_of

# Groups of languages, in the order of a Measure's last columns. The last two are of the held-out languages, and empty
# where nothing says in which script they are written.
GROUPS = ("source", "heldout", "all", "same_script", "other_script")
SOURCE, HELDOUT, ALL, SAME_SCRIPT, OTHER_SCRIPT = range(-len(GROUPS), 0)
# The held-out language in which a score looks worst, chosen anew in every replicate.
WORST = "worst"
# Whether less or more of a score means that more is forgotten, or kept; `none`: neither.
Better = Literal["lower", "higher", "none"]
# What a reference must exceed its floor by for a ratio to it to mean anything.
MARGIN = 0.05


@dataclass(frozen=True)
class Measure:
    """One number per replicate, language and group.

    values [R, K+G]; n [K+G] clusters behind each; single [K] whether a language has one row per cluster, so that a
    share there is a binomial proportion.
    """

    values: np.ndarray
    n: np.ndarray
    single: np.ndarray


class Panel:
    """Clusters, roles, languages and weights, read off the base's item table.

    `roles` maps item to role, `scripts` language to the script that it is written in. Facts for `validation` have the
    role "validation" here instead of retain_unseen: tuning reads them, so no score does. Held-out languages in which
    fewer than `least` facts are asked have scores of their own and are in no group of held-out languages.
    scored_forms: the forms in which facts are scored, all alike; default: the headline alone.

    Raises ValueError for a language that is listed twice or has no row, a fact that is listed twice or has no role,
    and an unknown role.
    """

    def __init__(
        self,
        base: pd.DataFrame,
        facts: pd.DataFrame,
        roles: pd.Series,
        *,
        source: Sequence[str],
        heldout: Sequence[str],
        headline_form: int,
        draws: int,
        seed: int,
        scripts: Mapping[str, str] | None = None,
        least: int = 0,
        scored_forms: Sequence[int] | None = None,
    ) -> None:
        self.base, self.headline_form, self.draws, self.seed = base, headline_form, draws, seed
        self.scored_forms = [headline_form] if scored_forms is None else list(scored_forms)
        self.languages = pd.Index([*source, *heldout])
        if not self.languages.is_unique:
            raise ValueError(f"a language is listed twice: source {list(source)}, held-out {list(heldout)}")
        self.groups = groups_of(source, heldout, scripts or {})
        if not facts["item"].is_unique:
            raise ValueError(f"fact {facts.loc[facts['item'].duplicated(), 'item'].iloc[0]!r} is listed twice")
        self.facts = facts.set_index("item").sort_index()
        self.role = self._roles(roles)
        none = np.full(len(self.facts), "", object)
        kinds = [self.facts[name].to_numpy(object) if name in self.facts else none for name in ("teach", "spelling")]
        self.teach, self.spelling = kinds
        self.sets = base["set"].to_numpy(object)
        self.items = base["item"].to_numpy(object)
        self.language = self.languages.get_indexer(pd.Index(base["language"]))
        missing = set(range(len(self.languages))) - set(self.language.tolist())
        if missing:
            raise ValueError(f"the table has no row in {', '.join(self.languages[sorted(missing)])}")
        self._weights: dict[str, np.ndarray] = {}
        if least:
            self.groups = self._with_enough(least)

    def _with_enough(self, least: int) -> tuple[np.ndarray, ...]:
        """The groups without held-out languages in which fewer than `least` facts are asked."""
        asked = self.facts_block(np.ones(len(self.facts), bool)).n[: len(self.languages)]
        few = np.flatnonzero(asked < least)
        return tuple(
            group if number in (SOURCE, ALL) else np.setdiff1d(group, few)
            for number, group in enumerate(self.groups, -len(GROUPS))
        )

    def _roles(self, roles: pd.Series) -> np.ndarray:
        known = roles.reindex(self.facts.index)
        if known.isna().any():
            raise ValueError(f"fact {known.index[known.isna()][0]!r} has no role")
        for role in known.unique():
            if role not in ROLES:
                raise ValueError(unknown_name("role", role, ROLES))
        tuned = self.facts["validation"].to_numpy(bool) & (known == "retain_unseen").to_numpy()
        return np.where(tuned, "validation", known.to_numpy(object))

    def selected(self, *roles: str, kind: str = "all") -> np.ndarray:
        """Boolean per fact: of one of these roles, and of one kind of teaching or spelling, or 'all'."""
        own = True if kind == "all" else (self.teach == kind) | (self.spelling == kind)
        return np.isin(self.role, roles) & own

    def asked_in(self, *codes: str) -> np.ndarray:
        """Boolean per fact: asked in every one of these languages, in the scored forms."""
        clusters, languages, _ = self.facts_block(np.ones(len(self.facts), bool))._parts
        own = (clusters[languages == self.languages.get_loc(code)] for code in codes)
        return np.logical_and.reduce([np.isin(np.arange(len(self.facts)), found) for found in own])

    def weights(self, name: str, clusters: int) -> np.ndarray:
        """Counts [R, C] of the clusters of one kind ('facts' or a set of lines); row 0 is ones."""
        if name not in self._weights:
            counts = cluster_counts(clusters, self.draws, seed_of(self.seed, "bootstrap", name))
            self._weights[name] = np.vstack([np.ones(clusters), counts])
        return self._weights[name]

    def check(self, table: pd.DataFrame, name: str) -> None:
        """Raise ValueError unless an item table has the same rows, in the same order, as the base's."""
        same = len(table) == len(self.base) and all(
            (table[key].to_numpy(object) == self.base[key].to_numpy(object)).all() for key in KEYS
        )
        if not same or (table["option"].isna() != self.base["option"].isna()).any():
            raise ValueError(f"the {name} table has other rows or options than the base's: evaluate both alike")

    def facts_block(self, selected: np.ndarray, name: str = "facts", form: int | None = None) -> "Block":
        """Facts at the scored forms, or one form; or the rows of another set whose items are facts."""
        rows = np.flatnonzero((self.sets == name) & (self.language >= 0))
        if name == "facts":
            rows = rows[np.isin(self.base["form"].to_numpy()[rows], self.scored_forms if form is None else [form])]
        return self._block(rows, self.items[rows], self.language[rows], selected)

    def answers_block(self, answers: pd.DataFrame, selected: np.ndarray) -> "Block":
        """Facts at the scored forms in an answer table, whose rows need not be in the base's order."""
        mask = (answers["set"] == "facts").to_numpy() & answers["form"].isin(self.scored_forms).to_numpy()
        language = self.languages.get_indexer(pd.Index(answers["language"]))
        rows = np.flatnonzero(mask & (language >= 0))
        return self._block(rows, answers["item"].to_numpy(object)[rows], language[rows], selected)

    def _block(self, rows: np.ndarray, items: np.ndarray, language: np.ndarray, selected: np.ndarray) -> "Block":
        clusters = self.facts.index.get_indexer(pd.Index(items))
        if (clusters < 0).any():
            raise ValueError(f"item {items[clusters < 0][0]!r} is no fact of the corpus")
        keep = selected[clusters]
        weights = self.weights("facts", len(self.facts))
        return Block(rows[keep], clusters[keep], language[keep], weights, self.groups)

    def lines_block(self, name: str) -> "Block":
        """The rows of a set of lines, clustered by line id."""
        rows = np.flatnonzero(self.sets == name)
        # All languages count for the ids, so that the weights do not hang on the languages scored.
        codes, ids = pd.factorize(self.items[rows], sort=True)
        weights = self.weights(name, len(ids)) if len(ids) else np.ones((1 + self.draws, 0))
        keep = self.language[rows] >= 0
        return Block(rows[keep], codes[keep], self.language[rows][keep], weights, self.groups)


class Block:
    """Rows of a table by cluster and language: sums of a column are counted once, then weighted for all replicates.

    rows, clusters, languages [M]; weights [R, C]; `groups` the indices of each group's languages.
    """

    def __init__(
        self,
        rows: np.ndarray,
        clusters: np.ndarray,
        languages: np.ndarray,
        weights: np.ndarray,
        groups: tuple[np.ndarray, ...],
    ) -> None:
        self.rows, self.groups = rows, groups
        present, codes = np.unique(clusters, return_inverse=True)
        self.weights = weights[:, present]
        self._parts = (clusters, languages, weights)
        self._shape = (len(present), len(groups[ALL]))
        self._cell = codes * self._shape[1] + languages
        counts = self._table(np.ones(len(rows)))
        self._total = self.weights @ counts
        self.n = np.array([*(counts > 0).sum(0), *((counts[:, group] > 0).any(1).sum() for group in groups)])
        self.single = counts.max(0, initial=0) <= 1

    def __len__(self) -> int:
        return len(self.rows)

    def mean(self, column: np.ndarray) -> Measure:
        """Mean of a column of the whole table; rows where it is NaN are left out."""
        values = column[self.rows]
        missing = np.isnan(values)
        if missing.any():
            clusters, languages, weights = self._parts
            keep = ~missing
            return Block(self.rows[keep], clusters[keep], languages[keep], weights, self.groups).mean(column)
        return self._measure(self.sum(column), self._total)

    def ratio(self, numerator: np.ndarray, denominator: np.ndarray) -> Measure:
        """Sum of one column over the sum of another."""
        return self._measure(self.sum(numerator), self.sum(denominator))

    def sum(self, column: np.ndarray) -> np.ndarray:
        """Weighted sums [R, K] of a column without NaN."""
        return self.weights @ self._table(column[self.rows])

    def _table(self, values: np.ndarray) -> np.ndarray:
        clusters, languages = self._shape
        return np.bincount(self._cell, values, minlength=clusters * languages).reshape(clusters, languages)

    def _measure(self, numerator: np.ndarray, denominator: np.ndarray) -> Measure:
        with np.errstate(invalid="ignore", divide="ignore"):
            return Measure(over_groups(numerator / denominator, self.groups), self.n, self.single)


def groups_of(source: Sequence[str], heldout: Sequence[str], scripts: Mapping[str, str]) -> tuple[np.ndarray, ...]:
    """Indices of each group's languages among the source and held-out ones, in the order of GROUPS.

    A held-out language shares a script if that of a source language is the same; one without a known script, and all
    where a source language has none, are in neither group.
    """
    first, every = len(source), [*source, *heldout]
    known = all(code in scripts for code in source)
    read = {scripts[code] for code in source} if known else set()
    told = [i for i in range(first, len(every)) if known and every[i] in scripts]
    same = [i for i in told if scripts[every[i]] in read]
    other = [i for i in told if i not in same]
    parts = (range(first), range(first, len(every)), range(len(every)), same, other)
    return tuple(np.array(part, int) for part in parts)


def worst(values: np.ndarray, groups: tuple[np.ndarray, ...], better: Better) -> np.ndarray:
    """In every replicate [R] the number of the held-out language in which it looks worst; values [R, K+G].

    The languages among which it is chosen are those with an estimate, as in the means of groups (`over_groups`).
    """
    own = groups[HELDOUT]
    own = own[np.isfinite(values[0, own])]
    if not len(own):
        return np.full(len(values), np.nan)
    return values[:, own].max(1) if better == "lower" else values[:, own].min(1)


def over_groups(values: np.ndarray, groups: tuple[np.ndarray, ...]) -> np.ndarray:
    """[R, K] with the mean over each group's languages beside it: [R, K+G].

    The languages of a mean are those with an estimate (replicate 0), in every replicate: a mean that changed its
    languages from one replicate to the next would measure something else each time.
    """
    means = [_mean(values[:, group[np.isfinite(values[0, group])]]) for group in groups]
    return np.column_stack([values, *means])


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the columns; NaN where there are none."""
    return values.mean(1) if values.shape[1] else np.full(len(values), np.nan)


def relative(cell: Measure, base: Measure, floor: Measure | float, groups: tuple[np.ndarray, ...]) -> Measure:
    """(cell - floor) / (base - floor) by language; groups are means of these, not ratios of means.

    Undefined (NaN) where the base is not more than MARGIN above the floor: there is nothing to have kept or lost.
    """
    k = len(groups[ALL])
    ground = floor.values[:, :k] if isinstance(floor, Measure) else floor
    room = base.values[:, :k] - ground
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(room > MARGIN, (cell.values[:, :k] - ground) / room, np.nan)
    return Measure(over_groups(values, groups), cell.n, np.zeros(k, bool))


def mean_of(parts: Sequence[Measure], groups: tuple[np.ndarray, ...]) -> tuple[Measure, np.ndarray]:
    """Mean by language of the parts that have an estimate there, and how many [K] they are.

    n is that of the smallest such part. Without any part, the measure is NaN with n 0.
    """
    k = len(groups[ALL])
    stacked = np.array([part.values[:, :k] for part in parts])  # [parts, R, K]
    defined = np.isfinite(stacked[:, 0])  # [parts, K]
    count = defined.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(defined[:, None], stacked, 0.0).sum(0) / np.where(count > 0, count, np.nan)
    behind = np.array([np.where(np.isfinite(part.values[0]), part.n, np.inf) for part in parts]).min(0)
    n = np.where(np.isfinite(behind), behind, 0).astype(int)
    return Measure(over_groups(values, groups), n, np.zeros(k, bool)), count
