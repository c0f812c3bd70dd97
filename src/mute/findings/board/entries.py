"""Entries of the board: what the tables of one study say of each method or guard, over the trainings of a model."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mute.findings import by_language, robustness, trainings
from mute.findings.by_language import HELDOUT, OTHER, SAME, SOURCE, Worst
from mute.findings.results import KEYS, MISSING, Case, Number, Results

# What tells one entry of a study from another. Trainings and unlearning seeds are what it is a mean over.
PLACE = tuple(key for key in KEYS if key not in ("training_seed", "seed"))
# What is measured of an edit when it is attacked, the better one first: of what was forgotten the share that comes back
# beyond the oracle's gain; K after the attack less the oracle's, which counts what was never gone as well.
BACK = ("regained", "recovery")
OK, BELOW_GATE, NOT_MEASURED = "ok", "below_gate", "not_measured"


@dataclass(frozen=True)
class Training:
    """What one trained model says of an entry: K and C of the worst held-out language, C of the source languages."""

    seed: int
    k: Number
    c: Number
    c_source: Number


@dataclass(frozen=True)
class Spoken:
    """K and C of one language, over trainings."""

    language: str
    script: str
    group: str
    k: Number
    c: Number


@dataclass(frozen=True)
class Back:
    """What one attack brings back in the language in which it brings most. measure: one of BACK."""

    attack: str
    measure: str
    worst: Worst


@dataclass(frozen=True)
class Entry:
    """One method or guard with its settings, on one model, band and setting.

    objective: what the method is meant to do. status: OK, or why nothing is to be read off its numbers: that of most of
    its cells, BELOW_GATE where no model passed its gates, NOT_MEASURED without K or C. statuses: how many cells have
    which. counted: how many trainings the numbers are of. dose: whether the dose was reached, "" where none was asked
    for. setup: digest of what made the model and the questions; entries of one setup can be compared.
    """

    study: str
    algorithm: str
    method: str
    family: str
    objective: str
    model: str
    architecture: str
    setup: str
    band: str
    sources: str
    retain: str
    forget_set: str
    protocol: str
    status: str
    statuses: str
    trainings: int
    counted: int
    dose: str
    k: Worst
    k_source: Number
    k_heldout: Number
    k_same: Number
    k_other: Number
    c: Worst
    c_source: Number
    facts: int
    steps: float
    size: float
    languages: tuple[Spoken, ...] = ()
    attacks: tuple[Back, ...] = ()
    each: tuple[Training, ...] = ()

    @property
    def place(self) -> tuple[str, ...]:
        """What tells it from the other entries of its study."""
        return tuple(getattr(self, key) for key in PLACE)

    @property
    def league(self) -> tuple[str, ...]:
        """What entries share that are ranked among each other."""
        return self.setup, self.sources, self.forget_set

    @property
    def back(self) -> Back | None:
        """The attack that brings most back, by the best measure there is."""
        for measure in BACK:
            own = [each for each in self.attacks if each.measure == measure and each.worst]
            if own:
                return max(own, key=lambda each: each.worst.number.value)
        return None


def entries(results: Results, setups: Mapping[str, str] | None = None) -> list[Entry]:
    """Every entry of a study in the order of its tables. setups: digest of each model's setup, by its name."""
    found: dict[tuple, list[tuple[Case, str, str]]] = {}
    for case in results.all_cases:
        for algorithm in results.algorithms(case):
            for band in results.bands(case, algorithm):
                key = (case.model, algorithm, band, *case.setting)
                found.setdefault(key, []).append((case, algorithm, band))
    backs: dict[Case, dict[tuple[str, str], list[Back]]] = {}
    return [_entry(results, cells, (setups or {}).get(key[0], ""), backs) for key, cells in found.items()]


def _entry(
    results: Results,
    cells: list[tuple[Case, str, str]],
    setup: str,
    backs: dict[Case, dict[tuple[str, str], list[Back]]],
) -> Entry:
    first, algorithm, band = cells[0]
    every = [case for case, _, _ in cells]
    passed = trainings.passed(results, every)
    cases = passed or every
    status, counted = _status(results, cases, algorithm, band)
    # A model that diverged, or that a method cannot run on, has no number, and `number` says so.
    each = tuple(_training(results, case, algorithm, band) for case in counted)
    if status == OK and not any(own.k and own.c for own in each):
        status = NOT_MEASURED
    if not passed:
        status = BELOW_GATE
    about = results.described.get(algorithm, {})
    stated = results.about.get("models", {}).get(first.model, {})

    def over(metric: str, group: str) -> Number:
        return trainings.mean(results.number(case, algorithm, band, metric, group) for case in counted)

    spoken = tuple(_spoken(results, counted, algorithm, band))
    counts = Counter(results.status(case, algorithm, band) for case in every)
    matched = first.protocol == "matched"
    return Entry(
        study=str(results.about.get("study", "")),
        algorithm=algorithm,
        method=about.get("method", algorithm),
        family=about.get("family", ""),
        objective=about.get("intent", ""),
        model=first.model,
        architecture=str(stated.get("family") or ""),
        setup=setup,
        band=band,
        sources=first.sources,
        retain=first.retain,
        forget_set=first.forget_set,
        protocol=first.protocol,
        status=status,
        statuses=", ".join(f"{count} {name}" for name, count in sorted(counts.items())),
        trainings=len({case.training_seed for case in every}),
        counted=len(counted),
        dose=_dose(results, every, algorithm, band) if matched else "",
        k=Worst(trainings.mean(own.k for own in each), _worst(spoken, "k", max)),
        k_source=over("K", SOURCE),
        k_heldout=over("K", HELDOUT),
        k_same=over("K", SAME),
        k_other=over("K", OTHER),
        c=Worst(trainings.mean(own.c for own in each), _worst(spoken, "c", min)),
        c_source=trainings.mean(own.c_source for own in each),
        facts=min((own.k.n for own in each if own.k), default=0),
        steps=_of_cells(results, counted, algorithm, band, "steps"),
        size=_of_cells(results, counted, algorithm, band, "size"),
        languages=spoken,
        attacks=tuple(_attacks(results, counted, algorithm, band, backs)),
        each=each,
    )


