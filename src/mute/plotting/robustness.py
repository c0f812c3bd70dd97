"""What attacks bring back of each edit, as a section of the report's page."""

from collections.abc import Iterable

from mute.findings import families, objectives, recovery, robustness
from mute.findings.results import Case, Results
from mute.findings.robustness import ANSWERED, Line
from mute.plotting import page

TITLE, ANCHOR, FIGURE = "What attacks bring back", "robustness", "robustness"
_HOW = (
    "Regained: of what the edit made the model forget, the share that the attack brings back, less the share that the "
    "same attack brings an oracle, (R − K)/(1 − K) − R of the oracle, fact by fact: what an attack teaches anew counts "
    "for nothing. 1: all is back; 0: the attack gives nothing that it does not give one that never knew. Of each edit "
    "that counts, and each attack: the language, read or not, in which most comes back, with a 95 % interval over "
    "items; it was chosen on the same items, so that its interval is too narrow. Beside: K there before the attack, of "
    "all facts; K after it and that of the oracle, of the facts that it is scored on, which are half of them where it "
    "is taught the others or tries wordings on them. n/a: languages in which the base itself keeps less than "
    f"{ANSWERED:g} of what it knows under the attack, of which nothing can be said; where that is so of all, the "
    "attack says nothing about robustness. Where a language lacks what an attack needs, it is not tried."
)

_TAUGHT = "Taught in one language, asked in another"
_TAUGHT_HOW = (
    "Half of the forgotten facts are taught again in one language, and the other half is asked in every language. "
    "Regained as above, beside the mass of subwords that the two languages share, from 0 to 1. Facts of one training "
    "tell no order of languages where intervals overlap."
)

_DID = "Removed or suppressed"
_DID_HOW = (
    "What each edit did, whatever it was meant to do, in source and in held-out languages. Fell: 1 − K, of "
    "held-out languages a mean, beside the one that keeps most. Fell inside: the gold answer's recall by the logit "
    "lens, at the block where it is highest; where that lies below the edit, no "
    "edit there could change it, and the verdict is of the place, not of the method. Lasts: 1 − what relearning brings "
    "back beyond an oracle's gain, by the attack that brings most. Each is a share of what the base has, with its 95 % "
    "interval over items. No effect: what the model answers fell by {small:g} or less. Suppression-like: it fell by "
    "{large:g} or more, and inside, or after relearning, by {small:g} or less. Removal-like: all three fell by "
    "{large:g} or more. Mixed: between. Not decided where an interval holds a threshold that matters, or something was "
    "not measured. Reach: the drop in held-out languages over that in the sources. No measurement shows that nothing "
    "is left."
)


_NONE = (
    "Nothing is printed of what attacks brought back: no edit that counts was attacked beside an oracle, and what an "
    "attack teaches anew could not be told from what it brings back."
)


def has(results: Results) -> bool:
    return bool(results.attacks)


def names(results: Results, case: Case) -> list[str]:
    """The algorithms of a case that section and figure show: those of every figure, and all guards.

    Guards are one family, and what gets past one of them says nothing of another.
    """
    chosen = families.choose(results).names
    return [name for name in results.algorithms(case) if name in chosen or results.intent(name) == "guard"]


def section(results: Results, figure: str = "") -> list[str]:
    """The section, piece by piece; [] of a study without attacks. figure: the figure as HTML, "" for none."""
    if not has(results):
        return []
    if not robustness.has(results):
        return [page.heading(2, TITLE, ANCHOR), page.paragraph(_NONE), *_objectives(results)]
    found = {case: robustness.lines(results, case) for case in results.cases}
    return [
        page.heading(2, TITLE, ANCHOR),
        page.definitions(_words(results, found)),
        figure,
        page.paragraph(_HOW, "small"),
        _table(results, (line for own in found.values() for line in own)),
        *_matrix(results),
        *_objectives(results),
    ]


def _matrix(results: Results) -> list[str]:
    """What relearning in each language brings back in each, of studies that taught at least two."""
    if len(recovery.taught(results)) < 2:
        return []
    edits = [
        (case, name, band)
        for case in results.cases
        for name in results.algorithms(case)
        for band in results.bands(case, name)
        if results.votes(case, name, band)
    ]
    rows = (
        (results.name(case), name.replace("_", " "), band, pair.taught, pair.asked, pair.regained, pair.overlap)
        for case, name, band in edits
        for pair in recovery.matrix(results, case, name, band)
    )
    head = ("model", "algorithm", "band", "taught in", "asked in", "regained", "shared subwords")
    return [page.heading(3, _TAUGHT), page.paragraph(_TAUGHT_HOW, "small"), page.table(head, rows)]


def _objectives(results: Results) -> list[str]:
    """The verdict on each edit, source and held-out languages apart."""
    found = [own for case in results.cases for own in objectives.objectives(results, case)]
    rows = (
        (
            *(results.name(own.case), own.algorithm.replace("_", " "), results.intent(own.algorithm), own.band),
            *("held out" if own.group == "heldout" else own.group, own.kind, own.behaviour, own.worst),
            *(own.inside, "–" if own.block is None else own.block, own.durable, own.attack.replace("_", " ") or "–"),
            *(own.reach, own.why or "–"),
        )
        for own in found
    )
    head = ("model", "algorithm", "meant as", "band", "languages", "verdict", "fell", "fell, worst language")
    table = page.table((*head, "fell inside", "at block", "lasts", "under", "reach", "why"), rows)
    how = _DID_HOW.format(**objectives.thresholds(results).model_dump())
    return [page.heading(3, _DID), page.paragraph(how, "small"), table] if found else []


def _words(results: Results, found: dict[Case, list[Line]]) -> list[tuple[str, str]]:
    """Of every edit the attack that brings most back; edits of one algorithm and case in one line."""
    words = []
    for case, own in found.items():
        best = robustness.hardest(own)
        for name in names(results, case):
            said = [
                f"band {band}: {line.attack.replace('_', ' ')} {line.worst}"
                for (own, band), line in best.items()
                if own == name
            ]
            if said:
                words.append((f"{results.name(case)}, {name.replace('_', ' ')}", f"Most comes back. {'; '.join(said)}"))
    return words


def _table(results: Results, found: Iterable[Line]) -> str:
    head = ("model", "algorithm", "band", "attack", "regained, most", "K before", "K after", "oracle after")
    return page.table(
        (*head, "regained, source languages", "n/a in"),
        (
            (
                *(results.name(line.case), line.algorithm.replace("_", " "), line.band, line.attack.replace("_", " ")),
                *(line.why or line.worst, line.before, line.after, line.oracle, line.source),
                " ".join(line.unanswered) or "–",
            )
            for line in found
        ),
    )
