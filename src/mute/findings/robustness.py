"""What attacks bring back of each edit: by attack, in the language where most comes back, beside the oracle's own gain.

What is regained is the share of what was forgotten that an attack brings back, less the share that it brings an oracle:
(R - K)/(1 - K) - R_oracle. A form that the base itself cannot answer says nothing about an edit, and is no robustness.
"""

from collections.abc import Callable
from typing import NamedTuple

from mute.findings import by_language
from mute.findings.by_language import Worst
from mute.findings.results import MISSING, NO_ATTACK, Case, Number, Results

# Less of what the base knows than this is left to it under an attack that says nothing.
ANSWERED = 0.7
# K after an attack, by the names that attacks give it; those of one attack alone stand without its name.
_SCORES = (("R", True), ("B_mixed", False))


class Line(NamedTuple):
    """One attack on one edit.

    worst: what is regained in the language, source or held out, in which it is most, of those that the base can
    answer. before, after, oracle: K there before the attack, after it, and of the oracle after it. source: what is
    regained, the mean over source languages. unanswered: languages whose base keeps less than ANSWERED under the
    attack. why: what stands in the place of numbers.
    """

    case: Case
    algorithm: str
    band: str
    attack: str
    worst: Worst = Worst(MISSING)
    before: Number = MISSING
    after: Number = MISSING
    oracle: Number = MISSING
    source: Number = MISSING
    unanswered: tuple[str, ...] = ()
    why: str = ""


def lines(results: Results, case: Case) -> list[Line]:
    """Every attack on every edit of a case that was held against an oracle, edits and attacks in their order."""
    return [
        line
        for algorithm in results.algorithms(case)
        for band in results.bands(case, algorithm)
        if results.votes(case, algorithm, band)
        for attack in results.attacks
        if (line := _line(results, case, algorithm, band, attack)) is not None
    ]


def has(results: Results) -> bool:
    """Whether any edit was attacked beside its oracle."""
    return any(lines(results, case) for case in results.cases)


def hardest(found: list[Line]) -> dict[tuple[str, str], Line]:
    """Of each algorithm and band the attack that brings most back; those of which nothing was asked are left out."""
    best: dict[tuple[str, str], Line] = {}
    for line in found:
        key = (line.algorithm, line.band)
        if line.worst and (key not in best or line.worst.number.value > best[key].worst.number.value):
            best[key] = line
    return best


def _line(results: Results, case: Case, algorithm: str, band: str, attack: str) -> Line | None:
    source, heldout = results.languages(case)
    codes = [*source, *heldout]

    def each(metric: str, of: str = attack) -> dict[str, Number]:
        return by_language.by_language(results, case, algorithm, band, metric, codes, attack=of)

    back = each("regained")
    if not back:
        return None
    score, shared = next(((name, own) for name, own in _SCORES if _given(results, name, own, each)), _SCORES[0])
    named = attack if shared else NO_ATTACK
    base, after, oracle = (each(f"{score}{end}", named) for end in ("_base", "", "_oracle"))
    unanswered = tuple(code for code in back if code in base and base[code].value < ANSWERED)
    asked = {code: number for code, number in back.items() if code not in unanswered}
    if not asked:
        why = "n/a: the base cannot answer it"
        return Line(case, algorithm, band, attack, unanswered=unanswered, why=why)
    code = max(asked, key=lambda own: asked[own].value)
    known = each("K", NO_ATTACK)
    readable = not set(unanswered) & set(source)
    mean = results.number(case, algorithm, band, "regained", "source", attack=attack) if readable else MISSING
    before, attacked, never = (numbers.get(code, MISSING) for numbers in (known, after, oracle))
    return Line(case, algorithm, band, attack, Worst(asked[code], code), before, attacked, never, mean, unanswered)


def _given(results: Results, score: str, shared: bool, each: Callable[..., dict[str, Number]]) -> bool:
    return results.knows(score) and bool(each(score) if shared else each(score, NO_ATTACK))
