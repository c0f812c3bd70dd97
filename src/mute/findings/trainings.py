"""Means over trained models with t-intervals, and the cases and algorithms that they are taken over.

A depth claim is about models, so the unit is the trained model (a training seed of an architecture). Facts of one model
say how well that model was measured, and nothing of the next.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import get_args

from mute.config.sections import Retain
from mute.evaluate.inference import t_interval
from mute.findings.results import NO_ATTACK, Case, Number, Results

MODELS, FACTS = "trained models", "facts of one model (all languages of a fact together)"


def mean(numbers: Iterable[Number]) -> Number:
    """Mean over trained models with its 95 % t-interval and their number; of a single model, its own interval."""
    known = [number for number in numbers if number]
    if len(known) == 1:
        return known[0]._replace(n=1)
    value, low, high = t_interval(number.value for number in known)
    return Number(value, low, high, len(known), max(len(known) - 1, 0))


def unit(numbers: Iterable[Number]) -> str:
    """What the interval of `mean` covers."""
    return MODELS if sum(bool(number) for number in numbers) != 1 else FACTS


def main_cases(results: Results, protocol: str | None = None) -> list[Case]:
    """Every training of every model, in the setting of the study's first grid, under one or all protocols."""
    setting = results.main_setting
    return [c for c in results.all_cases if c.setting[:-1] == setting and protocol in (None, c.protocol)]


def protocols(results: Results) -> tuple[str, ...]:
    """Protocols of the study, the matched one first."""
    found = {case.protocol for case in results.all_cases}
    return tuple(sorted(found, key=lambda name: (name != "matched", name)))


def passed(results: Results, cases: Iterable[Case]) -> list[Case]:
    """The cases whose model passes its gates: the others decide nothing."""
    return [case for case in cases if not results.below_gate(case)]


def architectures(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The trained models of each architecture: within it the unit is the training."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.model, []).append(case)
    return found


def swept(results: Results, cases: Iterable[Case]) -> list[str]:
    """Algorithms that edited single blocks in at least half of the cases, in the order of the figures.

    What was run on one model for a question of its own is no part of what is claimed of models in general.
    """
    counts: Counter[str] = Counter()
    total = 0
    for case in cases:
        total += 1
        counts.update(name for name in results.algorithms(case) if results.blocks(case, name))
    return [name for name, count in counts.items() if 2 * count >= total]


def target(results: Results, case: Case, algorithm: str, view: str = "target") -> str:
    """The block of a view, "" where there is none or it was not edited."""
    block = next(iter(results.views(case, algorithm).get(view, [])), None)
    return str(block) if block is not None and str(block) in results.blocks(case, algorithm) else ""


def over(
    results: Results,
    cases: Iterable[Case],
    algorithm: str,
    view: str,
    metric: str,
    group: str,
    *,
    facts: str | None = None,
    attack: str = NO_ATTACK,
) -> list[Number]:
    """A score at the block of a view, of each case that has one and votes."""
    found = []
    for case in cases:
        block = target(results, case, algorithm, view)
        votes = block and results.votes(case, algorithm, block)
        number = (
            results.number(case, algorithm, block, metric, group, facts=facts, attack=attack) if votes else Number()
        )
        if number and not math.isnan(number.value):
            found.append(number)
    return found


def by_architecture(
    results: Results,
    cases: Iterable[Case],
    algorithm: str,
    view: str,
    metric: str,
    group: str,
    *,
    facts: str | None = None,
    attack: str = NO_ATTACK,
) -> dict[str, Number]:
    """The mean of `over` in each architecture that has one."""
    found = {
        model: mean(over(results, own, algorithm, view, metric, group, facts=facts, attack=attack))
        for model, own in architectures(cases).items()
    }
    return {model: number for model, number in found.items() if number}


def words(numbers: dict[str, Number]) -> str:
    """Numbers by architecture in words, "not available" where there is none."""
    return ", ".join(f"{model} {number}" for model, number in numbers.items() if number) or "not available"


# Cells that ask a question of their own, on one model

COVERAGES = get_args(Retain)
# RMU with mixed batches, and with one source language after the other, as the reproduction names them.
ORDERS = ("rmu", "rmu_concatenated")


def coverage_cases(results: Results) -> list[Case]:
    """Cases of the first model and sources that edited blocks by RMU, if in several coverages; its forget set first."""
    first = next(iter(main_cases(results, next(iter(protocols(results)), ""))), None)
    if first is None:
        return []
    own = [
        case
        for case in results.all_cases
        if (case.model, case.training_seed, case.sources) == (first.model, first.training_seed, first.sources)
        and case.protocol == first.protocol
        and results.blocks(case, "rmu")
    ]
    own.sort(key=lambda case: (case.forget_set != first.forget_set, case.forget_set, COVERAGES.index(case.retain)))
    return own if len({case.retain for case in own}) > 1 else []


def order_case(results: Results) -> Case | None:
    """The case that was run in both orders of the source languages."""
    return next((case for case in results.all_cases if set(ORDERS) <= set(results.algorithms(case))), None)
