"""The headline numbers by language, at the chosen block: each algorithm and architecture, over its trainings."""

from collections import Counter
from collections.abc import Callable, Iterable

from mute.findings import by_language, trainings
from mute.findings.by_language import OTHER, SAME, SOURCE, Worst
from mute.findings.results import Case, Number, Results
from mute.store.records import Record

_Asked = Callable[[Results, Case, str, str], Number | Worst]


def _worst(metric: str, attack: str = "") -> _Asked:
    return lambda results, case, name, block: by_language.worst(results, case, name, block, metric, attack=attack)


def _mean(metric: str, group: str) -> _Asked:
    return lambda results, case, name, block: by_language.mean(results, case, name, block, metric, group)


SCORES: dict[str, _Asked] = {
    "K worst": _worst("K"),
    "K source": _mean("K", SOURCE),
    "leak other": _mean("leak", OTHER),
    "leak same": _mean("leak", SAME),
    "C worst": _worst("C"),
    "confusion": _worst("confusion"),
}


def rows(results: Results) -> list[Record]:
    """A row per algorithm that edited single blocks, and architecture, under the protocol that decides.

    Means over the trainings that pass their gates and whose edit counts, with t-intervals; of one, its own interval.
    A worst number names its language, of several trainings the one that most of them name. `recovery` is of each dose.
    """
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.passed(results, trainings.main_cases(results, protocol))
    found = []
    for name in trainings.swept(results, cases):
        for model, own in trainings.architectures(cases).items():
            edits = [
                (case, block)
                for case in own
                if (block := trainings.target(results, case, name)) and results.votes(case, name, block)
            ]
            if edits:
                blocks = ", ".join(sorted({block for _, block in edits}, key=int))
                keys = {
                    "model": model,
                    "algorithm": name,
                    "objective": results.intent(name) or "–",
                    "protocol": protocol,
                }
                said = {score: _over(results, edits, name, asked) for score, asked in SCORES.items()}
                back = [
                    (dose, _over(results, edits, name, _worst("recovery", dose))) for dose in by_language.doses(results)
                ]
                recovery = "; ".join(f"{dose.replace('_', ' ')}: {number}" for dose, number in back if number != "–")
                found.append({**keys, "block": blocks, "n": str(len(edits)), **said, "recovery": recovery or "–"})
    return found


def _over(results: Results, edits: Iterable[tuple[Case, str]], name: str, asked: _Asked) -> str:
    """The mean of a score over trainings in words, with the language where it is the worst one's."""
    numbers = [asked(results, case, name, block) for case, block in edits]
    named = Counter(number.language for number in numbers if isinstance(number, Worst) and number.language)
    mean = trainings.mean(number.number if isinstance(number, Worst) else number for number in numbers)
    return str(Worst(mean, named.most_common(1)[0][0] if named else ""))
