"""What frozen studies say of a method or an attack: rows that are read from their tables, never written by hand.

A study is frozen where a folder below `paper/` holds its tables beside `about.json` (`mute.paper.frozen`); each further
one that is put there is shown, too.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mute import attacks
from mute.findings import by_language
from mute.findings.results import MISSING, NO_ATTACK, Case, Number, Results
from mute.paper import frozen, headline
from mute.plan.site import markdown
from mute.store import artifacts

HEAD = ("algorithm", "model", "protocol", "edits", "what came of them")
RANGES = ("K source", "K worst", "C worst")
AT_BLOCK = ("model", "algorithm", "block", "n", "K source", "K worst", "C worst", "recovery")


@dataclass(frozen=True)
class Study:
    """One frozen study: where its tables lie, and what they say."""

    folder: Path

    @cached_property
    def about(self) -> dict:
        return artifacts.read_json(self.folder / frozen.ABOUT)

    @property
    def name(self) -> str:
        return str(self.about["study"])

    @cached_property
    def results(self) -> Results:
        return Results.read(sorted(self.folder.glob("*.parquet")), self.about)

    @cached_property
    def attacks(self) -> dict[str, tuple[str, str]]:
        """Attacks that the study made by name: the method of each, and its settings in words."""
        stated = artifacts.read_json(self.folder / frozen.PROVENANCE)["config"].get("attacks", {})
        found = {}
        for name, own in stated.items():
            said = ", ".join(f"{key} {value}" for key, value in own.items() if key != "method")
            found[name] = (str(own.get("method", name)), said)
        return found

    @cached_property
    def _edits(self) -> list[tuple[Case, str, str]]:
        """Every edit of a model that knows what it is to forget, as its gates say."""
        results = self.results
        passed = [case for case in results.all_cases if not results.below_gate(case)]
        return [(c, name, band) for c in passed for name in results.algorithms(c) for band in results.bands(c, name)]

    def algorithms(self, method: str) -> list[str]:
        """Names under which the study ran a method."""
        return [name for name, said in self.results.described.items() if said.get("method", name) == method]

    # Methods

    def of_method(self, method: str) -> str:
        """Tables of what a method did in this study; '' where it was not run."""
        names = self.algorithms(method)
        rows = list(self._rows(names))
        if not rows:
            return ""
        text = markdown.table((*HEAD, *RANGES), rows)
        at_block = [row for row in self.headline if row["algorithm"] in names]
        if at_block:
            text += "\nAt the block that the study's rule chooses, the mean over trainings with its interval:\n\n"
            text += markdown.table(AT_BLOCK, ([str(row[key]) for key in AT_BLOCK] for row in at_block))
        return text

    @cached_property
    def headline(self) -> list[dict]:
        return headline.rows(self.results)

    def _rows(self, names: list[str]) -> Iterable[list[str]]:
        groups: dict[tuple[str, str, str], list[tuple[Case, str, str]]] = {}
        for case, name, band in self._edits:
            if name in names:
                groups.setdefault((name, case.model, case.protocol), []).append((case, name, band))
        for key, edits in groups.items():
            statuses = Counter(self.results.status(*edit) for edit in edits)
            came = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
            counting = [edit for edit in edits if self.results.votes(*edit)]
            yield [*key, str(len(edits)), came, *(self._range(counting, column) for column in RANGES)]

    def _range(self, edits: Iterable[tuple[Case, str, str]], column: str) -> str:
        metric, group = column.split()
        found = []
        for case, name, band in edits:
            if group == by_language.SOURCE:
                found.append(by_language.mean(self.results, case, name, band, metric, group))
            else:
                found.append(by_language.worst(self.results, case, name, band, metric).number)
        return span(found)

    # Attacks

    def of_attack(self, method: str) -> str:
        """A table of what an attack brought back in this study; '' where it was not made."""
        made = [(name, said) for name, (own, said) in self.attacks.items() if own == method]
        rows = [row for name, said in made for row in self._attacked(name, said)]
        head = ("attack", "settings", "edited by", "model", "measure", "edits", "worst held-out language")
        return markdown.table(head, rows)

    def _attacked(self, name: str, said: str) -> Iterable[list[str]]:
        method = attacks.load(self.attacks[name][0])
        # Of an attack that gives the same of every cell the base alone is asked, and the score bears its name.
        for metric in (method.metric, f"{method.name}_base", *(["recovery"] if method.metric == "R" else [])):
            if not self.results.knows(metric):
                continue
            found: dict[tuple[str, str], list[Number]] = {}
            for case, algorithm, band in self._edits:
                if self.results.votes(case, algorithm, band):
                    number = self._hardest(case, algorithm, band, metric, name)
                    by = "the base alone" if metric.endswith("_base") else algorithm
                    found.setdefault((by, case.model), []).extend([number] if number else [])
            for (algorithm, model), numbers in found.items():
                if numbers:
                    yield [name, said or "–", algorithm, model, f"`{metric}`", str(len(numbers)), span(numbers)]

    def _hardest(self, case: Case, algorithm: str, band: str, metric: str, attack: str) -> Number:
        """A score after an attack, in the held-out language in which most is known; some bear the attack's name."""
        for of in (attack, NO_ATTACK):
            if number := by_language.worst(self.results, case, algorithm, band, metric, attack=of).number:
                return number
        return MISSING


def span(numbers: Iterable[Number]) -> str:
    """The lowest and the highest of some estimates, in words."""
    values = sorted(number.value for number in numbers if number)
    if not values:
        return "–"
    low, high = (str(Number(value)).split(" ")[0] for value in (values[0], values[-1]))
    return low if low == high else f"{low} to {high}"


def all_of(root: Path) -> list[Study]:
    """Every frozen study of a project, in the order of their folders."""
    return [Study(path.parent) for path in sorted((root / frozen.FOLDER.parent).glob(f"*/{frozen.ABOUT}"))]
