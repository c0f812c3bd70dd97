"""Scores by language: held-out languages by script, the worst of them with its name, and means over trainings."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mute.corpus import languages as packs
from mute.findings import trainings
from mute.findings.results import MISSING, NO_ATTACK, REFERENCES, Case, Number, Results

SOURCE, HELDOUT, SAME, OTHER = "source", "heldout", "same_script", "other_script"
WORDS = {
    SOURCE: "source",
    SAME: "held out, the sources' script",
    OTHER: "held out, other scripts",
    HELDOUT: "held out",
}


class Worst(NamedTuple):
    """A number of the held-out language in which it looks worst, and that language; "" where nobody says which."""

    number: Number
    language: str = ""

    def __bool__(self) -> bool:
        return bool(self.number)

    def __str__(self) -> str:
        return f"{self.language} {self.number}".strip() if self.number else str(self.number)


def script(results: Results, code: str) -> str:
    """The script of a language, as the study says, its pack, or its texts; "" where nobody says."""
    stated = results.about.get("scripts", {}).get(code)
    if stated or code in packs.codes():
        return stated or packs.load(code).script
    return results.once(("scripts",), lambda: _of_texts(results)).get(code, "")


def _of_texts(results: Results) -> dict[str, str]:
    """Scripts by the letters of texts, of languages that have some."""
    rows = results.tables["properties"]
    return {code: script for code, script in zip(rows["language"], rows["script"]) if script}


def groups(results: Results, case: Case) -> dict[str, list[str]]:
    """The languages of a case by group: source, then the held-out ones by script, or together where one is unknown.

    A group without a language is left out.
    """
    source, heldout = results.languages(case)
    scripts = {code: script(results, code) for code in (*source, *heldout)}
    if not all(scripts.values()):
        found = {SOURCE: source, HELDOUT: heldout}
    else:
        read = {scripts[code] for code in source}
        same = [code for code in heldout if scripts[code] in read]
        found = {SOURCE: source, SAME: same, OTHER: [code for code in heldout if code not in same]}
    return {name: codes for name, codes in found.items() if codes}


def lowest_is_worst(metric: str) -> bool:
    """Capabilities look worst where they are lowest, knowledge, leak, damage and confusion where they are highest."""
    return metric == "C" or metric.startswith("C_") or metric in ("tofu_utility", "tofu_truth_ratio")


def by_language(
    results: Results,
    case: Case,
    algorithm: str,
    band: str,
    metric: str,
    codes: Iterable[str],
    *,
    facts: str | None = None,
    attack: str = NO_ATTACK,
) -> dict[str, Number]:
    """A score of each language that has one. Of `leak` and `excess_damage`: the difference to the source languages'."""
    if metric in _DIFFERENCES:
        return _differences(results, case, algorithm, band, metric, codes, facts=facts)
    source, _ = results.languages(case)
    found = {}
    for code in codes:
        group = SOURCE if code in source else HELDOUT
        number = results.number(case, algorithm, band, metric, group, facts=facts, language=code, attack=attack)
        if number:
            found[code] = number
    return found


# A difference between a held-out language and the source languages: of which score, and its sign.
_DIFFERENCES = {"leak": ("K", 1), "excess_damage": ("C", -1)}


def _differences(
    results: Results, case: Case, algorithm: str, band: str, metric: str, codes: Iterable[str], *, facts: str | None
) -> dict[str, Number]:
    """Estimates without an interval: that of a difference is not the difference of two."""
    of, sign = _DIFFERENCES[metric]
    own = results.number(case, algorithm, band, of, SOURCE, facts=facts)
    each = by_language(results, case, algorithm, band, of, codes, facts=facts) if own else {}
    return {code: Number(sign * (number.value - own.value), n=number.n) for code, number in each.items()}


def worst(
    results: Results,
    case: Case,
    algorithm: str,
    band: str,
    metric: str,
    *,
    facts: str | None = None,
    attack: str = NO_ATTACK,
    group: str = "",
) -> Worst:
    """The held-out language in which a score looks worst, of all or of one group of them, and its number.

    Over all it is the tables' `worst`, whose interval owns the choice; of tables without it, and of a group, it is
    taken from the languages' own estimates.
    """
    own = groups(results, case)
    codes = own.get(group, []) if group else [code for name, part in own.items() if name != SOURCE for code in part]
    each = by_language(results, case, algorithm, band, metric, codes, facts=facts, attack=attack)
    pick = min if lowest_is_worst(metric) else max
    code = pick(each, key=lambda code: each[code].value, default="")
    stated = MISSING
    if not group:
        stated = results.number(case, algorithm, band, metric, "worst", facts=facts, attack=attack)
    return Worst(stated or each.get(code, MISSING), code)


def mean(results: Results, case: Case, algorithm: str, band: str, metric: str, group: str) -> Number:
    """A score's mean over a group of languages: the tables', or without an interval that of the languages' own."""
    stated = results.number(case, algorithm, band, metric, group)
    if stated:
        return stated
    each = by_language(results, case, algorithm, band, metric, groups(results, case).get(group, []))
    return Number(float(np.mean([number.value for number in each.values()])), n=len(each)) if each else MISSING


def doses(results: Results) -> list[str]:
    """The attacks that train an edited model again, those of fewer steps first: their names end with the steps."""
    found = [attack for attack in results.attacks if attack.startswith("retrain")]
    return sorted(found, key=lambda attack: (len(attack), attack))


def gap(results: Results, case: Case) -> dict[int, float]:
    """Mean over pairs of a held-out and a source language of how far their mean states lie apart, by block (`offset`).

    {} where the study has not looked.
    """
    source, heldout = results.languages(case)
    pairs = {f"{a}-{b}" for one in source for other in heldout for a, b in ((one, other), (other, one))}
    found: dict[int, list[float]] = {}
    for (block, pair), value in results.profile(case, "offset").items():
        if pair in pairs:
            found.setdefault(block, []).append(value)
    return {block: float(np.mean(values)) for block, values in sorted(found.items())}


# Over the trainings of an architecture


def trained(results: Results, case: Case) -> list[Case]:
    """All trainings of a case in its setting that pass their gates; where none does, all."""
    own = [other for other in results.all_cases if (other.model, *other.setting) == (case.model, *case.setting)]
    return trainings.passed(results, own) or own or [case]


def counted(results: Results, cases: Iterable[Case], algorithm: str, band: str) -> list[Case]:
    """The trainings that edited a band and whose edit votes; where none does, all that edited it."""
    if algorithm in REFERENCES:
        return list(cases)
    own = [case for case in cases if band in results.bands(case, algorithm)]
    return [case for case in own if results.votes(case, algorithm, band)] or own
