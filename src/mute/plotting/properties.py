"""Which properties of a language go with what is forgotten there, as a section of the report's page."""

import pandas as pd

from mute.findings import families, permuting, properties
from mute.findings.properties import DIFFERENCE, ENOUGH, RANK
from mute.findings.results import Number, Results
from mute.plotting import page

TITLE, ANCHOR, FIGURE = "What goes with forgetting in a language", "properties", "properties"
_HOW = (
    "Of each architecture and algorithm: K of the languages that unlearning did not read, a mean over blocks and "
    "trained models, against what was known of them before. The unit is the language. Effect: for what a language is "
    "or is not, the difference in mean K; for other properties the rank correlation with K, −1 to 1; with a 95 % "
    f"interval over resampled languages, where there is one. p: share of {permuting.DRAWS:,} permutations of the "
    "languages (of all, where they are fewer) with an effect as large; by Holm over the properties. Beside: the same "
    "within languages alike in script (of script: in family), for kinship and shared tokens go with script; languages "
    "are then permuted within these groups alone. Seen from: the smallest effect that would be found in "
    f"{permuting.POWER * 100:.0f} % of studies of so many languages; a dash: none of any size. Not found means “does "
    f"not go” only where that is small enough to matter (a difference of {ENOUGH[DIFFERENCE]}, a correlation of "
    f"{ENOUGH[RANK]}). What was known before the edit is in K's denominator, so that a link with it may be arithmetic. "
    "Languages of one family are not independent, and a permutation takes them to be."
)
_PAIRS = (
    "The same language in two scripts, on the facts asked in both. Script and language then come apart. Difference: K "
    "romanised less K in its own script, with a 95 % interval over facts, which are resampled for both alike."
)


def has(results: Results) -> bool:
    """Whether there are cells of which the question can be asked, or not be answered."""
    return bool(results.cases)


def names(results: Results) -> list[str]:
    """The algorithms that the section and its figure show."""
    found = properties.settings(results).values()
    return families.choose(results, {name for own in found for name in properties.algorithms(results, own)}).names


def section(results: Results, figure: str = "") -> list[str]:
    """The section, piece by piece: what was found in words, figure and table; or why there is nothing to find.

    figure: the figure as HTML, "" for none.
    """
    if not has(results):
        return []
    head = page.heading(2, TITLE, ANCHOR)
    pairs = properties.pairs(results)
    said = properties.pair_words(pairs)
    twice = [page.paragraph(_PAIRS, "small"), page.bullets(said), _pair_table(pairs)] if said else []
    if why := properties.too_few(results):
        return [head, page.paragraph(why), *twice]
    rows = properties.table(results, names(results))
    found = []
    for key, own in rows.groupby(["model", "algorithm"], sort=False):
        model, algorithm = map(str, tuple(key))  # ty: ignore[invalid-argument-type]
        found.append((f"{model}, {algorithm.replace('_', ' ')}", properties.words(own)))
    return [head, page.definitions(found), figure, page.paragraph(_HOW, "small"), _table(rows), *twice]


def _table(rows: pd.DataFrame) -> str:
    head = ("model", "algorithm", "property", "languages", "effect", "as", "p", "by Holm", "seen from", "verdict")
    own = rows[rows["block"] == properties.OVER]
    return page.table(
        (*head, "beside", "effect there", "by Holm there"),
        (
            (
                *(row["model"], row["algorithm"].replace("_", " "), row["property"].replace("_", " "), int(row["n"])),
                *(Number(row["estimate"], row["low"], row["high"]), row["kind"], _p(row["p"]), _p(row["holm"])),
                *(row["detectable"], row["verdict"] or "not tested", row["beside"].replace("same_", "") or "–"),
                *(row["within"], _p(row["within_holm"])),
            )
            for row in own.to_dict("records")
        ),
    )


def _pair_table(rows: pd.DataFrame) -> str:
    head = (
        "model",
        "algorithm",
        "block",
        "language",
        "K, own script",
        "K, romanised",
        "difference",
        "facts",
        "verdict",
    )
    return page.table(
        head,
        (
            (
                *(row["model"], row["algorithm"].replace("_", " "), row["block"] or "all", row["language"]),
                *(row["K"], row["K_romanised"], Number(row["difference"], row["low"], row["high"])),
                *(int(row["n"]), row["verdict"]),
            )
            for row in rows.to_dict("records")
        ),
    )


def _p(value: float) -> str:
    """A p-value to three decimals, and never as 0."""
    return "–" if pd.isna(value) else "<0.001" if value < 0.0005 else f"{value:.3f}"
