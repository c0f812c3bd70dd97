"""The transfer matrix, knowledge left in each language after unlearning in each other, and a regression on kinship.

K languages; knowledge [K, K] left in the column's language after unlearning in the row's alone.
"""

import itertools
import math

import numpy as np
import pandas as pd

from mute.findings import trainings
from mute.findings.results import Case, Number, Results
from mute.store.artifacts import seed_of

EXPLAIN = ("same_script", "same_family", "overlap")
DRAWS = 2000


def cases(results: Results) -> list[tuple[Case, str, str]]:
    """Cases that unlearn in one language, of the model with most of them: case, algorithm and block."""
    alone = [case for case in results.all_cases if case.sources and "-" not in case.sources]
    found: dict[tuple, list[tuple[Case, str, str]]] = {}
    for case in alone:
        for algorithm in results.algorithms(case):
            for band in results.blocks(case, algorithm):
                key = (case.model, case.training_seed, *case.setting[1:], algorithm, band)
                found.setdefault(key, []).append((case, algorithm, band))
    best = max(found.values(), key=lambda own: (len(own), own[0][1:]), default=[])
    if len(best) < 3:
        return []
    # In the model's order of languages, as in every figure.
    stated = results.about.get("models", {}).get(best[0][0].model, {}).get("languages", [])
    order = {code: place for place, code in enumerate(stated)}
    return sorted(best, key=lambda own: (order.get(own[0].sources, len(order)), own[0].sources))


def matrix(results: Results) -> pd.DataFrame:
    """Long table: source, language, K with its interval over facts, n; the diagonal is the language itself."""
    rows = []
    for case, algorithm, band in cases(results):
        source, heldout = results.languages(case)
        for language in [*source, *heldout]:
            group = "source" if language in source else "heldout"
            number = results.number(case, algorithm, band, "K", group, language=language)
            where = (case.model, algorithm, band, case.sources, language)
            rows.append((*where, *number, "facts", results.status(case, algorithm, band)))
    columns = ["model", "algorithm", "block", "source", "language", "value", "low", "high", "n", "unit", "status"]
    return pd.DataFrame(rows, columns=columns)


def over_languages(table: pd.DataFrame) -> tuple[Number, Number]:
    """K left in the language itself and in the others: means over the languages unlearned in, with t-intervals."""
    own = table["source"] == table["language"]
    sides = (rows.groupby("source")["value"].mean() for rows in (table[own], table[~own]))
    itself, others = (trainings.mean(Number(value, n=1) for value in side) for side in sides)
    return itself, others


def square(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Languages that stand on both sides, and the matrix [K, K] of their values."""
    languages = [code for code in dict.fromkeys(table["source"]) if code in set(table["language"])]
    wide = table.pivot_table(index="source", columns="language", values="value")
    return languages, wide.reindex(index=languages, columns=languages).to_numpy(float)


def explained(table: pd.DataFrame, results: Results, seed: int) -> pd.DataFrame:
    """What K left goes with: asymmetry, and a regression on script, family and subword overlap.

    Coefficients of a least-squares fit over ordered pairs of different languages, all three together; p by permuting
    the labels of the languages (rows and columns of the matrix together), two-sided. The unit is the language.
    """
    columns = ["term", "estimate", "null_low", "null_high", "p", "n", "unit"]
    languages, y = square(table)
    pairs = results.tables["languages"]
    pairs = pairs[pairs["model"].isin(set(table["model"]))]
    if len(languages) < 4 or np.isnan(y).any() or pairs.empty:
        return pd.DataFrame(columns=columns)
    known = {(a, b): row for a, b, row in zip(pairs["language"], pairs["other"], pairs.to_dict("records"))}
    size = len(languages)
    x = np.zeros((len(EXPLAIN), size, size))
    for (i, a), (j, b) in itertools.permutations(enumerate(languages), 2):
        row = known.get((a, b)) or known.get((b, a))
        if row is None:
            return pd.DataFrame(columns=columns)
        x[:, i, j] = [float(row[name]) for name in EXPLAIN]
    if np.isnan(x).any():  # a language of which nobody has said the script or family
        return pd.DataFrame(columns=columns)
    off = ~np.eye(size, dtype=bool)

    def fit(values: np.ndarray) -> np.ndarray:
        design = np.column_stack([np.ones(off.sum()), *(own[off] for own in x)])
        return np.linalg.lstsq(design, values[off], rcond=None)[0][1:]

    generator = np.random.default_rng(seed_of(seed, "languages"))
    orders = [generator.permutation(size) for _ in range(DRAWS)]
    null = np.array([fit(y[np.ix_(order, order)]) for order in orders])
    own = fit(y)
    rows = []
    for i, name in enumerate(EXPLAIN):
        p = (1 + int((abs(null[:, i]) >= abs(own[i]) - 1e-12).sum())) / (1 + DRAWS)
        low, high = np.quantile(null[:, i], [0.025, 0.975])
        rows.append((name.replace("_", " "), own[i], low, high, p))
    # How far K from a to b is from K from b to a, on average.
    rows.append(("asymmetry", float(abs(y - y.T)[off].mean()), math.nan, math.nan, math.nan))
    return pd.DataFrame([(*row, size, "languages") for row in rows], columns=columns)
