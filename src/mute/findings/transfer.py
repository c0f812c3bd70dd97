"""The transfer matrix, knowledge left in each language after unlearning in each other, and a regression on kinship.

K languages; knowledge [K, K] left in the column's language after unlearning in the row's alone.
"""

import itertools
import math

import numpy as np
import pandas as pd

from mute.evaluate.inference import holm
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
            status, votes = results.status(case, algorithm, band), results.votes(case, algorithm, band)
            rows.append((*where, *number[:4], "facts", status, votes))
    columns = ["model", "algorithm", "block", "source", "language", "value", "low", "high", "n", "unit", "status"]
    return pd.DataFrame(rows, columns=[*columns, "votes"]).astype({"votes": bool})


def over_languages(table: pd.DataFrame) -> tuple[Number, Number]:
    """K left in the language itself and in the others: means over the languages unlearned in, with t-intervals."""
    table = table[table["votes"]]
    own = table["source"] == table["language"]
    sides = (rows.groupby("source")["value"].mean() for rows in (table[own], table[~own]))
    itself, others = (trainings.mean(Number(value, n=1) for value in side) for side in sides)
    return itself, others


def most_left(table: pd.DataFrame) -> str:
    """In words the pair of languages of which most knowledge is left: what the mean over the others hides."""
    apart = table[table["votes"] & (table["source"] != table["language"]) & table["value"].notna()]
    if apart.empty:
        return "not available"
    row = apart.loc[apart["value"].idxmax()]
    return f"{Number(*row[['value', 'low', 'high']])} in {row['language']} after unlearning in {row['source']}"


def square(table: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Languages that stand on both sides, and the matrix [K, K] of their values.

    A language in which nothing was unlearned as far as in the others stands on neither: doses are to be equal.
    """
    table = table[table["votes"]]
    languages = [code for code in dict.fromkeys(table["source"]) if code in set(table["language"])]
    wide = table.pivot_table(index="source", columns="language", values="value")
    return languages, wide.reindex(index=languages, columns=languages).to_numpy(float)


def explained(table: pd.DataFrame, results: Results, seed: int) -> pd.DataFrame:
    """What K left goes with: asymmetry, what sources and targets differ by, and script, family and subword overlap.

    Coefficients of a least-squares fit over ordered pairs of different languages, all three together; p by permuting
    the labels of the languages (rows and columns of the matrix together), two-sided; holm is Holm's over the terms.
    within: the same coefficient beside an effect of each source and each target language; NaN where they leave nothing
    of the term. The unit is the language.
    """
    columns = ["term", "estimate", "within", "null_low", "null_high", "p", "holm", "n", "unit"]
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

    terms = np.column_stack([own[off] for own in x])

    def fit(values: np.ndarray) -> np.ndarray:
        design = np.column_stack([np.ones(off.sum()), terms])
        return np.linalg.lstsq(design, values[off], rcond=None)[0][1:]

    generator = np.random.default_rng(seed_of(seed, "languages"))
    orders = [generator.permutation(size) for _ in range(DRAWS)]
    null = np.array([fit(y[np.ix_(order, order)]) for order in orders])
    own = fit(y)
    p = [
        (1 + int((abs(null[:, i]) >= abs(own[i]) - 1e-12).sum())) / (1 + DRAWS) if terms[:, i].std() > 0 else math.nan
        for i in range(len(EXPLAIN))
    ]
    corrected, within = holm(p), _within(y[off], terms, off)
    rows = []
    for i, name in enumerate(EXPLAIN):
        low, high = np.quantile(null[:, i], [0.025, 0.975])
        rows.append((name.replace("_", " "), own[i], within[i], low, high, p[i], corrected[i]))
    # How far K from a to b is from K from b to a, on average; and how far sources, and targets, are from each other.
    alone = np.where(off, y, math.nan)
    spreads = {
        "asymmetry": float(abs(y - y.T)[off].mean()),
        "spread of sources": float(np.nanmean(alone, axis=1).std(ddof=1)),
        "spread of targets": float(np.nanmean(alone, axis=0).std(ddof=1)),
    }
    others = [(name, value, *[math.nan] * 5) for name, value in spreads.items()]
    return pd.DataFrame([(*row, size, "languages") for row in (*rows, *others)], columns=columns)


def _within(values: np.ndarray, terms: np.ndarray, off: np.ndarray) -> list[float]:
    """Coefficients of the terms [pairs, T] beside effects of row and column; NaN of a term that these explain."""
    rows, columns = (index[:, None] == np.arange(len(off)) for index in np.nonzero(off))
    sides = np.column_stack([rows, columns]).astype(float)
    left = terms - sides @ np.linalg.lstsq(sides, terms, rcond=None)[0]
    known = np.flatnonzero(left.std(axis=0) > 1e-9)
    found = [math.nan] * terms.shape[1]
    fitted = np.linalg.lstsq(np.column_stack([sides, terms[:, known]]), values, rcond=None)[0]
    for place, value in zip(known, fitted[sides.shape[1] :]):
        found[place] = float(value)
    return found
