"""What relearning brings back across languages: half of the facts taught in one, the other half asked in another."""

import math
from typing import NamedTuple

from mute.findings import by_language
from mute.findings.results import Case, Number, Results


class Pair(NamedTuple):
    """One entry of the matrix.

    regained: the share of what was forgotten that comes back in the language `asked`, less what the same teaching
    brings an oracle, with its interval over facts. overlap: mass (0 to 1) that the subwords of both languages share; 1
    of a language and itself, NaN where nobody has said it.
    """

    taught: str
    asked: str
    regained: Number
    overlap: float


def taught(results: Results) -> dict[str, str]:
    """The study's attacks that teach facts again in one language, by name, and which."""
    return results.about.get("taught", {})


def matrix(results: Results, case: Case, algorithm: str, band: str) -> list[Pair]:
    """Every language that an attack of the study taught in, and every language asked; [] of an edit without such.

    A few dozen facts of one training tell no order of languages: intervals of neighbours overlap.
    """
    pairs = results.tables["languages"]
    own = pairs[pairs["model"] == case.model]
    known = {frozenset(two): value for *two, value in zip(own["language"], own["other"], own["overlap"])}
    source, heldout = results.languages(case)
    found = []
    for attack, language in taught(results).items():
        numbers = by_language.by_language(
            results, case, algorithm, band, "regained", [*source, *heldout], attack=attack
        )
        for asked, number in numbers.items():
            overlap = 1.0 if asked == language else known.get(frozenset((asked, language)), math.nan)
            found.append(Pair(language, asked, number, overlap))
    return found