def _status(results: Results, cases: list[Case], algorithm: str, band: str) -> tuple[str, list[Case]]:
    """The status of an entry, and the trainings that its numbers are of: those that vote, if half of all do."""
    voting = [case for case in cases if results.votes(case, algorithm, band)]
    if 2 * len(voting) >= len(cases):
        return OK, voting
    counts = Counter(results.status(case, algorithm, band) for case in cases if case not in voting)
    status = max(sorted(counts), key=lambda name: counts[name])
    return status, [case for case in cases if results.status(case, algorithm, band) == status]


def _dose(results: Results, cases: list[Case], algorithm: str, band: str) -> str:
    missed = sum(results.status(case, algorithm, band) != OK for case in cases)
    return "reached" if not missed else "not reached" if missed == len(cases) else f"missed by {missed} of {len(cases)}"


def _training(results: Results, case: Case, algorithm: str, band: str) -> Training:
    k, c = (results.number(case, algorithm, band, metric, "worst") for metric in ("K", "C"))
    return Training(case.training_seed, k, c, results.number(case, algorithm, band, "C", SOURCE))


def _spoken(results: Results, cases: list[Case], algorithm: str, band: str) -> Iterable[Spoken]:
    source, heldout = results.languages(cases[0])
    for code in (*source, *heldout):
        k, c = (
            trainings.mean(
                by_language.by_language(results, case, algorithm, band, metric, [code]).get(code, MISSING)
                for case in cases
            )
            for metric in ("K", "C")
        )
        if k or c:
            group = SOURCE if code in source else HELDOUT
            yield Spoken(code, by_language.script(results, code), group, k, c)


def _worst(spoken: Iterable[Spoken], field: str, pick: Callable[..., str]) -> str:
    """The held-out language in which the mean over trainings looks worst."""
    held = {own.language: getattr(own, field) for own in spoken if own.group == HELDOUT}
    known = {code: number.value for code, number in held.items() if number}
    return pick(known, key=lambda code: known[code], default="")


def _of_cells(results: Results, cases: list[Case], algorithm: str, band: str, column: str) -> float:
    """The mean of a column of the cells, over trainings and unlearning seeds; NaN where it is not told."""
    table = results.once(("cells by place",), lambda: results.tables["cells"].groupby(list(KEYS), sort=False).indices)
    values = results.tables["cells"][column].tolist() if column in results.tables["cells"] else []
    found = []
    for case in cases:
        own = (case.model, case.training_seed, algorithm, band, *case.setting)
        found += [float(values[i]) for i in table.get((*own, case.seed), ()) if values[i] is not None]
    known = [value for value in found if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _attacks(
    results: Results,
    cases: list[Case],
    algorithm: str,
    band: str,
    backs: dict[Case, dict[tuple[str, str], list[Back]]],
) -> Iterable[Back]:
    """Each attack over the trainings, in the language that is hit most in most of them."""
    found: dict[tuple[str, str], list[Worst]] = {}
    for case in cases:
        if case not in backs:
            backs[case] = _of_case(results, case)
        for own in backs[case].get((algorithm, band), []):
            found.setdefault((own.attack, own.measure), []).append(own.worst)
    for (attack, measure), each in found.items():
        languages = Counter(own.language for own in each)
        code = max(sorted(languages), key=lambda name: languages[name])
        yield Back(attack, measure, Worst(trainings.mean(own.number for own in each), code))


def _of_case(results: Results, case: Case) -> dict[tuple[str, str], list[Back]]:
    """What every attack brings back of every edit of a case that votes."""
    found: dict[tuple[str, str], list[Back]] = {}
    for line in robustness.lines(results, case):
        if line.worst:
            found.setdefault((line.algorithm, line.band), []).append(Back(line.attack, BACK[0], line.worst))
    for algorithm in results.algorithms(case):
        for band in results.bands(case, algorithm):
            known = {own.attack for own in found.get((algorithm, band), [])}
            if not results.votes(case, algorithm, band):
                continue
            for attack in results.attacks:
                if attack in known:
                    continue
                worst = by_language.worst(results, case, algorithm, band, BACK[1], attack=attack)
                if worst:
                    found.setdefault((algorithm, band), []).append(Back(attack, BACK[1], worst))
    return found
