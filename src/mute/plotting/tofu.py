"""TOFU's own measures as a section of the report's page, with words that say what each is."""

import math
from collections.abc import Iterator

from mute.findings import by_language
from mute.findings.by_language import SOURCE
from mute.findings.results import REFERENCES, Case, Number, Results
from mute.plotting import page

TITLE, ANCHOR = "TOFU's measures", "tofu"
FORGET = {"tofu_probability": "probability", "tofu_rouge": "ROUGE-L", "tofu_truth_ratio": "truth ratio"}
_WORDS = (
    ("probability", "P(answer given question)^(1/length) of the answer that was taught. Of splits that are neither "
     "forgotten nor retained: that over its sum with those of the wrong answers."),
    ("ROUGE-L", "recall of the generated answer: the share of the taught answer's words that stand in it, in their "
     "order. Words are not stemmed; in scripts without spaces between words every letter is one."),
    ("truth ratio", "of R, the geometric mean of the wrong answers' likelihoods over that of a paraphrase of the right "
     "one: of the forget set the mean of min(R, 1/R), where 1 says that right and wrong are as likely; of the other "
     "splits the mean of max(0, 1 − R), where 1 says that only the right one is."),
    ("model utility", "the harmonic mean of these three over all splits but the forget set: 0 if one of them is."),
    ("forget quality", "the logarithm to base 10 of the p-value of a Kolmogorov-Smirnov test, exact and two-sided, of "
     "R on the forget set against the R of the oracle, which was trained without it. 0: nothing tells the model from "
     "the oracle; below −1.3 (p 0.05) it can be told. It has no interval, and no mean: of several languages the lowest "
     "is shown. A dash: the study trains no such oracle, or the model gives no number."),
)  # fmt: skip
LEVELS = (
    "95 % intervals over questions, in brackets. Source: the mean over the source languages. Held out: the worst "
    "of the held-out languages, which is named. Base: the model before any edit."
)


def has(results: Results) -> bool:
    """Whether the study's corpus has such measures."""
    return "tofu_utility" in results.metrics


def section(results: Results) -> list[str]:
    """The section, piece by piece; [] of a study that has no such measures."""
    if not has(results):
        return []
    defined = page.definitions((name, words) for name, words in _WORDS)
    return [
        page.heading(2, TITLE, ANCHOR),
        page.paragraph("Maini et al., TOFU, arXiv 2401.06121, by language."),
        defined,
        page.paragraph(LEVELS, "small"),
        _forgotten(results),
        page.heading(3, "Splits to keep"),
        page.paragraph("Means over the source languages, of every split that is not to be forgotten.", "small"),
        _kept(results),
    ]


def _models(results: Results) -> Iterator[tuple[Case, str, str, tuple[str, ...]]]:
    """Base, oracle and every edit: case, algorithm, band, and the cells that name them."""
    for case in results.cases:
        for name in REFERENCES:
            if results.number(case, name, "", "tofu_utility", SOURCE):
                yield case, name, "", (results.name(case), name, "–", "")
        for name in results.algorithms(case):
            for band in results.bands(case, name):
                status = results.status(case, name, band).replace("_", " ")
                yield case, name, band, (results.name(case), name.replace("_", " "), band, status)


def _forgotten(results: Results) -> str:
    rows = []
    for case, name, band, who in _models(results):
        cells: list[page.Cell] = []
        for metric in FORGET:
            cells.append(results.number(case, name, band, metric, SOURCE, facts="forget"))
            cells.append(by_language.worst(results, case, name, band, metric, facts="forget"))
        cells.append(results.number(case, name, band, "tofu_utility", SOURCE))
        cells.append(by_language.worst(results, case, name, band, "tofu_utility"))
        source, heldout = results.languages(case)
        cells += [_quality(results, case, name, band, group) for group in (source, heldout)]
        rows.append((*who, *cells))
    names = [f"forget {words}" for words in FORGET.values()] + ["model utility", "forget quality"]
    head = [f"{words}, {group}" for words in names for group in ("source", "held out")]
    return page.table(("model", "edit", "block", "status", *head), rows)


def _quality(results: Results, case: Case, name: str, band: str, codes: list[str]) -> str:
    """The lowest logarithm of the p-value among these languages, with the language's code."""
    found = by_language.by_language(results, case, name, band, "tofu_forget_quality", codes, facts="forget")
    if not found:
        return "–"
    code = min(found, key=lambda code: found[code].value)
    p = found[code].value
    shown = "−∞" if p <= 0 else f"{math.log10(p):.1f}".replace("-", "−").replace("−0.0", "0.0")
    return f"{shown} {code}" if len(codes) > 1 else shown


def _kept(results: Results) -> str:
    scores = results.tables["scores"]
    own = scores[(scores["metric"] == "tofu_probability") & (scores["facts"] != "forget")]
    sets = list(dict.fromkeys(own["facts"]))
    rows = []
    for case, name, band, who in _models(results):
        numbers: list[Number] = [
            results.number(case, name, band, metric, SOURCE, facts=each) for each in sets for metric in FORGET
        ]
        rows.append((*who, *numbers))
    head = [f"{each.replace('_', ' ')} {words}" for each in sets for words in FORGET.values()]
    return page.table(("model", "edit", "block", "status", *head), rows)
